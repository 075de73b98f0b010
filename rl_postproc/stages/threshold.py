"""Threshold: scores become decisions."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import THRESHOLDS, Kind, Probability, Stage


class Threshold(Stage):
    """A frame is active where its score is strictly above the threshold. Scores and thresholds are float32.

    The default candidates end with 1, which no score exceeds: the empty decision.
    """

    stage: Literal["threshold"] = "threshold"
    threshold: Probability = Field(
        default=THRESHOLDS,
        description="a frame is active where its score is above it",
    )

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "decisions"
    decides_at: ClassVar[str | None] = "threshold"
    compares: ClassVar[tuple[str, ...]] = ("threshold",)

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Compares each track with its own threshold."""
        return x > values["threshold"].to(x.dtype)

    def reach(self, hop: float, **values: torch.Tensor) -> int:
        """See `Stage.reach`: each frame is decided by itself."""
        return 0
