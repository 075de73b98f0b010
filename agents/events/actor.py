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

from rl_postproc.task import TuningTask

from ..actor import Actor
from ..base import Agent, ProgressCallback, share, silent
from ..parts import Parts
from .batches import EventLayout
from .checks import require_events
from .event_value import EventValue
from .fit_value import Select, fit_value
from .network import EventNetwork
from .policy import values_on
from .value_functions import ConstantsValues, EventValueFunction, NetworkValues

Start = Literal["value", "best_constants", "nothing"]


@dataclass(frozen=True)
class InitialPolicy:
    """Where a policy starts.

    Attributes:
        value_function: gives any event its value, None for nothing.
        values: of the task's own events, ``[event]``.
        constants_win: whether the best constants beat it on inner held-out clips.
        lam: λ of each class, ``[class]``, where values are ``2·p − λ``.
    """

    value_function: EventValueFunction | None
    values: torch.Tensor
    constants_win: bool = False
    lam: torch.Tensor | None = None


def initial_policy(
    agent: Agent,
    task: TuningTask,
    start: Start,
    value: EventValue,
    seed: int,
    report: ProgressCallback = silent,
    select: Select = "candidate",
    parts: Parts | None = None,
) -> InitialPolicy:
    """Returns where the policy starts.

    The value function gives its inner held-out predictions, so that it is no surer of the training clips than of others.

    Raises:
        UserError: the task has no events to judge.
    """
    require_events(agent, task)
    if start == "nothing":
        return InitialPolicy(None, torch.zeros(len(task.decoded)))
    if start == "best_constants":
        value_function = ConstantsValues(task.best_constants)
        return InitialPolicy(value_function, values_on(value_function, task))
    found = fit_value(task, value, seed, report, select, parts)
    values = 2 * found.held_out - found.lam[task.decoded.track % task.scores.n_classes]
    return InitialPolicy(found.value_function, values, found.constants_win, found.lam)


def members(n: int, seed: int, report: ProgressCallback) -> Iterator[tuple[int, ProgressCallback]]:
    """Yields the seed of each member of an ensemble, and a callback for its share of the work."""
    for member in range(n):
        yield seed * 1000 + member, share(report, member / n, (member + 1) / n)


class EventActor(Actor):
    """Logits of all candidates for batches of tracks."""

    def __init__(self, task: TuningTask, base: torch.Tensor, hidden: int, temperature: float, dropout: float = 0.0):
        """Takes a task, values ``[event]`` to start from, and the settings of the network."""
        layout = EventLayout(task.decoded)
        super().__init__(layout.alive, task.scores.n_classes)
        self.events, self.temperature, self._layout = task.decoded, temperature, layout
        self.features, self.label = task.event_features, self.events.track % self.n_classes
        self.base = base
        self.network = EventNetwork(self.features.shape[1], self.n_classes, hidden, dropout)
        self.network.standardise(self.features)
        self.scaled = self.network.scaled(self.features)
        last = self.network.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def logits(self, tracks: torch.Tensor) -> torch.Tensor:
        """See `Actor.logits`."""
        batch = self._layout.gather(tracks)
        hidden = self.network.hidden(self.scaled[batch.rows], self.label[batch.rows])
        return batch.sums(self.network.layers[-1](hidden)[:, 0] + self.base[batch.rows]) / self.temperature

    def value_function(self, base: EventValueFunction | None) -> NetworkValues:
        """Returns what the actor has learned, for use on any clip."""
        copy = EventNetwork(**self.network.size)
        copy.load_state_dict(self.network.state_dict())
        return NetworkValues([copy], base=base)
