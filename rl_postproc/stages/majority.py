"""One median filter of one or two levels, as constants need it; `rl_postproc.stages.majority_votes` serves sweeps.

A median is above a level where most of its window is, which running sums tell.
"""

from __future__ import annotations

import torch

from rl_postproc.stages.sorting_networks import EdgeMode, pad_edges


def majority_filter(x: torch.Tensor, n_frames: torch.Tensor, kernel: int, edge: EdgeMode = "reflect") -> torch.Tensor:
    """Filters levels as `rl_postproc.stages.median.median_filter` does, in less time where these are few.

    Args:
        x: levels ``[frame, track]``, uint8, 0 beyond a track's last frame.
        n_frames: valid frames of each track, int64 ``[track]``.
        kernel: an odd number of frames.
        edge: what lies outside a track.

    Returns:
        ``[frame, track]``; beyond a track's last frame is what its window sees.
    """
    if kernel == 1:
        return x
    padded = _padded(x, n_frames, kernel // 2, edge)
    counts = torch.uint8 if kernel < 256 else torch.int32
    found = torch.zeros_like(x.T, memory_format=torch.contiguous_format)
    for level in range(int(x.max()) if x.numel() else 0):
        found += _window_sums((padded > level).to(counts), kernel) > kernel // 2
    return found.T


def _window_sums(x: torch.Tensor, size: int) -> torch.Tensor:
    """Returns the sums over ``size`` successive frames of ``[track, frame]``, from those over 1, 2, 4, … of them."""
    n = x.shape[1] - size + 1
    total, begin, power = None, 0, 1
    while power <= size:
        if size & power:
            own = x[:, begin : begin + n]
            total, begin = own if total is None else total + own, begin + power
        x, power = x[:, :-power] + x[:, power:], 2 * power
    assert total is not None
    return total


def _padded(x: torch.Tensor, n_frames: torch.Tensor, radius: int, edge: EdgeMode) -> torch.Tensor:
    """Returns what `pad_edges` does of ``[frame, track]``, as ``[track, frame]``."""
    if edge != "reflect" or radius > len(x) or not bool((n_frames == len(x)).all()):
        return pad_edges(x, n_frames, radius, edge).T.contiguous()
    own = x.T
    return torch.cat([own[:, :radius].flip(1), own, own[:, len(x) - radius :].flip(1)], 1)
