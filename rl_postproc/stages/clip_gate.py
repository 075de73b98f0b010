"""Clip gate: a class is silent in a clip unless the clip as a whole says that it is there."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import Kind, Parameter, Probability, Stage


class ClipGate(Stage):
    """A track whose highest score is not above ``level`` becomes silent; the others stay as they are."""

    stage: Literal["clip_gate"] = "clip_gate"
    level: Probability = Field(
        default=Parameter(candidates=(0.0, 0.1, 0.3, 0.5, 0.7, 0.9), default=0.0),
        description="which the clip's highest score must exceed; 0 silences none",
    )

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    by_highest: ClassVar[bool] = True

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Silences whole tracks."""
        return self.of_highest(x, x.amax(0), **values)

    def of_highest(self, x: torch.Tensor, highest: torch.Tensor, **values: torch.Tensor) -> torch.Tensor:
        """See `Stage.of_highest`."""
        return x * (highest > values["level"].to(x.dtype))
