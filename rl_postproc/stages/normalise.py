"""Normalisation: the highest score of a clip and class moves towards 1."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import Kind, Parameter, Probability, Stage


class Normalise(Stage):
    """Divides the scores of a track by their maximum to the power of ``strength``: 0 leaves them, 1 makes the highest 1."""

    stage: Literal["normalise"] = "normalise"
    strength: Probability = Field(
        default=Parameter(candidates=(0.0, 0.25, 0.5, 0.75, 1.0), default=0.0),
        description="exponent of the clip's highest score, by which scores are divided",
    )

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    by_highest: ClassVar[bool] = True

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Divides whole tracks; silent ones stay silent."""
        return self.of_highest(x, x.amax(0), **values)

    def of_highest(self, x: torch.Tensor, highest: torch.Tensor, **values: torch.Tensor) -> torch.Tensor:
        """See `Stage.of_highest`."""
        most = highest.double()
        scale = torch.where(most > 0, most, 1.0) ** values["strength"].double()
        return (x.double() / scale).to(x.dtype).clamp(max=1)
