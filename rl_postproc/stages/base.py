"""What a stage of post-processing is: a pure batched function with declared parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.pieces import FoundRuns
from rl_postproc.utils.registry import Registered

Kind = Literal["scores", "decisions", "events"]
Data = torch.Tensor | TrackEvents
"""What a stage takes and gives: scores float32 or decisions bool ``[frame, track]``, or events of tracks."""


MOST_SECONDS = 600.0
"""The longest length that a stage may use."""

_MOST_CANDIDATES = 10_000
"""Candidates that a parameter may have."""


class Parameter(BaseModel):
    """A tunable number of a stage.

    In a config it may be a list of candidates, one number (nothing to tune), ``{low, high, count, also}`` for equally
    spaced candidates and perhaps others, or ``{candidates, default, scope}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    candidates: tuple[float, ...] = Field(min_length=1, max_length=_MOST_CANDIDATES)
    default: float
    scope: Literal["class", "global"] = "class"

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            value = {"candidates": [value]}
        elif isinstance(value, list | tuple):
            value = {"candidates": value}
        if isinstance(value, dict) and "count" in value:
            value = dict(value)
            low, high, count, also = (value.pop(name, None) for name in ("low", "high", "count", "also"))
            also = [] if also is None else also
            if not isinstance(count, int) or not 2 <= count <= _MOST_CANDIDATES:
                raise ValueError(
                    f"count must be a whole number of at least 2 and at most {_MOST_CANDIDATES}, not {count}"
                )
            if not all(isinstance(v, int | float) for v in (low, high)):
                raise ValueError(f"count goes with the numbers low and high, not with {low} and {high}")
            if not isinstance(also, list | tuple) or not all(isinstance(v, int | float) for v in also):
                raise ValueError(f"also must be a list of numbers, not {also}")
            grid = [round(low + (high - low) * i / (count - 1), 9) for i in range(count)]
            value["candidates"] = sorted({*grid, *also})
        if isinstance(value, dict) and "default" not in value and isinstance(value.get("candidates"), list | tuple):
            # The middle one; that they increase is checked afterwards.
            candidates = value["candidates"] or [0.0]
            value = {**value, "default": candidates[(len(candidates) - 1) // 2]}
        return value

    @model_validator(mode="after")
    def _increasing(self) -> Parameter:
        if any(b <= a for a, b in zip(self.candidates, self.candidates[1:], strict=False)):
            raise ValueError(f"candidates must increase strictly, got {list(self.candidates)}")
        return self


def seconds(value: Any) -> Any:
    """Checks that the candidates are lengths of time."""
    numbers = numbers_of(value)
    if any(v < 0 for v in numbers):
        raise ValueError("lengths in seconds must not be negative")
    if any(v > MOST_SECONDS for v in numbers):
        raise ValueError(f"lengths in seconds must be at most {MOST_SECONDS:g}")
    return value


def probability(value: Any) -> Any:
    """Checks that the candidates lie in [0, 1]."""
    if any(not 0 <= v <= 1 for v in numbers_of(value)):
        raise ValueError("probabilities must lie in [0, 1]")
    return value


def numbers_of(value: Any) -> list[float]:
    """Returns the candidates of a parameter and its default, for checks."""
    parameter = Parameter.model_validate(value)
    return [*parameter.candidates, parameter.default]


Seconds = Annotated[Parameter, BeforeValidator(seconds), Field(json_schema_extra={"unit": "seconds"})]
Probability = Annotated[Parameter, BeforeValidator(probability), Field(json_schema_extra={"unit": "probability"})]


THRESHOLDS = Parameter.model_validate({"low": 0.01, "high": 0.99, "count": 50, "also": [1.0], "default": 0.5})
"""The default candidates of thresholds; they end with 1, which nothing exceeds."""


class Stage(Registered, ABC):
    """One step of post-processing: a pure batched function with declared parameters.

    A subclass declares its parameters as fields of type `Seconds` or `Probability`, its options as other fields, and a
    ``stage`` field with its name. It takes and gives scores, decisions or events; decisions become events by themselves
    where the next stage takes events. What a sweep may exploit is declared as well; everything works without.
    """

    noun: ClassVar[str] = "stage"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.stages",)

    stage: str
    takes: ClassVar[Kind]
    gives: ClassVar[Kind]
    monotone: ClassVar[bool] = False
    """Whether it commutes with every increasing map of the scores, so that scores may be quantised before it."""
    decides_at: ClassVar[str | None] = None
    """The one parameter of a stage that does nothing but call a frame active where its score, or keep an event where its
    confidence, is strictly above it: then all of its candidates are decided together."""
    compares: ClassVar[tuple[str, ...]] = ()
    """The parameters of a stage that makes decisions by nothing but whether scores are strictly above them. What stands for
    scores and parameters may then be any numbers that compare alike, see `rl_postproc.stages.compared`."""
    sure_as_scores: ClassVar[bool] = False
    """Whether it makes events of scores, none of which is surer than the highest score of its track."""
    on_frames: ClassVar[bool] = False
    """Whether a stage that gives events has each begin and end where a frame does, given that those it takes do."""

    by_highest: ClassVar[bool] = False
    """Whether all that it takes of a whole clip is the highest score of each track; then `of_highest` does its work."""

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, values: Any) -> Any:
        """Candidates given without a default keep the stage's own default."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for name, field in cls.model_fields.items():
            given = values.get(name)
            if (
                isinstance(field.default, Parameter)
                and given is not None
                and not isinstance(given, Parameter | int | float)
            ):
                given = dict(given) if isinstance(given, dict) else {"candidates": given}
                values[name] = {"default": field.default.default, **given}
        return values

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The declared parameters by name, in the order of their declaration."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Parameter)}

    @property
    def kept_above(self) -> str | None:
        """The parameter above which an event must be sure to stay: all its candidates are tried at once, see `sure`."""
        return None

    def sure(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Makes events of scores ``[frame, track]``, each with a confidence: those above `kept_above` are what it gives.

        Args:
            x: ``[frame, track]``.
            frames: of the tracks.
            **values: of every parameter but `kept_above`, float32 ``[track]``.
        """
        raise NotImplementedError("only of stages with kept_above")

    @property
    def swept_at_once(self) -> str | None:
        """The parameter of a stage on events all of whose candidates can be tried at once; see `n_kept`."""
        return self.decides_at if self.takes == "events" else None

    def n_kept(self, x: TrackEvents) -> torch.Tensor:
        """Returns how many candidates of `swept_at_once`, the first ones, keep each event, int64 ``[event]``.

        Such a stage does nothing but drop events, whatever others there are, and drops the more the higher the candidate.
        """
        level = torch.tensor(self.parameters[str(self.swept_at_once)].candidates, device=x.confidence.device)
        return torch.bucketize(x.confidence, level)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each parameter."""
        return {name: self.unit(name) for name in self.parameters}

    @classmethod
    def unit(cls, parameter: str) -> str:
        """Returns the unit of a parameter, such as seconds or probability."""
        extra = cls.model_fields[parameter].json_schema_extra
        return str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else "number"

    @abstractmethod
    def __call__(self, x: Any, frames: Frames, **values: torch.Tensor) -> Any:
        """Applies the stage to each track with that track's own parameter values.

        Args:
            x: scores (float32) or decisions (bool) ``[frame, track]``, 0 beyond a track's last frame; or `TrackEvents`.
            frames: of the tracks.
            **values: value of each parameter for each track, float32 ``[track]``.

        Returns:
            ``[frame, track]``, 0 beyond a track's last frame, or `TrackEvents` of the same tracks. What is silent stays
            silent: no decision and no event comes of a track without any, or with scores of 0 alone.
        """

    def reach(self, hop: float, **values: torch.Tensor) -> int | None:
        """Returns how many frames on either side have a say in what it gives at a frame, None where all may.

        With such a reach a clip that arrives in pieces gives what the whole one gives, to the last bit: the stage is called
        on a piece and so many frames around it, with `Frames` that hold their number and the hop alone, and the middle kept.
        For stages that make scores or decisions of scores; those on events always have all events of a clip.

        Args:
            hop: frame length in seconds.
            **values: value of each parameter for each track, float32 ``[track]``.
        """
        return None

    def of_highest(self, x: torch.Tensor, highest: torch.Tensor, **values: torch.Tensor) -> torch.Tensor:
        """Does the work of a stage that is `by_highest` on some frames ``[frame, track]`` of a clip.

        Args:
            x: scores of some of the frames.
            highest: highest score of each track in the whole clip, ``[track]``.
            **values: value of each parameter for each track, float32 ``[track]``.
        """
        raise NotImplementedError("only of stages that are by_highest")

    def in_pieces(self, hop: float, **values: torch.Tensor) -> FoundRuns | None:
        """Returns what finds the events of a clip whose scores arrive in pieces, None where `reach` says all or nothing does.

        For stages that make decisions or events of scores.
        """
        return None

    def sweep(self, x: torch.Tensor, frames: Frames) -> Any:
        """Applies every combination of the candidates to every track of scores; for stages that take scores.

        Args:
            x: ``[frame, track]``.
            frames: of the tracks.

        Returns:
            ``[candidate, frame, track]``, candidates in row-major order of the parameters; or, of stages that give events,
            `TrackEvents` of as many tracks for each candidate in turn.
        """
        combinations = combine([p.candidates for p in self.parameters.values()]).to(x.device)
        n, n_tracks = len(combinations), x.shape[1]
        # All combinations in one call, side by side, as so many more tracks.
        repeated = frames.select(torch.arange(n_tracks, device=x.device).repeat(n))
        columns = combinations.repeat_interleave(n_tracks, 0).unbind(1)
        swept = self(x.repeat(1, n), repeated, **dict(zip(self.parameters, columns, strict=True)))
        return swept.unflatten(1, (n, n_tracks)).transpose(0, 1) if isinstance(swept, torch.Tensor) else swept


def combine(candidates: Sequence[Sequence[float]]) -> torch.Tensor:
    """Returns every combination of values, the last one changing fastest, float32 ``[combination, parameter]`` on the CPU."""
    if not candidates:
        return torch.zeros(1, 0, device="cpu")
    columns = (torch.tensor(values, device="cpu") for values in candidates)
    return torch.cartesian_prod(*columns).reshape(-1, len(candidates))
