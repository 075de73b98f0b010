"""Beam search against the exact search of the grid, and where the grid is too large to count."""

from __future__ import annotations

import pytest
import torch
from cases import make_set, small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.base import check_agent
from rl_postproc.agents.search.beam_search import _Climb

from rl_postproc.metrics.base import total_counts
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

LEVELS = {"low": 0.05, "high": 0.95, "count": 10}
SMALL = [{"stage": "median", "kernel": [0, 0.2, 0.5]}, {"stage": "threshold", "threshold": LEVELS}]
CHAIN = [
    *SMALL,
    {"stage": "gap_fill", "gap": [0, 0.2, 0.5]},
    {"stage": "duration", "shortest": [0, 0.2, 0.4]},
]
BOXES = [
    {"stage": "boxes", "absolute": [0.1, 0.3], "relative": [2, 1001]},
    {"stage": "confidence", "threshold": LEVELS},
]
CHOICE = [{"stage": "one_of", "stacks": {"chain": CHAIN, "boxes": BOXES}}]
HUGE = [
    {"stage": "median", "kernel": {"low": 0, "high": 2, "count": 40}},
    {"stage": "boxes", "window": {"low": 0.2, "high": 1, "count": 20}, "absolute": {"low": 0.1, "high": 1, "count": 20},
     "relative": {"low": 1.2, "high": 5, "count": 20}},
    {"stage": "shift", "onset": {"low": -0.3, "high": 0.3, "count": 7}, "offset": {"low": -0.3, "high": 0.3, "count": 7}},
    {"stage": "confidence"},
]  # fmt: skip


def quality(task: TuningTask, fit) -> torch.Tensor:
    events = fit.post_processor.apply(task.scores)
    counts = total_counts(task.metric.count(task.scores.require_references(), events))
    return task.metric.summarise(counts).by_class.nan_to_num(0.0)


@pytest.mark.parametrize("stack", [SMALL, CHAIN, BOXES, CHOICE])
def test_it_reaches_the_optimum_of_small_grids_and_never_more(stack: list) -> None:
    task = TuningTask.build(small_simulation(30, 3, short=0.4), stack)
    best = quality(task, make_agent({"agent": "grid_search", "selection": "maximum"}).fit(task, 0))
    found = quality(task, make_agent({"agent": "beam_search", "beam": 6, "starts": 6}).fit(task, 0))
    assert bool((found <= best + 1e-12).all())
    assert float(found.mean()) >= float(best.mean()) - 0.01
    narrow = make_agent({"agent": "beam_search", "beam": 1, "starts": 1})
    once = narrow.fit(task, 0)
    assert torch.equal(once.post_processor.choose(task.scores), narrow.fit(task, 0).post_processor.choose(task.scores))
    assert bool((quality(task, once) <= best + 1e-12).all())


def test_a_wide_beam_along_one_parameter_and_the_last_is_exact() -> None:
    task = TuningTask.build(small_simulation(30, 3), SMALL)
    best, found = (
        quality(task, make_agent(agent).fit(task, 0))
        for agent in ({"agent": "grid_search", "selection": "maximum"}, {"agent": "beam_search", "starts": 1})
    )
    assert torch.equal(best, found)


def test_stacks_too_large_to_count_are_searched_and_refused_by_the_others() -> None:
    task = TuningTask.build(small_simulation(12, 2), HUGE)
    assert task.stack.space.n_candidates > 10_000_000
    default, search = make_agent("default"), make_agent("beam_search")
    for agent in (default, search):
        check_agent(agent, task)
    fit = search.fit(task, 0)
    assert float(quality(task, fit).mean()) > float(quality(task, default.fit(task, 0)).mean())
    assert fit.evaluations < 1_000_000
    for name in ("grid_search", "random_search", "event_value", "ppo"):
        with pytest.raises(UserError, match=r"The stack has 8e\+08 candidates.*or use the agent 'beam_search'"):
            check_agent(make_agent(name), task)
    with pytest.raises(UserError, match="can be counted"):
        _ = task.table


def test_a_class_without_references_is_silent() -> None:
    x = torch.full((2, 2, 30), 0.1)
    x[:, :, 5:15] = 0.9
    task = TuningTask.build(make_set(x, [("c0", 0.5, 1.5, "k0"), ("c1", 0.5, 1.5, "k0")]), BOXES)
    found = make_agent("beam_search").fit(task, 0).post_processor.apply(task.scores)
    assert found.label.tolist() == [0, 0]


def test_what_it_cannot_search_is_refused() -> None:
    shared = [{"stage": "threshold", "threshold": {"candidates": [0.3, 0.5], "scope": "global"}}]
    task = TuningTask.build(small_simulation(6, 2), shared)
    with pytest.raises(UserError, match=r"the scope of 'threshold\.threshold' is global"):
        check_agent(make_agent("beam_search"), task)


def test_a_beam_goes_on_from_each_of_its_settings() -> None:
    task = TuningTask.build(small_simulation(6, 2), CHAIN)
    # Along the first parameter (0, 0) is second best, and only from there the second one leads up.
    surface = {(0, 0): 0.4, (1, 0): 0.5, (1, 1): 0.45, (0, 1): 0.9}
    stack = Stack.from_config(
        [{"stage": "median", "kernel": [0, 0.2]}, {"stage": "gaussian", "deviation": [0, 0.2]}, {"stage": "threshold"}]
    )

    class Known(_Climb):
        def _along(self, state: tuple[int, ...], coordinate: int) -> torch.Tensor:
            places = [(v, state[1]) if coordinate == 0 else (state[0], v) for v in (0, 1)]
            return torch.tensor([[surface[place]] * 51 for place in places])

    for beam, best in ((1, 0.5), (2, 0.9)):
        found = Known(task, task.scores, stack, beam).from_state((0, 0, 0))
        assert found[0] == pytest.approx(best)
