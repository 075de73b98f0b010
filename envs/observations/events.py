"""What the candidates would decode on a clip and class."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from gymnasium import spaces

from rl_postproc.task import TuningTask

from .base import Observation, Observed, Observer, one_hot, unit_box


class Events(Observation):
    """The distinct events that the candidates decode, their features, and which candidate decodes which."""

    observation: Literal["events"] = "events"

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        tables, n_classes, codes = EventTables(task), task.scores.n_classes, one_hot(task)
        classes = torch.arange(n_classes, device=task.device)

        def observe(clip: torch.Tensor, label: torch.Tensor | None) -> Observed:
            if label is None:
                return tables(clip[:, None] * n_classes + classes)
            return tables(clip * n_classes + label) | {"class": codes[label]}

        if per_class:
            return spaces.Dict(tables.parts() | {"class": unit_box(n_classes)}), observe
        return spaces.Dict(tables.parts(n_classes)), observe


class EventTables:
    """The observation ``events``: the distinct events that the candidates decode on a clip and class.

    - ``features``: float32 ``[event, feature]``, see `rl_postproc.candidates.features.feature_names`;
    - ``mask``: 1 where there is an event, float32 ``[event]``. All else is 0 where there is none; the number of rows is
      the most events of any clip and class of the task;
    - ``levels``: int64 ``[event, filter, 2]``; with this filter setting the event is decoded at the levels from the first
      number up to, not including, the second (both 0: never).

    Candidate ``filter * levels + level`` has the value indices ``np.unravel_index(candidate, action_space.nvec)``; levels
    are the candidates of a threshold that comes last in the stack, else there is one. An event-additive policy gives each
    candidate the logit ``Σ mask · g(features) · (levels[..., 0] <= level) · (level < levels[..., 1])`` over the events.
    """

    def __init__(self, task: TuningTask):
        events = task.decoded
        # One row more, which stands where there is no event.
        self._features = torch.nn.functional.pad(task.event_features, (0, 0, 0, 1))
        self._bound = math.ceil(max(1.0, float(self._features.abs().max())))
        self._levels = torch.zeros(len(events) + 1, events.n_filters, 2, dtype=torch.int32, device=task.device)
        self._levels[events.event, events.filter] = torch.stack([events.low, events.high], 1).int()
        self._n = torch.bincount(events.track, minlength=events.n_tracks)
        self._begin = self._n.cumsum(0) - self._n
        self._rows, self._n_levels = max(1, int(self._n.max())), events.n_levels

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
