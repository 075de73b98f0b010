"""Confidence: events that are not sure enough are no events."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import THRESHOLDS, Kind, Probability, Stage
from rl_postproc.stages.event_tools import kept


class Confidence(Stage):
    """Keeps the events whose confidence is strictly above the threshold: the event-level threshold of boxes.

    The default candidates end with 1, which no confidence exceeds.

    Source: Ebbers, Germain, Wichern and Le Roux, "Sound Event Bounding Boxes", Interspeech 2024 (arXiv 2406.04212).
    """

    stage: Literal["confidence"] = "confidence"
    threshold: Probability = Field(
        default=THRESHOLDS,
        description="an event's confidence must be above it",
    )

    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"
    on_frames: ClassVar[bool] = True
    decides_at: ClassVar[str | None] = "threshold"

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Compares each event with its track's threshold."""
        return kept(x, x.confidence > values["threshold"].to(x.confidence.dtype)[x.track])
