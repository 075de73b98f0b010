"""Where the count table would be large, constants are found from sums over clips, and no table is made."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation
from rl_postproc.agents import make_agent

from rl_postproc import task as module
from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.counts.totals import sweep_totals
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Macro, Metric, Tagging
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7]}]
ONE = [{"stage": "threshold", "threshold": [0.5]}]


@pytest.mark.parametrize("stack", [STACK, ONE], ids=["grid", "one candidate"])
@pytest.mark.parametrize("metric", [EventBased(), Tagging()], ids=lambda metric: metric.metric)
def test_sums_over_clips_are_counted_a_few_clips_at_a_time(stack: list, metric: Metric) -> None:
    scores, built = small_simulation(13, 3, short=0.4), Stack.from_config(stack)
    whole, summed = sweep(scores, built, metric), sweep_totals(scores, built, metric, chunk_bytes=500)
    assert summed.n_clips == 1
    for name, column in whole.totals().items():
        assert torch.equal(summed.totals()[name], column)
        assert summed.counts[name].ndim == whole.counts[name].ndim
    assert torch.equal(summed.best_per_class(Macro()), whole.best_per_class(Macro()))


@pytest.mark.parametrize(
    "settings",
    [
        {"agent": "grid_search"},
        {"agent": "grid_search", "scope": "global"},
        {"agent": "grid_search", "selection": "smoothed"},
        {"agent": "random_search", "trials": 20},
        {"agent": "coordinate_ascent", "trials": 20},
        {"agent": "tuned"},
    ],
    ids=str,
)
def test_searches_for_constants_need_no_table(settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = small_simulation(13, 3, short=0.4)
    expected = make_agent(settings).fit(TuningTask.build(scores, STACK), 0)
    monkeypatch.setattr(module, "LARGE_TABLE", 10)
    monkeypatch.setattr(module, "sweep", lambda *_: pytest.fail("a whole table is counted"))
    task = TuningTask.build(scores, STACK)
    assert task.has_large_table
    found = make_agent(settings).fit(task, 0)
    assert torch.equal(found.post_processor.choose(scores), expected.post_processor.choose(scores))
    assert found.evaluations == expected.evaluations


def test_the_linearisation_is_that_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = small_simulation(13, 3)
    expected = TuningTask.build(scores, STACK).linearisation
    monkeypatch.setattr(module, "LARGE_TABLE", 100)
    found = TuningTask.build(scores, STACK).linearisation
    assert torch.equal(found.scale, expected.scale)
    assert torch.equal(found.slope, expected.slope)


def test_a_small_part_of_a_large_task_is_counted_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, counted = small_simulation(13, 3, short=0.4), []
    monkeypatch.setattr(module, "LARGE_TABLE", 100)

    def count(part: ScoreSet, stack: Stack, metric: Metric) -> CountTable:
        counted.append(part.n_clips)
        return sweep(part, stack, metric)

    monkeypatch.setattr(module, "sweep", count)
    task = TuningTask.build(scores, STACK)
    part = task.select(torch.tensor([1, 4]))
    assert task.has_large_table and not part.has_large_table
    expected = sweep(scores.select(torch.tensor([1, 4])), task.stack, task.metric)
    assert all(torch.equal(part.summed.totals()[name], column) for name, column in expected.totals().items())
    assert counted == [2]


def test_a_table_that_memory_does_not_hold_is_refused_before_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory", lambda: 500)
    monkeypatch.setattr(module, "LARGE_TABLE", 100)
    monkeypatch.setattr(module, "sweep", lambda *_: pytest.fail("it is counted"))
    task = TuningTask.build(small_simulation(13, 3, short=0.4), STACK)
    with pytest.raises(UserError, match=r"8 candidates for each of 13 clips take .* this machine has .*'grid_search'"):
        _ = task.table
    make_agent({"agent": "grid_search", "selection": "maximum"}).fit(task, 0)
    monkeypatch.setattr(module, "memory", lambda: float("inf"))
    monkeypatch.setattr(module, "sweep", sweep)
    assert task.table.n_clips == 13
