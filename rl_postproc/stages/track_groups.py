"""Tracks that share a parameter value are worked on together."""

from __future__ import annotations

from collections.abc import Callable

import torch


def by_value(
    function: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor],
    x: torch.Tensor,
    n_frames: torch.Tensor,
    values: torch.Tensor,
) -> torch.Tensor:
    """Applies a function once for each different value, to all tracks that have it; silent beyond each track's end.

    Args:
        function: of scores ``[frame, track]``, their numbers of frames and the value.
        x: scores ``[frame, track]``.
        n_frames: valid frames of each track, int64 ``[track]``.
        values: of each track, ``[track]``.
    """
    chosen, group = torch.unique(values, return_inverse=True)
    out = x.clone()
    for i, value in enumerate(chosen.tolist()):
        tracks = (group == i).nonzero()[:, 0]
        out[:, tracks] = function(x[:, tracks], n_frames[tracks], value)
    return out * (torch.arange(len(x), device=x.device)[:, None] < n_frames)
