"""Grid search on smoothed scores, against a Gaussian written out and against trying everything."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from cases import make_set, small_simulation
from plugin_cases import Onsets, Pooled
from rl_postproc.agents import make_agent

from rl_postproc.counts.table import smoothed
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [
    {"stage": "median", "kernel": [0.0, 0.3, 0.5, 0.8]},
    {"stage": "threshold", "threshold": {"low": 0.05, "high": 0.95, "count": 19, "also": [1.0], "default": 0.5}},
]
SIZES = (4, 20)
SHARED = [{"stage": "median", "kernel": {"candidates": [0.0, 0.3, 0.5, 0.8], "scope": "global"}}, STACK[1]]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(n_clips=30), STACK)


def search(**settings):
    return make_agent({"agent": "grid_search", "selection": "smoothed", **settings})


def weights(n: int, smoothing: float) -> list[list[float]]:
    """The weight of each value in the mean around each value: a Gaussian of 4 standard deviations, edges going on."""
    sigma = smoothing * n
    radius = int(4 * sigma + 0.5)
    bell = [math.exp(-0.5 * (d / sigma) ** 2) for d in range(-radius, radius + 1)]
    rows = [[0.0] * n for _ in range(n)]
    for i, (d, weight) in itertools.product(range(n), enumerate(bell, -radius)):
        rows[i][min(max(i + d, 0), n - 1)] += weight / sum(bell)
    return rows


def written_out(surface: torch.Tensor, smoothing: float) -> torch.Tensor:
    """The smoothed surface ``[class, kernel, threshold]`` of one like it."""
    first, second = (torch.tensor(weights(n, smoothing), dtype=torch.float64) for n in surface.shape[1:])
    return torch.einsum("ik,jt,ckt->cij", first, second, surface)


def surface_of(task: TuningTask) -> torch.Tensor:
    """F1 of each class at each candidate, from one look at the table each, float64 ``[class, kernel, threshold]``."""
    table = task.table
    columns = [table.score(torch.full((table.n_classes,), i)).by_class for i in range(table.space.n_candidates)]
    return torch.stack(columns, 1).reshape(-1, *SIZES)


def chosen(task: TuningTask, fit) -> torch.Tensor:
    """The candidate of each class."""
    values = fit.post_processor.choose(task.scores)
    return (task.stack.space.values[:, None] == values).all(-1).byte().argmax(0)


@pytest.mark.parametrize("smoothing", [0.03, 0.08, 0.3])
def test_each_class_takes_the_top_of_its_smoothed_scores(task: TuningTask, smoothing: float) -> None:
    fit = search(smoothing=smoothing).fit(task, 0)
    expected = written_out(surface_of(task), smoothing).flatten(1)
    found = chosen(task, fit)
    assert expected.gather(1, found[:, None])[:, 0].tolist() == pytest.approx(expected.amax(1).tolist(), abs=1e-11)
    assert fit.evaluations == 80 * task.scores.n_clips


def test_smoothing_chooses_otherwise_and_never_better_on_its_own_clips(task: TuningTask) -> None:
    sharp, broad = (
        chosen(task, make_agent(x).fit(task, 0))
        for x in ({"agent": "grid_search", "selection": "maximum"}, {"agent": "grid_search", "selection": "smoothed"})
    )
    assert not torch.equal(sharp, broad)
    assert task.table.score(broad).macro < task.table.score(sharp).macro


def test_next_to_no_smoothing_is_the_plain_maximum(task: TuningTask) -> None:
    assert torch.equal(chosen(task, search(smoothing=1e-6).fit(task, 0)), task.best_constants)


def test_a_broad_hill_wins_over_a_sharp_peak() -> None:
    hill = torch.tensor([[0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.5, 0.6, 0.6, 0.6, 0.5, 0.0]], dtype=torch.float64)
    assert int(hill.argmax()) == 1
    assert int(smoothed(hill, [(12,)], 0.08).argmax()) == 8


def test_a_level_surface_stays_level() -> None:
    level = torch.full((2, 80), 0.1, dtype=torch.float64)
    assert len(smoothed(level, [SIZES], 0.08).unique()) == 1


def test_a_shared_parameter_maximises_the_sum_of_the_smoothed_scores() -> None:
    task = TuningTask.build(small_simulation(n_clips=20), SHARED)
    values = search().fit(task, 0).post_processor.choose(task.scores)
    expected = written_out(surface_of(task), 0.08)
    kernel = int(expected.amax(2).sum(0).argmax())
    assert values[:, 0].tolist() == pytest.approx([SHARED[0]["kernel"]["candidates"][kernel]] * 3)
    thresholds = torch.tensor(task.stack.space.parameters[1].candidates)
    assert torch.equal(values[:, 1], thresholds[expected[:, kernel].argmax(1)])


def test_one_setting_for_all_classes_is_the_top_of_the_smoothed_objective() -> None:
    task = TuningTask.build(small_simulation(n_clips=20), STACK, objective=Pooled())
    with pytest.raises(UserError, match=r"does not split by class; set scope: global"):
        search().check(task)
    agent = search(scope="global")
    agent.check(task)
    found = chosen(task, agent.fit(task, 0))
    micro = torch.tensor([task.table.score(torch.full((3,), i)).micro for i in range(80)], dtype=torch.float64)
    assert found.unique().tolist() == [int(written_out(micro.reshape(1, *SIZES), 0.08).argmax())]


def test_classes_that_nothing_can_score_in_stay_silent() -> None:
    scores = torch.full((6, 3, 40), 0.02)
    scores[:, :, 18:22] = 0.9
    scores[:2, 0, 5:25] = 0.7
    # k0 is found; k1 has no references; those of k2 are never hit.
    rows = [("c0", 0.5, 2.5, "k0"), ("c1", 0.5, 2.5, "k0"), ("c2", 0.0, 4.0, "k2")]
    task = TuningTask.build(make_set(scores, rows), STACK)
    fit = search().fit(task, 0)
    assert set(fit.post_processor.apply(task.scores).label.tolist()) == {0}


def test_a_metric_of_ones_own_is_smoothed_by_its_score() -> None:
    task = TuningTask(small_simulation(n_clips=12), Stack.from_config(STACK), Onsets())
    found = chosen(task, search().fit(task, 0))
    expected = written_out(surface_of(task), 0.08).flatten(1)
    assert expected.gather(1, found[:, None])[:, 0].tolist() == pytest.approx(expected.amax(1).tolist(), abs=1e-11)
