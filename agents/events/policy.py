"""Policies that judge what each candidate would decode on a clip: a value for every event, summed over a candidate's events.

``Q(clip, class, candidate) = Σ over the events it decodes of v(event)``; the candidate with the highest sum is chosen.
With ``v = 2·P(event matches) − λ_c`` that is, up to a constant, the linearised F1 reward in expectation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Annotated, Any

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents, decode_candidates
from rl_postproc.candidates.features import FeatureGrid, event_features, feature_names
from rl_postproc.candidates.pool import MOST_PER_MINUTE, MOST_VOTES, PoolBounds, tell_left_out
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

from .value_functions import EventValueFunction, check_values, restore_values

_LONG = 1 << 18
"""Frames of a long clip that are worked on at a time, where its classes are looked at by themselves."""
_CELLS = 1 << 22
"""Tracks times candidates that are compared at a time."""


class EventPolicy(Policy):
    """Chooses the candidate whose events have the highest sum of values.

    Attributes:
        bounds: of the decoded events, those of the training clips.
    """

    bounds: PoolBounds

    @abstractmethod
    def event_values(self, scores: ScoreSet, events: DecodedEvents) -> torch.Tensor:
        """Returns values of events, float32 ``[event]``, from scores and what their candidates decode."""

    def values_on(self, task: TuningTask) -> torch.Tensor:
        """Returns values of a task's decoded events, float32 ``[event]``."""
        return self.event_values(task.scores, task.decoded)

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``, a bounded number of frames at a time."""
        chosen = []
        for part, events in self.decoded(scores.to("cpu"), stack):
            best = best_candidates(events, self.event_values(part, events))
            chosen.append(stack.space.values[best].reshape(part.n_clips, scores.n_classes, -1))
        return torch.cat(chosen)

    def decoded(self, scores: ScoreSet, stack: Stack) -> Iterator[tuple[ScoreSet, DecodedEvents]]:
        """Yields consecutive clips with what their candidates decode, see `decoded_parts`."""
        yield from decoded_parts(scores, stack, self.bounds)


class SavedBounds(Saved):
    """The bounds of the decoded events."""

    least_votes: Annotated[int, Field(ge=1, le=MOST_VOTES)]
    most_per_minute: Annotated[float, Field(gt=0, le=MOST_PER_MINUTE)]


class SavedEventAdditive(Saved):
    """The value function, where features are sampled, their names, by which other versions know theirs, and the bounds."""

    value_function: dict[str, Any]
    step: Annotated[float, Field(ge=1e-6, le=1e6)]
    reach: Annotated[int, Field(ge=0, le=1000)]
    features: list[str]
    bounds: SavedBounds

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        names = feature_names(FeatureGrid(self.step, self.reach))
        if self.features != names:
            odd = sorted(set(self.features) ^ set(names))
            such = f"such as '{odd[0]}'" if odd else "in another order"
            raise ValueError(f"it judges events by features of another version, {such}")
        return check_values(self.value_function, made.with_features(len(names)))


class EventAdditive(EventPolicy):
    """Judges events by features made by hand."""

    kind = "event_additive"
    saved = SavedEventAdditive

    def __init__(self, value_function: EventValueFunction, grid: FeatureGrid, bounds: PoolBounds | None = None):
        """Takes what gives events their values, where features are sampled, and the bounds of the decoded events."""
        self.value_function, self.grid, self.bounds = value_function, grid, bounds or PoolBounds()

    def event_values(self, scores: ScoreSet, events: DecodedEvents) -> torch.Tensor:
        """See `EventPolicy.event_values`."""
        features = event_features(scores, events, self.grid)
        return self.value_function.values(events, features, events.track % scores.n_classes)

    def values_on(self, task: TuningTask) -> torch.Tensor:
        """See `EventPolicy.values_on`; the task has the features at hand."""
        return values_on(self.value_function, task)

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the value function, the grid, and the names of the features, by which other versions know theirs."""
        values, tensors = self.value_function.state()
        return {
            "value_function": {"kind": self.value_function.kind, **values},
            "step": self.grid.step,
            "reach": self.grid.reach,
            "features": feature_names(self.grid),
            "bounds": asdict(self.bounds),
        }, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventAdditive:
        """Restores the policy."""
        grid = FeatureGrid(values["step"], values["reach"])
        return cls(restore_values(values["value_function"], tensors), grid, PoolBounds(**values["bounds"]))


