"""What an agent sees of a clip, by name.

==============  =====================================  ==================================================
name            joint environment                      per-class environment
==============  =====================================  ==================================================
``scores``      ``[class, frame]``                     ``[frame + class]``: the track, then one-hot class
``flat``        ``[class * frame]``                    as ``scores``
``summary``     ``[class * 7]``                        ``[7 + class]``: the track's summary, one-hot class
``dict``        ``scores [class, frame]``,             ``scores [frame]``, ``mask [frame]``,
                ``mask [frame]``                       ``class`` one-hot ``[class]``
``events``      as per class, ``[class, ...]`` each,   ``features [event, feature]``, ``mask [event]``,
                without ``class``                      ``levels [event, filter, 2]``, ``class`` ``[class]``
``item``        ``[1]``: number of the clip            ``[1]``: clip number * classes + class number
==============  =====================================  ==================================================

``events`` shows what the candidates would decode, see `EventTables`. ``item`` is for policies that hold features of
their own for each item, such as the event-additive policy. All other values lie in [0, 1] and are float32; frames
beyond a clip's end are 0 (``mask`` is 1 where a frame exists). The summary of a track is the mean, standard deviation
and maximum of its scores, the fractions of frames above 0.1, 0.5 and 0.9, and the clip's length relative to the longest
clip.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces

from rl_postproc.errors import UserError, suggest
from rl_postproc.scores import ScoreSet

from .task import TuningTask

OBSERVATIONS = ("scores", "flat", "summary", "dict", "events", "item")
N_SUMMARY = 7
Observation = torch.Tensor | dict[str, torch.Tensor]


class Observer:
    """Gathers the observations of clips (or of clips and classes) of a task."""

    def __init__(self, name: str, task: TuningTask, per_class: bool):
        scores = task.scores
        if name not in OBSERVATIONS:
            raise UserError(f"Unknown observation '{name}'{suggest(name, OBSERVATIONS)}.")
        self.name, self._scores, self._per_class = name, scores, per_class
        self._one_hot = torch.eye(scores.n_classes, device=scores.device)
        self._events = EventTables(task) if name == "events" else None
        self._summary = summarise(scores) if name == "summary" else None

    @property
    def space(self) -> spaces.Space:
        """The space of one environment's observation."""
        n_classes, width = self._scores.n_classes, self._scores.width
        shapes: dict[str, tuple[int, ...]]
        if self._events is not None:
            own = {"class": _unit_box((n_classes,))} if self._per_class else {}
            return spaces.Dict(self._events.parts(*([] if self._per_class else [n_classes])) | own)
        if self.name == "dict":
            shapes = {"scores": (width,) if self._per_class else (n_classes, width), "mask": (width,)}
            if self._per_class:
                shapes["class"] = (n_classes,)
            return spaces.Dict({name: _unit_box(shape) for name, shape in shapes.items()})
        if self.name == "item":
            return spaces.Box(0, self._scores.n_clips * (n_classes if self._per_class else 1) - 1, (1,), np.int64)
        length = N_SUMMARY if self.name == "summary" else width
        if self._per_class:
            return _unit_box((length + n_classes,))
        return _unit_box((n_classes, length) if self.name == "scores" else (n_classes * length,))

    def __call__(self, clip: torch.Tensor, label: torch.Tensor | None) -> Observation:
        """Returns fresh observations of the given clips int64 ``[env]`` and, per class, labels int64 ``[env]``."""
        if self.name == "item":
            return (clip if label is None else clip * self._scores.n_classes + label)[:, None].clone()
        if self._events is not None and label is None:
            n_classes = self._scores.n_classes
            return self._events(clip[:, None] * n_classes + torch.arange(n_classes, device=clip.device))
        if self._events is not None and label is not None:
            return self._events(clip * self._scores.n_classes + label) | {"class": self._one_hot[label]}
        source = self._scores.scores if self._summary is None else self._summary
        if label is None:
            found = source[clip]
            if self.name == "dict":
                return {"scores": found, "mask": self._mask(clip)}
            return found if self.name == "scores" else found.flatten(1)
        found = source[clip, label]
        if self.name == "dict":
            return {"scores": found, "mask": self._mask(clip), "class": self._one_hot[label]}
        return torch.cat([found, self._one_hot[label]], 1)

    def _mask(self, clip: torch.Tensor) -> torch.Tensor:
        frames = torch.arange(self._scores.width, device=clip.device)
        return (frames < self._scores.n_frames[clip, None]).float()


class EventTables:
    """The observation ``events``: the distinct events that the candidates decode on a clip and class.

    - ``features``: float32 ``[event, feature]``, see `rl_postproc.event_features.feature_names`;
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
            "mask": _unit_box((*batch, self._rows)),
            "levels": spaces.Box(0, self._n_levels, (*batch, self._rows, n_filters, 2), np.int64),
        }

    def __call__(self, track: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the events of tracks, int64 of any shape."""
        row = torch.arange(self._rows, device=track.device)
        mask = row < self._n[track][..., None]
        source = torch.where(mask, self._begin[track][..., None] + row, len(self._features) - 1)
        return {"features": self._features[source], "mask": mask.float(), "levels": self._levels[source].long()}


def summarise(scores: ScoreSet) -> torch.Tensor:
    """Returns the summary of every track, float32 ``[clip, class, 7]``."""
    x, n = scores.scores, scores.n_frames[:, None].float()
    mean = x.sum(-1) / n
    deviation = ((x.square().sum(-1) / n) - mean.square()).clamp(min=0).sqrt()
    above = [(x > level).sum(-1) / n for level in (0.1, 0.5, 0.9)]
    length = (n / scores.width).expand_as(mean)
    return torch.stack([mean, deviation, x.amax(-1), *above, length], -1).clamp(0, 1)


def _unit_box(shape: tuple[int, ...]) -> spaces.Box:
    return spaces.Box(0.0, 1.0, shape, np.float32)
