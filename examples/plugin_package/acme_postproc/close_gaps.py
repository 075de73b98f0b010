"""A stage on decisions: short gaps between active frames are closed."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from rl_postproc.data.frames import Frames
from rl_postproc.stages import Kind, Parameter, Seconds, Stage


class CloseGaps(Stage):
    """Closes gaps of at most this length between two active stretches of a track."""

    stage: Literal["close_gaps"] = "close_gaps"
    gap: Seconds = Parameter(candidates=(0.0, 0.2, 0.5), default=0.0)

    takes: ClassVar[Kind] = "decisions"
    gives: ClassVar[Kind] = "decisions"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Fills each inactive frame whose gap, from the last active frame to the next, is short enough."""
        frame = torch.arange(len(x), device=x.device)[:, None]
        last = torch.where(x, frame, -1).cummax(0).values
        following = torch.where(x, frame, len(x)).flip(0).cummin(0).values.flip(0)
        length = following - last - 1
        inside = (last >= 0) & (following < len(x))
        return x | (inside & (length <= (values["gap"] / frames.hop).round()))