def values_on(value_function: EventValueFunction, task: TuningTask) -> torch.Tensor:
    """Returns the values of a task's decoded events, float32 ``[event]``."""
    return value_function.values(task.decoded, task.event_features, task.decoded.track % task.scores.n_classes)


def decoded_parts(scores: ScoreSet, stack: Stack, bounds: PoolBounds) -> Iterator[tuple[ScoreSet, DecodedEvents]]:
    """Yields consecutive clips with what their candidates decode, a bounded number of frames at a time.

    Warns:
        DataWarning: how many events were left out, once all clips are done.
    """
    parts: list[tuple[torch.Tensor, torch.Tensor | None]] = [(clips, None) for clips in clips_at_a_time(scores)]
    yield from ((part, events) for part, events, _ in _decoded(scores, stack, bounds, parts))


def decoded_tracks(
    scores: ScoreSet, stack: Stack, bounds: PoolBounds
) -> Iterator[tuple[ScoreSet, DecodedEvents, torch.Tensor]]:
    """Yields what `decoded_parts` does, of a long clip some classes at a time, for judges of single tracks.

    Returns:
        Some clips and classes, what their candidates decode, and the number of each of their tracks among all, ascending
        from part to part, int64 ``[track]``.
    """
    parts: list[tuple[torch.Tensor, torch.Tensor | None]] = []
    for clips in clips_at_a_time(scores):
        some = torch.arange(scores.n_classes).split(max(1, _LONG // scores.width))
        parts += [(clips, None)] if len(clips) > 1 else [(clips, classes) for classes in some]
    yield from _decoded(scores, stack, bounds, parts)


def _decoded(
    scores: ScoreSet, stack: Stack, bounds: PoolBounds, parts: list[tuple[torch.Tensor, torch.Tensor | None]]
) -> Iterator[tuple[ScoreSet, DecodedEvents, torch.Tensor]]:
    """Yields some clips and classes (all where there are none) after others, see `decoded_tracks`."""
    kept = lost = 0
    clips_with_lost: set[int] = set()
    for clips, some in parts:
        part, classes = scores.select(clips), torch.arange(scores.n_classes) if some is None else some
        if some is not None:
            part = replace(part, references=None).of_classes([scores.classes[k] for k in some.tolist()])
        events = decode_candidates(part, stack, bounds)
        yield part, events, (clips[:, None] * scores.n_classes + classes).flatten()
        kept += len(events)
        if events.left_out is not None:
            lost += int(events.left_out.events.sum())
            clips_with_lost |= set(clips[events.left_out.track // len(classes)].tolist())
        del part, events  # before the next ones are made
    tell_left_out(kept, lost, len(clips_with_lost), scores, bounds)


def clips_at_a_time(scores: ScoreSet) -> tuple[torch.Tensor, ...]:
    """Returns clips in groups of a bounded number of frames, int64 ``[clip]`` each."""
    return torch.arange(scores.n_clips).split(max(1, (1 << 19) // (scores.n_classes * scores.width)))


def best_candidates(events: DecodedEvents, values: torch.Tensor) -> torch.Tensor:
    """Returns the candidate of each track with the highest sum of event values, int64 ``[track]``.

    Sums are compared in double precision after rounding, so that candidates with the same events tie, and ties go to the
    first candidate on any machine and for any grouping of clips.
    """
    busy = torch.zeros(events.n_tracks, dtype=torch.bool, device=values.device)
    busy[events.track] = True
    if events.left_out is not None:
        busy[events.left_out.track] = True
    if 2 * int(busy.sum()) < events.n_tracks:
        # All sums of a track without events are 0; of sparse clips nearly all tracks are such.
        place = busy.cumsum(0) - 1
        lost = events.left_out
        lost = None if lost is None else replace(lost, track=place[lost.track])
        few = replace(events, track=place[events.track], n_tracks=int(busy.sum()), left_out=lost)
        return torch.zeros_like(place).masked_scatter_(busy, _best_of_each(few, values))
    return _best_of_each(events, values)


def _best_of_each(events: DecodedEvents, values: torch.Tensor) -> torch.Tensor:
    """Returns what `best_candidates` does, having looked at every track."""
    if not events.n_tracks:
        return torch.zeros(0, dtype=torch.int64, device=values.device)
    values, best, step = values.double(), [], max(1, _CELLS // events.n_candidates)
    begin = 0
    for first in range(0, events.n_tracks, step):
        some = events.of_tracks(first, min(first + step, events.n_tracks))
        own = values[begin : begin + len(some)]
        best.append(some.sum_over_candidates(own).round(decimals=9).argmax(1))
        begin += len(some)
    return torch.cat(best)
