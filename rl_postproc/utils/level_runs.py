"""The distinct runs of active frames over all levels: each exists at the levels between two."""

from __future__ import annotations

from typing import NamedTuple

import torch

from rl_postproc.utils.pyramid import RangePyramid


class LevelRuns(NamedTuple):
    """Runs, int64 ``[run]``: at level ``j`` with ``low <= j < high`` the frames above ``j`` around it are just these.

    Attributes:
        track: track of each.
        first: first frame.
        last: last frame.
        filter: filter setting.
        low: first level.
        high: one after the last.
    """

    track: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    filter: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


def level_runs(values: torch.Tensor) -> LevelRuns:
    """Returns the distinct runs of ``[filter, frame, track]``, whole numbers of at least 0.

    The run around a frame at its own level reaches to the nearest smaller value on either side, so that a track has at most
    as many runs as frames: O(frames log frames), whatever the number of levels.
    """
    _, width, n_tracks = values.shape
    padded = torch.nn.functional.pad(values, (0, 0, 1, 1))
    # A run's least frame differs from the one before it, or the frames before are the same run.
    number, frame, track = ((values > 0) & (values != padded[:, :width])).nonzero().unbind(1)
    levels = RangePyramid(padded, torch.minimum).levels
    n_powers, flat = levels.shape[1], levels.reshape(-1)
    base = number * levels[0].numel() + track
    level = values[number, frame, track]
    first, last = frame + 1, frame + 1
    for power in range(n_powers - 1, -1, -1):
        behind, begin = first - 2**power, base + power * (width + 2) * n_tracks
        covers = (behind >= 1) & (flat[begin + behind.clamp(min=0) * n_tracks] > level)
        first = torch.where(covers, behind, first)
    # Where the nearest frame that is no higher is as high, that frame stands for the same run.
    kept = (flat[base + (first - 1) * n_tracks] < level).nonzero()[:, 0]
    number, track, base, level, first, last = (x[kept] for x in (number, track, base, level, first, last))
    for power in range(n_powers - 1, -1, -1):
        ahead, begin = (last + 1).clamp(max=width + 1), base + power * (width + 2) * n_tracks
        last = torch.where(flat[begin + ahead * n_tracks] >= level, last + 2**power, last)
    low = torch.maximum(flat[base + (first - 1) * n_tracks], flat[base + (last + 1) * n_tracks])
    return LevelRuns(track, first - 1, last - 1, number, low.long(), level.long())
