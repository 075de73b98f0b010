"""Duration: events that are too short or too long are no events."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.data.frames import DECIMALS, Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import MOST_SECONDS, Kind, Parameter, Seconds, Stage
from rl_postproc.stages.event_tools import kept


class Duration(Stage):
    """Drops events that are shorter than ``shortest`` or longer than ``longest``.

    Source: ``min_duration_on`` of pyannote.audio's ``Binarize``.
    """

    stage: Literal["duration"] = "duration"
    shortest: Seconds = Field(
        default=Parameter(candidates=(0.0, 0.1, 0.2, 0.4, 0.8), default=0.0),
        description="shorter events are dropped; 0 drops none",
    )
    longest: Seconds = Field(
        default=Parameter(candidates=(MOST_SECONDS,), default=MOST_SECONDS),
        description="longer events are dropped; 600 drops none",
    )

    takes: ClassVar[Kind] = "events"
    gives: ClassVar[Kind] = "events"
    on_frames: ClassVar[bool] = True

    @model_validator(mode="after")
    def _some_are_left(self) -> Duration:
        shortest, longest = self.shortest, self.longest
        for least, most in ((shortest.candidates[0], longest.candidates[-1]), (shortest.default, longest.default)):
            if least > most:
                raise ValueError(f"no event is at least {least:g} s and at most {most:g} s long; give shortest values of at "
                                 "most the longest's")  # fmt: skip
        return self

    @property
    def swept_at_once(self) -> str | None:
        """See `Stage.swept_at_once`: the shortest, where nothing else is to be tuned."""
        return "shortest" if len(self.longest.candidates) == 1 else None

    def n_kept(self, x: TrackEvents) -> torch.Tensor:
        """See `Stage.n_kept`."""
        length = (x.offset - x.onset).round(decimals=DECIMALS)
        shortest = torch.tensor(self.shortest.candidates, device=length.device).double().round(decimals=DECIMALS)
        longest = torch.tensor(self.longest.candidates[0]).double().round(decimals=DECIMALS).item()
        fits = (length <= longest) | (self.longest.candidates[0] >= MOST_SECONDS)
        return torch.bucketize(length, shortest, right=True) * fits

    def __call__(self, x: TrackEvents, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Compares lengths, in the microseconds in which times are written."""
        length = (x.offset - x.onset).round(decimals=DECIMALS)
        shortest, longest = (
            values[name].double().round(decimals=DECIMALS)[x.track] for name in ("shortest", "longest")
        )
        # The longest that there is means no limit, also where a recording lasts longer.
        return kept(x, (length >= shortest) & ((length <= longest) | (longest >= MOST_SECONDS)))
