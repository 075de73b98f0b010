"""Gap filling: events of a track with little silence between them become one."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import DECIMALS, Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import Kind, Parameter, Seconds, Stage
from rl_postproc.stages.event_tools import joined


class GapFill(Stage):
    """Gaps shorter than a length are filled; the event is as sure as the surest of those it is made of.

    Source: ``min_duration_off`` of pyannote.audio's ``Binarize``.
    """

    stage: Literal["gap_fill"] = "gap_fill"
    gap: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.1, 0.2, 0.4, 0.8), default=0.0),
        description="gaps shorter than this are filled; 0 fills none",
    )

    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"
    on_frames: ClassVar[bool] = True

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Joins each event with the one before it where the gap is short."""
        gap = (x.onset[1:] - x.offset[:-1]).round(decimals=DECIMALS)
        return joined(x, gap < values["gap"].double().round(decimals=DECIMALS)[x.track[1:]])
