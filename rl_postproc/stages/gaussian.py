"""Gaussian smoothing of the scores of a track."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import Kind, Parameter, Seconds, Stage
from rl_postproc.stages.sorting_networks import EdgeMode, pad_edges
from rl_postproc.stages.track_groups import by_value

_REACH = 4.0
"""Standard deviations after which the window ends, as scipy has it."""


class GaussianFilter(Stage):
    """Replaces each score by a weighted mean of those around it, with weights of a bell of so many seconds.

    ``edge`` names what lies outside the clip: ``reflect`` is scipy.ndimage.gaussian_filter1d's, ``zeros`` its ``constant``.
    """

    stage: Literal["gaussian"] = "gaussian"
    deviation: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.05, 0.1, 0.2, 0.4), default=0.0),
        description="standard deviation of the weights; 0 leaves the scores as they are",
    )
    edge: Literal["reflect", "zeros"] = Field(default="reflect", description="what lies outside the clip")

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Smooths each track with its own weights."""
        edge: EdgeMode = self.edge

        def smoothed(own: torch.Tensor, n_frames: torch.Tensor, deviation: float) -> torch.Tensor:
            reach = _reach(deviation, frames.hop)
            if not reach:
                return own
            weights = [math.exp(-0.5 * (i * frames.hop / deviation) ** 2) for i in range(-reach, reach + 1)]
            padded, found = pad_edges(own.double(), n_frames, reach, edge), torch.zeros_like(own, dtype=torch.float64)
            whole = math.fsum(weights)
            for i, weight in enumerate(weights):
                found += weight / whole * padded[i : i + len(own)]
            return found.to(own.dtype).clamp(0, 1)

        return by_value(smoothed, x, frames.n_frames, values["deviation"])

    def reach(self, hop: float, **values: torch.Tensor) -> int:
        """See `Stage.reach`: where the widest bell ends."""
        return _reach(float(values["deviation"].max()), hop)


def _reach(deviation: float, hop: float) -> int:
    """Returns the frames on either side that have a weight."""
    return int(_REACH * deviation / hop + 0.5)
