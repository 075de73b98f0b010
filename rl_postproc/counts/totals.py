"""Counts of every candidate summed over clips: all that a search for constants needs, in memory that clips do not raise.

Counts are added to ``[class, candidate]`` totals chunk by chunk, and no table of clips is made. Clips may be summed in
groups, such as folds, in the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from rl_postproc.counts.grid import CHUNK_BYTES, ChunkCounter, Progress, chunks
from rl_postproc.counts.table import CountTable
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.sparse_clips import SparseClips
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.parallel import in_threads

MOST_CHUNK = 64
"""By how much the chunks of sparse clips may be larger, so that those of few tracks are not too small."""


@dataclass(frozen=True)
class _Counted:
    """Counts of consecutive clips.

    Attributes:
        clips: which ones.
        fixed: columns that no candidate changes, ``[clip, class]``.
        silence: what silence counts in the others, where that is not 0, ``[clip, class]``.
        changing: number of the stack's branch, name, ``clip * n_classes + class`` from the first clip on ``[track]``, and
            counts less those of silence ``[track, candidate]``.
    """

    clips: slice
    fixed: Counts
    silence: Counts
    changing: list[tuple[int, str, torch.Tensor, torch.Tensor]]


def sweep_totals(
    scores: ScoreSet, stack: Stack, metric: Metric, *, progress: Progress | None = None, chunk_bytes: int | None = None
) -> CountTable:
    """Counts every candidate of the stack and keeps the sums over clips alone.

    Args:
        scores: the score set, with references; one that is read in parts is read once.
        stack: the stages with their candidates.
        metric: what is counted.
        progress: called after every chunk of clips.
        chunk_bytes: memory for the filtered levels of one chunk; by default what suits the device.

    Returns:
        A table as of one clip, in int64, whose totals are those of all clips.
    """
    group = torch.zeros(scores.n_clips, dtype=torch.int64)
    return group_totals(scores, stack, metric, group, 1, progress=progress, chunk_bytes=chunk_bytes)[0]


def group_totals(
    scores: ScoreSet,
    stack: Stack,
    metric: Metric,
    group: torch.Tensor,
    n_groups: int,
    *,
    progress: Progress | None = None,
    chunk_bytes: int | None = None,
) -> list[CountTable]:
    """Counts as `sweep_totals` does, and sums over the clips of each group.

    Args:
        scores: as there.
        stack: as there.
        metric: as there.
        group: of each clip, int64 ``[clip]``.
        n_groups: number of groups.
        progress: as there.
        chunk_bytes: as there.

    Returns:
        A table as of one clip for each group.
    """
    n_classes, device, group = scores.n_classes, scores.device, group.to(scores.device)
    fixed: Counts = {}
    silence: Counts = {}
    changing: dict[str, list[torch.Tensor]] = {}
    for found in _counted(scores, stack, metric, chunk_bytes):
        own = group[found.clips]
        for totals, columns in ((fixed, found.fixed), (silence, found.silence)):
            for name, column in columns.items():
                start = torch.zeros(n_groups, n_classes, dtype=torch.int64, device=device)
                totals.setdefault(name, start).index_add_(0, own, column.long())
        for branch, name, track, counts in found.changing:
            if name not in changing:
                changing[name] = [
                    torch.zeros(n_groups * n_classes, part.space.n_candidates, dtype=torch.int64, device=device)
                    for part in stack.branches
                ]
            row = own[track // n_classes] * n_classes + track % n_classes
            changing[name][branch].index_add_(0, row, counts.long())
        if progress:
            progress(found.clips.stop, scores.n_clips)
    tables = []
    for g in range(n_groups):
        columns: Counts = {name: column[g][None] for name, column in fixed.items()}
        for name, parts in changing.items():
            total = torch.cat([part.reshape(n_groups, n_classes, -1)[g] for part in parts], 1)
            for known in (fixed, silence):  # a column may change with candidates in some parts alone
                total = total + known[name][g][:, None] if name in known else total
            columns[name] = total[None]
        tables.append(CountTable({name: columns[name] for name in metric.columns}, metric, stack.space))
    return tables


def added(tables: list[CountTable]) -> CountTable:
    """Returns the sums of tables as of one clip, such as those of all groups."""
    counts = {name: torch.stack([table.counts[name] for table in tables]).sum(0) for name in tables[0].counts}
    return CountTable(counts, tables[0].metric, tables[0].space)


def _counted(scores: ScoreSet, stack: Stack, metric: Metric, chunk_bytes: int | None) -> Iterator[_Counted]:
    """Yields the counts of consecutive clips, chunk by chunk or part by part."""
    if not isinstance(scores, StreamedScores):
        yield from _of_set(scores, stack, metric, chunk_bytes)
        return
    # Chunks go by all tracks; of sparse clips they would hold few that are counted.
    larger = min(MOST_CHUNK, round(1 / max(scores.density, 1 / MOST_CHUNK)))
    size = (chunk_bytes or CHUNK_BYTES["cpu"]) * larger

    def count(piece: tuple[slice, Callable[[], SparseClips]]) -> list[_Counted]:
        return list(_of_set(scores.dense(piece[1]()), stack, metric, size))

    for (clips, _), parts in in_threads(count, scores.pieces(), scores.device):
        for part in parts:
            yield replace(part, clips=slice(clips.start + part.clips.start, clips.start + part.clips.stop))


def _of_set(scores: ScoreSet, stack: Stack, metric: Metric, chunk_bytes: int | None) -> Iterator[_Counted]:
    """Yields the counts of a score set, and first those that are no candidate's."""
    for branch, part in enumerate(stack.branches):
        counter = ChunkCounter(scores, part, metric)
        if branch == 0:
            yield _Counted(slice(0, scores.n_clips), counter.fixed, counter.silence, [])
        for clips, (tracks, counts) in in_threads(counter.count, chunks(scores, part, chunk_bytes), scores.device):
            named = zip(counter.names, counts, strict=True)
            yield _Counted(clips, {}, {}, [(branch, name, tracks, column) for name, column in named])
