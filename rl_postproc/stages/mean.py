"""Moving average over the scores of a track."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import Kind, Parameter, Seconds, Stage
from rl_postproc.stages.sorting_networks import EdgeMode, odd_kernel, pad_edges
from rl_postproc.stages.track_groups import by_value

_UNIT = 1 << 36
"""Scores are summed as whole numbers of this unit's parts, so that a window's sum does not depend on where sums begin."""


class MeanFilter(Stage):
    """Replaces each score by the mean of a window around it.

    The window is given in seconds and becomes the nearest odd number of frames; 0 leaves the scores as they are.
    ``edge`` names what lies outside the clip: ``reflect`` is scipy.ndimage.uniform_filter1d's, ``zeros`` its ``constant``.
    """

    stage: Literal["mean"] = "mean"
    kernel: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.2, 0.4, 0.8, 1.6), default=0.0),
        description="length of the window; 0 leaves the scores as they are",
    )
    edge: Literal["reflect", "zeros"] = Field(default="reflect", description="what lies outside the clip")

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Averages each track over its own window; sums are running ones, so that a long window costs no more."""
        edge: EdgeMode = self.edge

        def averaged(own: torch.Tensor, n_frames: torch.Tensor, kernel: float) -> torch.Tensor:
            width = odd_kernel(kernel, frames.hop)
            if width == 1:
                return own
            total = pad_edges((own.double() * _UNIT).round().long(), n_frames, width // 2, edge).cumsum(0)
            total = torch.cat([torch.zeros_like(total[:1]), total])
            return ((total[width:] - total[:-width]).double() / (_UNIT * width)).to(own.dtype).clamp(0, 1)

        return by_value(averaged, x, frames.n_frames, values["kernel"])

    def reach(self, hop: float, **values: torch.Tensor) -> int:
        """See `Stage.reach`: half the longest window."""
        return odd_kernel(float(values["kernel"].max()), hop) // 2
