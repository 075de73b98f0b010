"""Median filter over the scores of a track."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import Kind, Parameter, Seconds, Stage
from rl_postproc.stages.majority import majority_filter
from rl_postproc.stages.majority_votes import LONGEST, Levels, filter_by_votes, votes_a_level
from rl_postproc.stages.sorting_networks import EdgeMode, comparisons, filter_by_sorting, odd_kernel
from rl_postproc.stages.track_groups import by_value

ORDERING = 6
"""How many levels' votes take as long as finding the levels and ordering the tracks by their number."""
SAMPLED = 16
"""Of so many tracks one is looked at to estimate how many levels there are."""


class MedianFilter(Stage):
    """Replaces each score by the median of a window around it.

    The window is given in seconds and becomes the nearest odd number of frames; 0 leaves the scores as they are.
    ``edge`` names what lies outside the clip, see `median_filter`.
    """

    stage: Literal["median"] = "median"
    kernel: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.2, 0.32, 0.58, 0.83, 1.2, 1.7, 2.5, 3.6, 5.4), default=0.0),
        description="length of the window; 0 leaves the scores as they are",
    )
    edge: EdgeMode = Field(
        default="reflect", description="what lies outside the clip: scipy.ndimage, scipy.signal, -inf"
    )

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    monotone: ClassVar[bool] = True

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Filters each track with its own kernel, grouping the tracks by kernel."""

        def filtered(own: torch.Tensor, n_frames: torch.Tensor, kernel: float) -> torch.Tensor:
            if own.dtype == torch.uint8:
                return majority_filter(own, n_frames, odd_kernel(kernel, frames.hop), self.edge)
            return self._filter(own, n_frames, [odd_kernel(kernel, frames.hop)])[0]

        return by_value(filtered, x, frames.n_frames, values["kernel"])

    def reach(self, hop: float, **values: torch.Tensor) -> int:
        """See `Stage.reach`: half the longest window."""
        return odd_kernel(float(values["kernel"].max()), hop) // 2

    def sweep(self, x: torch.Tensor, frames: Frames) -> torch.Tensor:
        """Filters with all kernels together, sharing the sorting."""
        return self._filter(x, frames.n_frames, [odd_kernel(k, frames.hop) for k in self.kernel.candidates])

    def _filter(self, x: torch.Tensor, n_frames: torch.Tensor, kernels: list[int]) -> torch.Tensor:
        """Filters, and keeps scores in [0, 1] where a window lies for the most part beyond the clip (``lowest``)."""
        return median_filter(x, n_frames, kernels, self.edge).clamp_(min=0)


def median_filter(
    x: torch.Tensor, n_frames: torch.Tensor, kernels: Sequence[int], edge: EdgeMode = "reflect"
) -> torch.Tensor:
    """Filters every track with every kernel, in the way that promises to be the faster one.

    Args:
        x: ``[frame, track]``, any real dtype, 0 beyond a track's last frame.
        n_frames: valid frames of each track, int64 ``[track]``; a track ends there for the filter too.
        kernels: odd numbers of frames.
        edge: what lies outside a track. ``reflect`` is ``scipy.ndimage.median_filter(mode="reflect")`` (the DCASE
            baselines), ``zeros`` is ``scipy.signal.medfilt``, ``lowest`` is sed_scores_eval's −inf (0 for integers).

    Returns:
        ``[kernel, frame, track]`` of the same dtype, 0 beyond a track's last frame.

    Example:
        >>> import torch
        >>> from rl_postproc.stages.median import median_filter
        >>> x = torch.tensor([0.1, 0.9, 0.2, 0.8, 0.7])[:, None]
        >>> median_filter(x, torch.tensor([5]), kernels=[1, 3])[..., 0]  # [kernel, frame]
        tensor([[0.1000, 0.9000, 0.2000, 0.8000, 0.7000],
                [0.1000, 0.2000, 0.8000, 0.7000, 0.7000]])
    """
    if any(k < 1 or k % 2 == 0 for k in kernels):
        raise ValueError(f"Kernels must be odd numbers of frames, got {list(kernels)}.")
    if x.dtype == torch.uint8 and x.numel() and 1 < max(kernels) <= LONGEST:
        most_levels = comparisons(kernels) / votes_a_level(kernels) - ORDERING
        if most_levels > 0 and float(Levels.of(x[:, ::SAMPLED]).count.double().mean()) < most_levels:
            return filter_by_votes(x, n_frames, kernels, edge)
    return filter_by_sorting(x, n_frames, kernels, edge)
