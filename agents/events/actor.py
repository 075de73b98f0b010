"""The trainable form of the event-additive policy, shared by PPO and the exact-gradient agent.

The logit of a candidate is the sum of ``g(event)`` over the events it decodes on this clip, divided by a temperature. g is
one small network for all candidates, classes and clips, added to the values of a starting point: the value function, the
best constants, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from rl_postproc.candidates.events import sum_intervals
from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.task import TuningTask
from rl_postproc.utils.tensors import ragged_ranges

from ..base import Agent, ProgressCallback, share, silent
from .event_value import EventValue, fit_value, require_events
from .network import EventNetwork
from .policy import EventAdditive
from .value_functions import ConstantsValues, EventValueFunction, NetworkValues

Start = Literal["value", "best_constants", "nothing"]


@dataclass(frozen=True)
class InitialPolicy:
    """Where a policy starts.

    Attributes:
        value_function: gives any event its value, None for nothing.
        values: of the task's own events, ``[event]``.
        constants_win: whether the best constants beat it on inner held-out clips.
    """

    value_function: EventValueFunction | None
    values: torch.Tensor
    constants_win: bool = False


def initial_policy(
    agent: Agent, task: TuningTask, start: Start, value: EventValue, seed: int, report: ProgressCallback = silent
) -> InitialPolicy:
    """Returns where the policy starts.

    The value function gives its inner held-out predictions, so that it is no surer of the training clips than of others.

    Raises:
        UserError: the task has no events to judge.
    """
    require_events(agent, task)
    events = task.decoded
    label = events.track % task.scores.n_classes
    if start == "nothing":
        return InitialPolicy(None, torch.zeros(len(events)))
    if start == "best_constants":
        value_function = ConstantsValues(task.best_constants)
        return InitialPolicy(value_function, value_function.values(events, task.event_features, label))
    found = fit_value(task, value, seed, report)
    return InitialPolicy(found.value_function, 2 * found.held_out - found.lam[label], found.constants_win)


def members(n: int, seed: int, report: ProgressCallback) -> Iterator[tuple[int, ProgressCallback]]:
    """Yields the seed of each member of an ensemble, and a callback for its share of the second half of the work."""
    for member in range(n):
        yield seed * 1000 + member, share(report, (1 + member / n) / 2, (1 + (member + 1) / n) / 2)


class EventActor(nn.Module):
    """Logits of all candidates for batches of tracks."""

    def __init__(self, task: TuningTask, base: torch.Tensor, hidden: int, temperature: float, dropout: float = 0.0):
        super().__init__()
        self.events, self.n_classes, self.temperature = task.decoded, task.scores.n_classes, temperature
        self.features, self.label = task.event_features, self.events.track % self.n_classes
        self.base = base
        self.network = EventNetwork(self.features.shape[1], self.n_classes, hidden, dropout)
        self.network.standardise(self.features)
        self.scaled = self.network.scaled(self.features)
        last = self.network.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self._event_starts = _starts(self.events.track, self.events.n_tracks)
        self._empty = int((self._event_starts.diff() == 0).int().argmax())
        self._member_starts = _starts(self.events.track[self.events.event], self.events.n_tracks)

    def distinct(self, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns tracks without repeats, and the position among them of each item, both int64.

        All tracks without events stand as one: whatever is chosen for them, nothing is decoded.
        """
        empty = self._event_starts[items + 1] == self._event_starts[items]
        items = torch.where(empty, self._empty, items)
        seen = torch.zeros(len(self._event_starts) - 1, dtype=torch.bool)
        seen[items] = True
        tracks = seen.nonzero()[:, 0]
        return tracks, (seen.cumsum(0) - 1)[items]

    def gather(self, tracks: torch.Tensor) -> Batch:
        """Collects the events of a batch of tracks, int64 ``[track]``."""
        return Batch(self, tracks)

    def value_function(self, base: EventValueFunction | None) -> NetworkValues:
        """Returns what the actor has learned, for use on any clip."""
        copy = EventNetwork(**self.network.size)
        copy.load_state_dict(self.network.state_dict())
        return NetworkValues([copy], base=base)

    def policy(self, base: EventValueFunction | None, step: float) -> EventAdditive:
        """Returns the argmax policy."""
        return EventAdditive(self.value_function(base), FeatureGrid(step))


class Batch:
    """The events of some tracks, and how they make up the candidates.

    Attributes:
        rows: events, int64 ``[event]``.
        label: class of each, int64 ``[event]``.
        track: position in the batch of each, int64 ``[event]``.
    """

    def __init__(self, actor: EventActor, tracks: torch.Tensor):
        events, self._actor, self._n = actor.events, actor, len(tracks)
        self.rows, self.track, begins = _ranges(actor._event_starts, tracks)
        members, member_track, _ = _ranges(actor._member_starts, tracks)
        self.label = actor.label[self.rows]
        self._event = events.event[members] - actor._event_starts[tracks][member_track] + begins[member_track]
        self._row = member_track * events.n_filters + events.filter[members]
        self._low, self._high = events.low[members], events.high[members]

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Adds values ``[event]`` over the events of each candidate, ``[track, candidate]``."""
        events = self._actor.events
        found = sum_intervals(
            values[self._event], self._row, self._low, self._high, self._n * events.n_filters, events.n_levels
        )
        return found.reshape(self._n, -1)

    def logits(self) -> torch.Tensor:
        """Returns the logits of all candidates, ``[track, candidate]``, and keeps what the network's last layer saw."""
        actor = self._actor
        self.hidden = actor.network.hidden(actor.scaled[self.rows], self.label)
        values = actor.network.layers[-1](self.hidden)[:, 0] + actor.base[self.rows]
        return self.sums(values) / actor.temperature

    def decoded_probability(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Returns the probability that each event is decoded, ``[event]``, from ``[track, candidate]``."""
        events = self._actor.events
        running = torch.nn.functional.pad(probabilities.reshape(-1, events.n_levels).cumsum(1), (1, 0)).flatten()
        place = self._row * (events.n_levels + 1)
        share = running[place + self._high] - running[place + self._low]
        return share.new_zeros(len(self.rows)).index_add(0, self._event, share)


def _starts(track: torch.Tensor, n_tracks: int) -> torch.Tensor:
    """Returns where the rows of each track begin, int64 ``[track + 1]``, of rows sorted by track."""
    return torch.nn.functional.pad(torch.bincount(track, minlength=n_tracks).cumsum(0), (1, 0))


def _ranges(starts: torch.Tensor, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the rows of the tracks one after another, the position of each row's track, and where each begins."""
    n = starts[tracks + 1] - starts[tracks]
    position, rows = ragged_ranges(starts[tracks], n)
    return rows, position, n.cumsum(0) - n
