"""Sums that workers share are those of one process to the last digit, whoever counts what and dies on the way."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from rl_postproc.agents import make_agent
from sparse_cases import sparse_set

from rl_postproc.counts import divided
from rl_postproc.counts.divided import Workers, divided_totals, tasks_of
from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.counts.totals import group_totals
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats import read_scores
from rl_postproc.metrics import EventBased, Metric, SegmentBased
from rl_postproc.metrics.segment_based import prepared
from rl_postproc.pipeline.stack import Stack
from rl_postproc.streamed_task import StreamedTask
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.plugins import load_plugins
from rl_postproc.work import Processes, Serial
from rl_postproc.work.base import unheard

STACK = [{"stage": "median", "kernel": [0, 0.3, 0.6]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7, 0.9]}]
PLUGIN = str(Path(__file__).resolve().parents[1] / "dying_metric.py")


class Backwards(Serial):
    """Has tasks done here by what other processes would get, and finished in the opposite order."""

    is_apart: ClassVar[bool] = True

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def run(self, make_worker: Callable, items: Iterable, watch: Callable = unheard) -> Iterator[tuple[Any, Any]]:
        self.tasks = list(items)
        yield from reversed(list(super().run(pickle.loads(pickle.dumps(make_worker)), self.tasks, watch)))


def assert_equal(found: list[CountTable], expected: list[CountTable]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one.counts) == list(other.counts)
        for name, column in other.counts.items():
            assert one.counts[name].dtype == column.dtype and torch.equal(one.counts[name], column), name


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divided, "TASK_BYTES", 1)


def test_tasks_are_whole_parts_and_not_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, scores = sparse_set(tmp_path)
    assert list(tasks_of(scores)) == [(0, 9), (9, 18), (18, 26)]  # the shards
    clip = 4 * scores.n_classes * scores.width
    small = replace(scores, part_bytes=clip)
    assert list(tasks_of(small)) == [(i, i + 1) for i in range(26)]
    monkeypatch.setattr(divided, "TASK_BYTES", 6 * clip - 1)
    assert list(tasks_of(small)) == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 25), (25, 26)]
    assert list(tasks_of(small.select([3, 11]))) == [(0, 2)]


@pytest.mark.parametrize("metric", ["event_based", "segment_based"])
def test_groups_are_summed_the_same_in_any_order(metric: str, tmp_path: Path) -> None:
    _, scores = sparse_set(tmp_path)
    stack, counted, group = Stack.from_config(STACK), Metric.make(metric), torch.arange(26) % 3
    told: list[int] = []
    for given in (scores, replace(scores, part_bytes=1)):
        found = divided_totals(given, stack, counted, group, 3, workers=Workers(Backwards()),
                               progress=lambda done, of: told.append(done))  # fmt: skip
        assert_equal(found, group_totals(scores, stack, counted, group, 3))
    assert told[-1] == 26 and 0 < min(filter(None, told)) < 26


def test_columns_that_change_in_some_parts_alone_are_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dense, scores = sparse_set(tmp_path, 20)
    metric, stack = SegmentBased(segment_length=scores.hop / 2), Stack.from_config(STACK)
    # Beyond so many segments, which the longest clips alone have, no column is fixed.
    monkeypatch.setattr(prepared, "_MOST", 2 * scores.width - 8)
    built = [metric.prepare(part) is None for part in replace(scores, part_bytes=1).parts()]
    assert any(built) and not all(built)
    expected = {name: column.long().sum(0) for name, column in sweep(dense, stack, metric).counts.items()}
    for size in (1, scores.part_bytes):
        given, one = replace(scores, part_bytes=size), torch.zeros(20, dtype=torch.int64)
        for workers in (None, Workers(Backwards())):
            (found,) = divided_totals(given, stack, metric, one, 1, workers=workers)
            for name, column in expected.items():
                assert torch.equal(found.counts[name][0], column.reshape(4, -1).expand(found.counts[name][0].shape))


@pytest.mark.parametrize("name", ["grid_search", "sgl_thresh", "heu_thresh", "num_thresh"])
def test_agents_choose_the_same_with_workers(name: str, tmp_path: Path) -> None:
    _, scores = sparse_set(tmp_path)
    agent, engine = make_agent(name), Backwards()
    task = TuningTask.build(scores, STACK)
    assert isinstance(task, StreamedTask)
    shared = task.counted_by(Workers(engine))
    one, other = (agent.fit(given, 0).post_processor.choose(scores) for given in (task, shared))
    assert torch.equal(other, one)
    assert engine.tasks == [(0, 9), (9, 18), (18, 26)]


def test_processes_give_the_same_though_one_is_killed_and_stages_come_from_a_plug_in(tmp_path: Path) -> None:
    _, scores = sparse_set(tmp_path / "shards")
    load_plugins([PLUGIN])
    metric = Metric.make({"metric": "test_dying", "file": str(tmp_path / "die")})
    stack, group = Stack.from_config(STACK), torch.arange(26) % 3
    (tmp_path / "die").touch()
    found = divided_totals(scores, stack, metric, group, 3, workers=Workers(Processes(2), (PLUGIN,)))
    assert not (tmp_path / "die").exists()  # one died of it
    assert_equal(found, group_totals(scores, stack, EventBased(), group, 3))


def test_a_worker_finds_the_shards_wherever_it_is_and_says_so_where_there_are_none_or_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, scores = sparse_set(tmp_path / "shards")
    monkeypatch.chdir(tmp_path)
    kept = pickle.dumps(read_scores("shards", in_parts=True))
    assert len(kept) < 2 * scores.n_clips * scores.n_classes * scores.width  # the scores do not travel
    monkeypatch.chdir("/")
    again = pickle.loads(kept)
    assert isinstance(again, StreamedScores) and torch.equal(again.join().scores, scores.join().scores)
    sparse_set(tmp_path / "others", 20)
    (tmp_path / "shards").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"A worker does not find the shards in '/.*shards'; have them .*machines\.$"):
        pickle.loads(kept)
    (tmp_path / "others").rename(tmp_path / "shards")
    with pytest.raises(UserError, match="A worker does not find"):
        pickle.loads(kept)
