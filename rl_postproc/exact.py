"""The exact sweep: counts at every threshold there is, not on a grid, and the best of them.

Within a track only the order of its scores matters. Scores become ranks, a median filter commutes with that map, and
the counts are found in small integers as on a grid (`rl_postproc.sweep`), only that every track has its own levels.
What comes out is sparse: the scores at which a count changes.
"""

from __future__ import annotations

import torch

from rl_postproc.arrays import argsort, divide, places
from rl_postproc.errors import UserError
from rl_postproc.metrics import Metric, PreparedMetric
from rl_postproc.parallel import in_threads
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack
from rl_postproc.step_counts import BestThresholds, StepCounts
from rl_postproc.sweep import Progress, chunks

__all__ = ["BestThresholds", "StepCounts", "sweep_exact"]


def sweep_exact(
    scores: ScoreSet,
    stack: Stack,
    metric: Metric,
    *,
    progress: Progress | None = None,
    chunk_bytes: int | None = None,
) -> StepCounts:
    """Counts every filter setting of the stack at every threshold, for every clip and class.

    Args:
        scores: the score set, with references.
        stack: the stages with their candidates; those of the threshold do not matter.
        metric: what is counted.
        progress: called after every chunk of clips.
        chunk_bytes: memory for the filtered ranks of one chunk; by default what suits the device.

    Returns:
        The steps, on the device of the scores.

    Raises:
        UserError: the stack does not end with a threshold.
    """
    if not stack.ends_with_threshold:
        raise UserError("Counts at all thresholds need a stack whose last stage is 'threshold'; reorder the stack, or "
                        "sweep its candidates.")  # fmt: skip
    prepared = metric.prepare(scores)

    def count(clips: slice) -> tuple[torch.Tensor, ...]:
        return _count_chunk(scores, stack, prepared, clips)

    parts = []
    for clips, part in in_threads(count, chunks(scores, stack, chunk_bytes), scores.device):
        parts.append(part)
        if progress:
            progress(clips.stop, scores.n_clips)
    cell, value, true_positives, estimated = (torch.cat(column) for column in zip(*parts, strict=True))
    return StepCounts(cell, value, true_positives, estimated, prepared.reference, stack.space)


def _count_chunk(scores: ScoreSet, stack: Stack, prepared: PreparedMetric, clips: slice) -> tuple[torch.Tensor, ...]:
    """Returns the columns of `StepCounts` of consecutive clips."""
    x = scores.scores[clips].flatten(0, 1)
    n_frames = scores.n_frames[clips].repeat_interleave(scores.n_classes)
    if all(stage.monotone for stage in stack.filters):
        ranks, value_of_rank = _ranks(x)
        values = stack.sweep(ranks.T.contiguous(), n_frames, scores.hop, stack.filters)
    else:
        filtered = stack.sweep(x.T.contiguous(), n_frames, scores.hop, stack.filters)
        ranks, value_of_rank = _ranks(filtered.transpose(1, 2).flatten(0, 1))
        values = ranks.reshape(len(filtered), len(x), -1).transpose(1, 2).contiguous()
    n_filters, width, n_tracks = values.shape
    # [track, filter, rank], so that the steps come out in the order of their cells. True positives are kept in the
    # upper half of each number, so that one table holds both counts.
    n_rows, n_ranks = n_tracks * n_filters, width + 1
    first_of_row = torch.arange(n_rows, device=x.device).reshape(n_tracks, n_filters).T.flatten() * n_ranks
    bits, whole, half = (16, torch.int32, torch.int16) if width < 1 << 15 else (32, torch.int64, torch.int32)
    changes = torch.zeros(n_rows * n_ranks, dtype=whole, device=x.device)
    for found, shift in zip(prepared.intervals(values, clips), (bits, 0), strict=True):
        row, weight = first_of_row.index_select(0, found.track), found.weight.to(whole) << shift
        changes.scatter_add_(0, row + found.high, weight)
        changes.scatter_add_(0, row + found.low, -weight)
    changes.reshape(n_rows, n_ranks)[:, 0] = 0  # no threshold lies below rank 0
    place = places(changes != 0)
    row = divide(place, n_ranks)
    changes = changes.index_select(0, place)
    estimated = changes.to(half)
    true_positives = ((changes - estimated) >> bits).to(half)
    dtype = torch.int32 if scores.n_clips * scores.n_classes * n_filters < 1 << 31 else torch.int64
    track = divide(row, n_filters)
    own = track if len(value_of_rank) == n_tracks else (row - track * n_filters) * n_tracks + track
    value = value_of_rank.flatten().index_select(0, place + (own - row) * n_ranks)
    return (row + clips.start * scores.n_classes * n_filters).to(dtype), value, true_positives, estimated


def _ranks(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the rank of each score among the distinct positive scores of its row, from 1; zeros have rank 0.

    Args:
        x: scores of at least 0, ``[row, frame]``.

    Returns:
        Ranks in the narrowest integer ``[row, frame]``, and the score of each rank, float32 ``[row, frame + 1]``.
    """
    width = x.shape[1]
    dtype = torch.uint8 if width < 1 << 8 else torch.int16 if width < 1 << 15 else torch.int32
    order = argsort(x)
    value = x.gather(1, order)
    rank = (value > torch.nn.functional.pad(value[:, :-1], (1, 0))).cumsum(1)
    value_of_rank = x.new_zeros(len(x), width + 1).scatter_(1, rank, value)
    return torch.empty(x.shape, dtype=dtype, device=x.device).scatter_(1, order, rank.to(dtype)), value_of_rank
