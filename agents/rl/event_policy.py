"""The event-additive policy for Stable-Baselines3's PPO."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import nn

from ..events.actor import EventActor
from ..events.policy import best_candidates

_TRACKS = 8192
"""Tracks judged at a time where no gradient is asked for."""


class EventAdditivePolicy(ActorCriticPolicy):
    """A categorical policy over all candidates of a clip and class, with a value head on the same events.

    Use it in `PostProcessingPerClassVectorEnv` with ``observation="item"``, over the task that the actor was built on:
    ``PPO(EventAdditivePolicy, env, policy_kwargs={"actor": actor, "weight": task.linearisation.weight})``.

    The value of a state is ``weight · (Σ P(event is decoded) · u(event) + b)``, with u linear in the hidden layer of g
    and b a number of each class.
    """

    weight: torch.Tensor
    strides: torch.Tensor
    sizes: torch.Tensor

    def __init__(self, *args: Any, actor: EventActor, weight: torch.Tensor, **kwargs: Any):
        """Takes the actor and the reward weight of each class."""
        self._parts = (actor, weight)
        self._known: tuple[int, torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        """Sets up actor, critic and optimiser in place of Stable-Baselines3's networks."""
        actor, weight = self._parts
        self.actor = actor
        self.critic = nn.Linear(actor.network.size["hidden"], 1)
        nn.init.zeros_(self.critic.weight)
        self.level = nn.Parameter(torch.zeros(actor.n_classes))
        self.register_buffer("weight", weight)
        sizes = self.action_space.nvec.tolist()  # pyright: ignore[reportAttributeAccessIssue]
        strides = [1]
        for size in reversed(sizes[1:]):
            strides.insert(0, strides[0] * size)
        self.register_buffer("strides", torch.tensor(strides))
        self.register_buffer("sizes", torch.tensor(sizes))
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # pyright: ignore[reportCallIssue]

    def forward(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns actions, values and log-probabilities of a batch of items."""
        found = self._policy(obs)
        log_pi, values = found.log_pi[found.place], self._value(found)
        candidate = log_pi.argmax(-1) if deterministic else _sample(log_pi.exp())
        actions = candidate[:, None] // self.strides % self.sizes
        return actions, values, log_pi.gather(1, candidate[:, None])[:, 0]

    def evaluate_actions(
        self, obs: Any, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Returns values, log-probabilities and entropies of given actions."""
        found = self._policy(obs)
        candidate = (actions.long() * self.strides).sum(-1)
        entropy = -(found.log_pi.exp() * found.log_pi).sum(-1)
        return self._value(found), found.log_pi[found.place, candidate], entropy[found.place]

    def predict_values(self, obs: Any) -> torch.Tensor:
        """Returns the values of a batch of items."""
        return self._value(self._policy(obs))

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        return self.forward(observation, deterministic)[0]

    @torch.no_grad()
    def best(self) -> torch.Tensor:
        """Returns the argmax candidate of every track of the task, int64 ``[track]``."""
        actor = self.actor
        values = actor.network.layers[-1](actor.network.hidden(actor.scaled, actor.label))[:, 0] + actor.base
        return best_candidates(actor.events, values)

    def _policy(self, obs: torch.Tensor) -> _Judged:
        item = obs.long().reshape(-1)
        label = item % self.actor.n_classes
        if torch.is_grad_enabled():
            tracks, place = self.actor.distinct(item)
            return _Judged(*self._judge(tracks), place, label)
        version = sum(parameter._version for parameter in self.parameters())
        if self._known is None or self._known[0] != version:
            # The policy stands still while a rollout is collected: all tracks are judged once, some at a time.
            tracks, place = self.actor.distinct(torch.arange(self.actor.events.n_tracks))
            parts = [self._judge(some) for some in tracks.split(_TRACKS)]
            log_pi, worth = (torch.cat(column) for column in zip(*parts, strict=True))
            self._known = version, log_pi, worth, place
        _, log_pi, worth, place = self._known
        return _Judged(log_pi, worth, place[item], label)

    def _judge(self, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns log-probabilities ``[track, candidate]`` and ``Σ P(event is decoded) · u(event)`` ``[track]``."""
        batch = self.actor.gather(tracks)
        log_pi = batch.logits().log_softmax(-1)
        # The critic reads the actor's hidden layer without steering it: half the work of a network of its own.
        worth = self.critic(batch.hidden.detach())[:, 0] + self.actor.base[batch.rows]
        shares = batch.decoded_probability(log_pi.detach().exp()) * worth
        return log_pi, worth.new_zeros(len(tracks)).index_add(0, batch.track, shares)

    def _value(self, found: _Judged) -> torch.Tensor:
        return self.weight[found.label] * (found.worth[found.place] + self.level[found.label])


class ItemRolloutBuffer(RolloutBuffer):
    """Deals the steps of a rollout into minibatches item by item, in random order.

    A rollout meets an item (a clip and class) several times, under one policy. With all its steps in one minibatch, the
    network judges it once for all of them.
    """

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yields minibatches whose sizes differ by one step at most."""
        assert self.full
        if not self.generator_ready:
            for name in ("observations", "actions", "values", "log_probs", "advantages", "returns"):
                setattr(self, name, self.swap_and_flatten(getattr(self, name)))
            self.generator_ready = True
        n = self.buffer_size * self.n_envs
        item = self.observations.reshape(-1).astype(np.int64)
        shuffled = torch.randperm(int(item.max()) + 1).numpy()
        order = np.argsort(shuffled[item], kind="stable")
        for part in np.array_split(order, max(1, -(-n // (batch_size or n)))):
            yield self._get_samples(part)


@dataclass(frozen=True)
class _Judged:
    """The policy on distinct tracks, and where the items of a batch are among them.

    Attributes:
        log_pi: float ``[track, candidate]``.
        worth: value of each track before its class's level and weight, float ``[track]``.
        place: track of each item, int64 ``[item]``.
        label: class of each item, int64 ``[item]``.
    """

    log_pi: torch.Tensor
    worth: torch.Tensor
    place: torch.Tensor
    label: torch.Tensor


def _sample(pi: torch.Tensor) -> torch.Tensor:
    """Draws one candidate a row of ``[track, candidate]`` by inverting the distribution function, int64 ``[track]``."""
    running = pi.cumsum(1)
    level = torch.rand(len(pi), 1, device=pi.device) * running[:, -1:]
    return (running <= level).sum(1).clamp(max=pi.shape[1] - 1)
