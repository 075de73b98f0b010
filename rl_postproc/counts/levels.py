"""Levels: scores as the number of thresholds below them, filtered, and counts tabulated along them."""

from __future__ import annotations

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Intervals
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Stage
from rl_postproc.utils.tensors import has_numpy

BINS = 1 << 12
"""Bins of scores among which thresholds are looked up."""


def audible_tracks(scores: ScoreSet, stack: Stack, clips: slice) -> torch.Tensor:
    """Returns the tracks of which some score is above the lowest threshold; the others decode to nothing."""
    x = scores.scores[clips].flatten(0, 1)
    lowest = None
    if stack.threshold is not None:
        lowest = float(thresholds_of(stack.threshold, x.device)[0])
    elif stack.after and stack.after[0].sure_as_scores and len(stack.after) == 1 and stack.least_sure is not None:
        lowest = stack.least_sure
    if lowest is None or not all(stage.monotone for stage in stack.filters):
        return torch.arange(len(x), device=x.device)
    return (x.amax(1) > lowest).nonzero()[:, 0]


def filtered_levels(
    scores: ScoreSet, stack: Stack, clips: slice, tracks: torch.Tensor | None = None
) -> tuple[torch.Tensor, int]:
    """Filters tracks of consecutive clips with every setting of the stages before the threshold.

    Args:
        scores: the score set.
        stack: stages with their candidates, among them one that decides at levels.
        clips: consecutive clips.
        tracks: which of the clips' tracks (clip-major, then class), int64 ``[track]``; all when None.

    Returns:
        Levels ``[filter, frame, track]`` in the narrowest integer, and their number: at level ``j`` a frame is active
        where its value is above ``j``.
    """
    x, frames = scores.scores[clips].flatten(0, 1), scores.frames_of(clips)
    if tracks is not None and len(tracks) < len(x):
        x, frames = x[tracks], frames.select(tracks)
    assert stack.threshold is not None
    thresholds = thresholds_of(stack.threshold, x.device)
    if all(stage.monotone for stage in stack.filters):
        return stack.filter_all(levels_of(x, thresholds).T.contiguous(), frames), len(thresholds)
    return levels_of(stack.filter_all(x.T.contiguous(), frames), thresholds), len(thresholds)


def thresholds_of(stage: Stage, device: torch.device) -> torch.Tensor:
    """Returns the candidates of a stage that decides at levels, float32 ``[threshold]``."""
    return torch.tensor(stage.parameters[str(stage.decides_at)].candidates, device=device)


def levels_of(scores: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Returns the number of thresholds strictly below each score, in the narrowest integer that holds it."""
    if has_numpy(scores) and scores.numel() > BINS and len(thresholds) < 256:
        # Of bins so narrow that each has one threshold at most, one comparison is left of the bisection.
        below = torch.bucketize(torch.arange(BINS + 2, device=scores.device) / BINS, thresholds)
        least, most = scores.aminmax()
        if int(below.diff().max()) <= 1 and bool(least >= 0) and bool(most <= 1) and scores.dtype == torch.float32:
            own = torch.nn.functional.pad(thresholds, (0, 1), value=torch.inf)[below[:-1]]
            place = (scores.flatten() * BINS).int()  # exact: a power of two
            above = (scores.flatten() > own.index_select(0, place)).view(torch.uint8)
            return above.add_(below[:-1].to(torch.uint8).index_select(0, place)).view(scores.shape)
    dtype = torch.uint8 if len(thresholds) < 256 else torch.int16
    return torch.bucketize(scores, thresholds, out_int32=True).to(dtype)


def tabulate(intervals: Intervals, n_tracks: int, n_levels: int, dtype: torch.dtype) -> torch.Tensor:
    """Adds intervals of levels into counts ``[track, level]``."""
    change = torch.zeros(n_tracks * (n_levels + 1), dtype=dtype, device=intervals.track.device)
    row, weight = intervals.track * (n_levels + 1), intervals.weight.to(dtype)
    change.scatter_add_(0, row + intervals.low, weight)
    change.scatter_add_(0, row + intervals.high, -weight)
    return change.reshape(n_tracks, n_levels + 1)[:, :n_levels].cumsum(1, dtype=dtype)


def narrowest(counts: torch.Tensor) -> torch.Tensor:
    """Returns whole numbers in the narrowest of uint8, int16 and int32 that holds them."""
    low, high = (int(counts.amin()), int(counts.amax())) if counts.numel() else (0, 0)
    if low >= 0 and high < 1 << 8:
        return counts.to(torch.uint8)
    return counts.to(torch.int16 if max(-low, high) < 1 << 15 else torch.int32)
