"""Sparse shards that several tests share."""

from __future__ import annotations

from pathlib import Path

from cases import small_simulation

from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats.scores.shards import SparseShards, read_shards, write_sparse_shards

FLOOR = 0.3


def sparse_set(folder: Path, n_clips: int = 26, n_classes: int = 4) -> tuple[ScoreSet, StreamedScores]:
    """Returns a simulated set whose clips differ in length, and the same as sparse shards of some clips each."""
    scores = small_simulation(n_clips, n_classes, short=0.4)
    parts = [scores.select(range(first, min(first + 9, n_clips))) for first in range(0, n_clips, 9)]
    write_sparse_shards(parts, folder, floor=FLOOR)
    shards = read_shards(folder)
    assert isinstance(shards, SparseShards)
    return scores, shards.streamed()
