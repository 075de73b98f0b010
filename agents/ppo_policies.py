"""The event-additive policy for Stable-Baselines3's PPO."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from .event_actor import Batch, EventActor
from .event_policy import best_candidates


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
        batch, log_pi, label = self._policy(obs)
        pi = log_pi.exp()
        candidate = log_pi.argmax(-1) if deterministic else _sample(pi)
        actions = candidate[:, None] // self.strides % self.sizes
        return actions, self._value(batch, pi, label), log_pi.gather(1, candidate[:, None])[:, 0]

    def evaluate_actions(
        self, obs: Any, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Returns values, log-probabilities and entropies of given actions."""
        batch, log_pi, label = self._policy(obs)
        pi = log_pi.exp()
        candidate = (actions.long() * self.strides).sum(-1)
        return (
            self._value(batch, pi.detach(), label),
            log_pi.gather(1, candidate[:, None])[:, 0],
            -(pi * log_pi).sum(-1),
        )

    def predict_values(self, obs: Any) -> torch.Tensor:
        """Returns the values of a batch of items."""
        batch, log_pi, label = self._policy(obs)
        return self._value(batch, log_pi.exp(), label)

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        return self.forward(observation, deterministic)[0]

    @torch.no_grad()
    def best(self) -> torch.Tensor:
        """Returns the argmax candidate of every track of the task, int64 ``[track]``."""
        actor = self.actor
        values = actor.network(actor.features, actor.label) + actor.base
        return best_candidates(actor.events, values)

    def _policy(self, obs: torch.Tensor) -> tuple[Batch, torch.Tensor, torch.Tensor]:
        item = obs.long().reshape(-1)
        batch = self.actor.gather(item)
        return batch, batch.logits().log_softmax(-1), item % self.actor.n_classes

    def _value(self, batch: Batch, pi: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        # The critic reads the actor's hidden layer without steering it: half the work of a network of its own.
        worth = self.critic(batch.hidden.detach())[:, 0] + self.actor.base[batch.rows]
        shares = batch.decoded_probability(pi.detach()) * worth
        total = worth.new_zeros(len(label)).index_add(0, batch.track, shares)
        return self.weight[label] * (total + self.level[label])


def _sample(pi: torch.Tensor) -> torch.Tensor:
    """Draws one candidate a row of ``[track, candidate]`` by inverting the distribution function, int64 ``[track]``."""
    running = pi.cumsum(1)
    level = torch.rand(len(pi), 1, device=pi.device) * running[:, -1:]
    return (running <= level).sum(1).clamp(max=pi.shape[1] - 1)
