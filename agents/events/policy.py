"""Policies that judge what each candidate would decode on a clip: a value for every event, summed over a candidate's events.

``Q(clip, class, candidate) = Σ over the events it decodes of v(event)``; the candidate with the highest sum is chosen.
With ``v = 2·P(event matches) − λ_c`` that is, up to a constant, the linearised F1 reward in expectation.
"""

from __future__ import annotations

from typing import Any

import torch

from rl_postproc.candidates.events import DecodedEvents, decode_candidates
from rl_postproc.candidates.features import FeatureGrid, event_features
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.stack import Stack

from .value_functions import EventValueFunction, restore_values


class EventAdditive(Policy):
    """Chooses the candidate whose events have the highest sum of values."""

    kind = "event_additive"

    def __init__(self, value_function: EventValueFunction, grid: FeatureGrid):
        """Takes what gives events their values, and where features are sampled."""
        self.value_function, self.grid = value_function, grid

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``, a bounded number of frames at a time."""
        scores, chosen = scores.to("cpu"), []
        for clips in torch.arange(scores.n_clips).split(max(1, (1 << 19) // (scores.n_classes * scores.width))):
            part = scores.select(clips)
            events = decode_candidates(part, stack)
            features = event_features(part, events, self.grid)
            best = self.best_candidates(events, features, scores.n_classes)
            chosen.append(stack.space.values[best].reshape(len(clips), scores.n_classes, -1))
        return torch.cat(chosen)

    def best_candidates(self, events: DecodedEvents, features: torch.Tensor, n_classes: int) -> torch.Tensor:
        """Returns the candidate of each track, int64 ``[track]``, from decoded events and their features."""
        return best_candidates(events, self.value_function.values(events, features, events.track % n_classes))

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the value function and the grid."""
        values, tensors = self.value_function.state()
        return {
            "value_function": {"kind": self.value_function.kind, **values},
            "step": self.grid.step,
            "reach": self.grid.reach,
        }, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> EventAdditive:
        """Restores the policy."""
        return cls(restore_values(values["value_function"], tensors), FeatureGrid(values["step"], values["reach"]))


def best_candidates(events: DecodedEvents, values: torch.Tensor) -> torch.Tensor:
    """Returns the candidate of each track with the highest sum of event values, int64 ``[track]``.

    Sums are compared in double precision after rounding, so that candidates with the same events tie, and ties go to the
    first candidate on any machine and for any grouping of clips.
    """
    return events.sum_over_candidates(values.double()).round(decimals=9).argmax(1)
