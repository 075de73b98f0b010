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
    as many runs as frames: O(frames log frames), whatever the number of levels. Successive frames of one value count as one.
    """
    n_filters, width, n_tracks = values.shape
    # All tracks in a row, a silent frame before each and at the end, between which no run reaches.
    line = values.new_zeros(n_filters * n_tracks * (width + 1) + 1)
    line[:-1].view(n_filters, n_tracks, width + 1)[..., 1:] = values.transpose(1, 2)
    begin = torch.nn.functional.pad((line[1:] != line[:-1]).nonzero()[:, 0] + 1, (1, 0))
    level = line[begin]
    levels = RangePyramid(level[None, :, None], torch.minimum).levels[0, :, :, 0]
    place = (level > 0).nonzero()[:, 0]
    first, own = place, level[place]
    for power in range(len(levels) - 1, -1, -1):
        behind = first - 2**power
        first = torch.where((behind >= 1) & (levels[power][behind.clamp(min=0)] > own), behind, first)
    # Where the nearest value that is no higher is as high, that one stands for the same run.
    kept = (level[first - 1] < own).nonzero()[:, 0]
    first, own = first[kept], own[kept]
    last = place[kept]
    for power in range(len(levels) - 1, -1, -1):
        ahead = (last + 1).clamp(max=len(level) - 1)
        last = torch.where(levels[power][ahead] >= own, last + 2**power, last)
    low = torch.maximum(level[first - 1], level[last + 1])
    row = begin[first] // (width + 1)
    start = row * (width + 1) + 1
    return LevelRuns(
        row % n_tracks, begin[first] - start, begin[last + 1] - 1 - start, row // n_tracks, low.long(), own.long()
    )
