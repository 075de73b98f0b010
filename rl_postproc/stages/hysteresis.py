"""Hysteresis: an event is sure above one threshold and lasts while scores stay above a lower one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import Kind, Parameter, Probability, Stage
from rl_postproc.stages.event_tools import highest_inside
from rl_postproc.stages.pieces import FoundRuns, OpenRuns, Runs


class Hysteresis(Stage):
    """An event is a run of frames above ``offset``, one of which is above ``onset``.

    Where ``offset`` is above ``onset`` in a search, it stands for both and is a threshold. With ``extent: forward`` an event
    begins with the first frame above ``onset``, as pyannote.audio has it, and ``onset`` stands for both.

    Source: Canny, "A computational approach to edge detection", 1986; forward: ``Binarize`` of pyannote.audio (Bredin et al.
    2020), whose events go on where a score equals ``offset``.

    Example:
        >>> from rl_postproc import ScoreSet, Stack
        >>> scores = ScoreSet.from_arrays({"a": [[0.4], [0.9], [0.4], [0.1], [0.4]]}, hop=0.5, classes=["Dog"])
        >>> stack = Stack.from_config([{"stage": "hysteresis", "offset": 0.3, "onset": 0.8}])
        >>> stack.events(scores, stack.space.defaults).to_rows()
        [('a', 0.0, 1.5, 'Dog')]
    """

    stage: Literal["hysteresis"] = "hysteresis"
    offset: Probability = Field(
        default=Parameter(candidates=(0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5), default=0.3),
        description="which all of an event's scores exceed; at most the onset's",
    )
    onset: Probability = Field(
        default=Parameter.model_validate({"low": 0.05, "high": 0.95, "count": 19, "also": [1.0], "default": 0.5}),
        description="which one of an event's scores must exceed",
    )
    extent: Literal["run", "forward"] = Field(
        default="run",
        description="forward: events begin with the first score above onset, not as early as above offset",
    )

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "decisions"
    compares: ClassVar[tuple[str, ...]] = ("offset", "onset")
    sure_as_scores: ClassVar[bool] = True

    @model_validator(mode="after")
    def _offset_is_lower(self) -> Hysteresis:
        onset, offset = self.onset, self.offset
        for high, low in ((onset.candidates[-1], offset.candidates[0]), (onset.default, offset.default)):
            if low > high:
                raise ValueError(f"events cannot begin above {high:g} and end below {low:g}; give offset values of at most "
                                 "the onset's")  # fmt: skip
        return self

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        """Finds, for each frame, whether the last one that decided began an event or ended it."""
        onset, offset = (values[name].to(x.dtype) for name in ("onset", "offset"))
        if self.extent == "forward":
            return _lasting(x > onset, x <= torch.minimum(offset, onset))
        onset = torch.maximum(offset, onset)
        found = _lasting(x > onset, x <= offset)
        return found | _lasting((x > onset).flip(0), (x <= offset).flip(0)).flip(0)

    def in_pieces(self, hop: float, **values: torch.Tensor) -> FoundRuns:
        """See `Stage.in_pieces`: carried are the open run and, of `run`, its highest score."""
        onset, offset = values["onset"], values["offset"]
        if self.extent == "forward":
            return _ForwardRuns(onset, torch.minimum(offset, onset))
        return _SureRuns(torch.maximum(offset, onset), offset)

    @property
    def kept_above(self) -> str | None:
        """See `Stage.kept_above`."""
        return "onset" if self.extent == "run" else None

    def sure(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Returns the runs above ``offset``, each as sure as its highest score."""
        return highest_inside(x > values["offset"].to(x.dtype), x, frames)


def _lasting(begins: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Returns for each frame whether the last one that begins or ends something began it, bool ``[frame, track]``."""
    time = torch.arange(1, len(begins) + 1, device=begins.device)[:, None]
    return torch.where(begins, time, 0).cummax(0).values > torch.where(ends, time, 0).cummax(0).values


class _SureRuns(FoundRuns):
    """Runs above ``offset`` with a score above ``onset``, of a clip in pieces."""

    def __init__(self, onset: torch.Tensor, offset: torch.Tensor):
        """Takes both, ``[track]``."""
        self._onset, self._offset, self._open = onset, offset, OpenRuns(len(onset))

    def push(self, x: torch.Tensor, ends: bool) -> Runs:
        """See `FoundRuns.push`."""
        found = self._open.push(x > self._offset.to(x.dtype), ends, x)
        found = found.kept(found.highest > self._onset[found.track])
        return replace(found, highest=torch.ones_like(found.highest))  # decisions are as sure as can be


class _ForwardRuns(FoundRuns):
    """Runs from a score above ``begin`` to the next that is not above ``end``, of a clip in pieces."""

    def __init__(self, begin: torch.Tensor, end: torch.Tensor):
        """Takes both, ``[track]``."""
        self._begin, self._end, self._open = begin, end, OpenRuns(len(begin))

    def push(self, x: torch.Tensor, ends: bool) -> Runs:
        """See `FoundRuns.push`."""
        # One frame more ahead, which decides as the last one before did.
        before = self._open.active[None]
        begins, stops = torch.cat([before, x > self._begin]), torch.cat([~before, x <= self._end])
        return self._open.push(_lasting(begins, stops)[1:], ends)
