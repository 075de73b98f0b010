"""Shift: onsets and offsets move, each by its own time, earlier or later."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import MOST_SECONDS, Kind, Parameter, Stage, numbers_of
from rl_postproc.stages.event_tools import moved


def _difference(value: Any) -> Any:
    """Checks that the candidates are differences of times."""
    if any(abs(v) > MOST_SECONDS for v in numbers_of(value)):
        raise ValueError(f"times must lie in [-{MOST_SECONDS:g}, {MOST_SECONDS:g}]")
    return value


Difference = Annotated[Parameter, BeforeValidator(_difference), Field(json_schema_extra={"unit": "signed seconds"})]


class Shift(Stage):
    """Onsets move by ``onset`` and offsets by ``offset``, later where that is above 0, within their clip.

    An event that would end before it begins is no event; those that come to overlap are one. It corrects a detector whose
    boundaries lag, or whose events are too long, which `padding` cannot.
    """

    stage: Literal["shift"] = "shift"
    onset: Difference = Field(
        default=Parameter(candidates=(-0.2, -0.1, 0.0, 0.1, 0.2), default=0.0),
        description="how much later events begin",
    )
    offset: Difference = Field(
        default=Parameter(candidates=(-0.2, -0.1, 0.0, 0.1, 0.2), default=0.0), description="how much later events end"
    )

    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Moves both ends, drops what is left of no length, and joins what overlaps."""
        return moved(x, frames, values["onset"], values["offset"])
