"""Counting score sets that arrive one after another."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from cases import small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts.grid import sweep, sweep_stream
from rl_postproc.counts.table import CountTable
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.scores.shards import read_shards, write_shards
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError

STACK = Stack.default()


def split(scores: ScoreSet, ends: list[int]) -> list[ScoreSet]:
    bounds = [0, *sorted(set(ends)), scores.n_clips]
    return [scores.select(range(a, b)) for a, b in pairwise(bounds) if b > a]


def assert_same_table(found: CountTable, expected: CountTable) -> None:
    assert list(found.counts) == list(expected.counts) == ["true_positives", "estimated", "reference"]
    for name, column in expected.counts.items():
        assert torch.equal(found.counts[name], column), name
    assert found.space == expected.space


@settings(max_examples=25)
@given(st.integers(0, 5), st.lists(st.integers(0, 12), max_size=5), st.integers(1, 1 << 20))
def test_a_stream_counts_as_the_whole_does(seed: int, ends: list[int], chunk_bytes: int) -> None:
    scores = small_simulation(12, seed=seed)
    found = sweep_stream(split(scores, ends), STACK, EventBased(), chunk_bytes=chunk_bytes)
    assert_same_table(found, sweep(scores, STACK, EventBased()))


def test_tracks_that_need_wider_integers_widen_the_table() -> None:
    """300 runs in one track do not fit a byte; the tracks before and after it do."""
    frames = torch.zeros(3, 1, 600)
    frames[1, 0, ::2] = 0.7
    edges = torch.arange(601, dtype=torch.float64) * 0.1
    simulated = small_simulation(3, 1)
    references = simulated.require_references()
    scores = ScoreSet.build(frames, edges, simulated.clip_ids, simulated.classes, references=references)
    stack = Stack.from_config([{"stage": "threshold", "threshold": [0.2, 0.5, 0.8]}])
    table = sweep_stream(split(scores, [1, 2]), stack, EventBased(), chunk_bytes=1)
    assert table.counts["estimated"][:, 0].tolist() == [[0, 0, 0], [300, 300, 0], [0, 0, 0]]
    assert table.counts["true_positives"].dtype == torch.uint8
    assert_same_table(table, sweep(scores, stack, EventBased()))


def test_progress_counts_over_all_parts() -> None:
    scores, seen = small_simulation(7), []
    sweep_stream(split(scores, [3, 5]), STACK, EventBased(), n_clips=7, progress=lambda *at: seen.append(at),
                 chunk_bytes=1)  # fmt: skip
    assert seen == [(i + 1, 7) for i in range(7)]


def test_parts_of_other_classes_and_no_parts_are_refused() -> None:
    parts = [small_simulation(2, 2), small_simulation(2, 3)]
    with pytest.raises(UserError, match="make them equal"):
        sweep_stream(parts, STACK, EventBased())
    with pytest.raises(UserError, match="at least one"):
        sweep_stream([], STACK, EventBased())


def test_shards_on_disk_are_counted_one_after_another(tmp_path: Path) -> None:
    scores = small_simulation(11, short=0.5)
    write_shards(scores, tmp_path, shard_bytes=4 * scores.n_classes * scores.width * 4)
    shards = read_shards(tmp_path)
    assert len(shards) == 3
    assert_same_table(sweep_stream(shards, STACK, EventBased()), sweep(scores, STACK, EventBased()))
