"""Padding: events begin earlier and end later."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import Kind, Parameter, Seconds, Stage
from rl_postproc.stages.event_tools import moved


class Padding(Stage):
    """Events begin ``before`` earlier and end ``after`` later, within their clip; those that overlap then become one.

    Source: ``pad_onset`` and ``pad_offset`` of pyannote.audio's ``Binarize``.
    """

    stage: Literal["padding"] = "padding"
    before: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.05, 0.1, 0.2), default=0.0), description="how much earlier events begin"
    )
    after: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.05, 0.1, 0.2), default=0.0), description="how much later events end"
    )

    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Moves both ends, and joins what overlaps."""
        return moved(x, frames, -values["before"], values["after"])
