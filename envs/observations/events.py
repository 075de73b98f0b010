"""What the candidates would decode on a clip and class."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from gymnasium import spaces
from pydantic import Field

from rl_postproc.candidates.features import FeatureGrid, feature_names
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from .base import Observation, Observed, Observer, one_hot, unit_box

_VOTES = feature_names(FeatureGrid(1.0)).index("votes")

FEATURE_BOUND = 3600.0
"""Where features end with `max_events`: times are in seconds, and a clip shorter than an hour is not cut."""


class Events(Observation):
    """The distinct events that the candidates decode, their features, and which candidate decodes which.

    With ``max_events`` there are so many rows, and the space follows from stack, classes and settings alone: a policy fits
    clips that it was not trained on.
    """

    observation: Literal["events"] = "events"
    max_events: int | None = Field(
        default=None, ge=1, description="rows; of more events those that most candidates decode are shown"
    )

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        if task.stack.is_choice:
            raise UserError("The observation 'events' numbers candidates by filter and level, and a choice of several stacks "
                            "('one_of') has no such numbers; use one of its stacks, or another observation.")  # fmt: skip
        tables, n_classes, codes = EventTables(task, self.max_events), task.scores.n_classes, one_hot(task)
        classes = torch.arange(n_classes, device=task.device)

        def observe(clip: torch.Tensor, label: torch.Tensor | None) -> Observed:
            if label is None:
                return tables(clip[:, None] * n_classes + classes)
            return tables(clip * n_classes + label) | {"class": codes[label]}

        if per_class:
            return spaces.Dict(tables.parts() | {"class": unit_box(n_classes)}), observe
        return spaces.Dict(tables.parts(n_classes)), observe

    def left_out(self, task: TuningTask) -> torch.Tensor:
        """Returns how many events of each clip and class ``max_events`` leaves out, int64 ``[clip, class]``."""
        n = torch.bincount(task.decoded.track, minlength=task.decoded.n_tracks)
        found = torch.zeros_like(n) if self.max_events is None else (n - self.max_events).clamp(min=0)
        return found.reshape(task.scores.n_clips, task.scores.n_classes)


class EventTables:
    """The observation ``events``: the distinct events that the candidates decode on a clip and class.

    - ``features``: float32 ``[event, feature]``, see `rl_postproc.candidates.features.feature_names`;
    - ``mask``: 1 where there is an event, float32 ``[event]``. All else is 0 where there is none. The number of rows is
      ``max_events``, or the most events of any clip and class of the task;
    - ``levels``: int64 ``[event, filter, 2]``; with this filter setting the event is decoded at the levels from the first
      number up to, not including, the second (both 0: never).

    Candidate ``filter * levels + level`` has the value indices ``np.unravel_index(candidate, action_space.nvec)``; levels
    are the candidates of a threshold that comes last in the stack, else there is one. An event-additive policy gives each
    candidate the logit ``Σ mask · g(features) · (levels[..., 0] <= level) · (level < levels[..., 1])`` over the events.

    With ``max_events`` the events of a clip and class that most candidates decode (feature ``votes``) are kept, in their
    order; of equals the first. Of the others nothing is seen, so that candidates appear not to decode them. Features end
    at ±`FEATURE_BOUND`.
    """

    def __init__(self, task: TuningTask, max_events: int | None = None):
        """Takes a task, and the number of rows; None shows all events."""
        events, features = task.decoded, task.event_features
        levels = torch.zeros(len(events), events.n_filters, 2, dtype=torch.int32, device=task.device)
        levels[events.event, events.filter] = torch.stack([events.low, events.high], 1).int()
        if max_events is None:
            kept = torch.arange(len(events), device=task.device)
            self._bound = math.ceil(max(1.0, float(features.abs().amax()) if len(events) else 0.0))
        else:
            kept = most_votes(events.track, features[:, _VOTES], max_events)
            features, self._bound = features.clamp(-FEATURE_BOUND, FEATURE_BOUND), FEATURE_BOUND
        # One row more, which stands where there is no event.
        self._features = torch.nn.functional.pad(features[kept], (0, 0, 0, 1))
        self._levels = torch.nn.functional.pad(levels[kept], (0, 0, 0, 0, 0, 1))
        self._n = torch.bincount(events.track[kept], minlength=events.n_tracks)
        self._begin = self._n.cumsum(0) - self._n
        self._rows, self._n_levels = max_events or max(1, int(self._n.max())), events.n_levels

    def parts(self, *batch: int) -> dict[str, spaces.Space]:
        """Returns the spaces of ``features``, ``mask`` and ``levels``, for a batch of tracks when its shape is given."""
        n_features, n_filters = self._features.shape[1], self._levels.shape[1]
        return {
            "features": spaces.Box(-self._bound, self._bound, (*batch, self._rows, n_features), np.float32),
            "mask": unit_box(*batch, self._rows),
            "levels": spaces.Box(0, self._n_levels, (*batch, self._rows, n_filters, 2), np.int64),
        }

    def __call__(self, track: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the events of tracks, int64 of any shape."""
        row = torch.arange(self._rows, device=track.device)
        mask = row < self._n[track][..., None]
        source = torch.where(mask, self._begin[track][..., None] + row, len(self._features) - 1)
        return {"features": self._features[source], "mask": mask.float(), "levels": self._levels[source].long()}


def most_votes(track: torch.Tensor, votes: torch.Tensor, at_most: int) -> torch.Tensor:
    """Returns which events are kept, ascending int64, when each track keeps so many: those with the most votes.

    Args:
        track: track of each event, ascending int64 ``[event]``.
        votes: ``[event]``; of equals the first is kept.
        at_most: number that a track keeps.
    """
    order = votes.sort(descending=True, stable=True).indices
    order = order[track[order].sort(stable=True).indices]
    n = torch.bincount(track)
    rank = torch.arange(len(track), device=track.device) - (n.cumsum(0) - n)[track]
    return order[rank < at_most].sort().values
