"""The policy of PPO for Stable-Baselines3: it is told which item it decides, and judges an item once for all its visits.

An item is a clip and a class, or in the joint environment a clip. The actor holds the scores of the task and gives the
logits of all candidates of a track; there is no critic, see `LeaveOneOutBuffer`.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy

from rl_postproc.counts.table import CountTable
from rl_postproc.pipeline.space import strides_of

from ..actor import Actor

_TRACKS = 1024
"""Tracks judged at a time where no gradient is asked for."""


class ItemPolicy(ActorCriticPolicy):
    """A categorical policy over the candidates of each class of an item; use it with ``observation="item"``.

    Log-probabilities and entropies have one entry for every class that an item decides, item-major, so that PPO clips
    and credits each class by itself. Values are zeros, and ``vf_coef`` should be 0.
    """

    strides: torch.Tensor
    sizes: torch.Tensor

    def __init__(self, *args: Any, actor: Actor, joint: bool = False, **kwargs: Any):
        """Takes the actor; ``joint`` when an item is a clip with all of its classes."""
        self._given, self._parts = (actor,), actor.n_classes if joint else 1
        self._known: tuple[int, torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        """Sets up actor and optimiser in place of Stable-Baselines3's networks."""
        (self.actor,) = self._given
        if isinstance(self.action_space, spaces.Discrete):
            sizes = [int(self.action_space.n)]
        else:
            assert isinstance(self.action_space, spaces.MultiDiscrete)
            sizes = self.action_space.nvec[: len(self.action_space.nvec) // self._parts].tolist()
        self.register_buffer("strides", torch.tensor(strides_of(sizes)))
        self.register_buffer("sizes", torch.tensor(sizes))
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # pyright: ignore[reportCallIssue]

    @torch.no_grad()
    def forward(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns actions ``[item, component]``, values and log-probabilities ``[item, class]`` of a batch of items."""
        log_pi, line, place = self._remembered()
        row = place[self._tracks(obs)]
        candidate = log_pi[row].argmax(-1) if deterministic else _draw(line, row, log_pi.shape[1])
        actions = (candidate[:, None] // self.strides % self.sizes).reshape(len(obs), *self.action_space.shape)  # pyright: ignore[reportOptionalIterable, reportGeneralTypeIssues]
        return actions, torch.zeros(len(obs)), log_pi[row, candidate].reshape(len(obs), -1)

    def evaluate_actions(self, obs: Any, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns values ``[item]``, and log-probabilities and entropies ``[item * class]`` of given actions."""
        tracks, place = self.actor.distinct(self._tracks(obs))
        log_pi = self.actor.logits(tracks).log_softmax(-1)
        candidate = (actions.long().reshape(len(place), -1) * self.strides).sum(-1)
        entropy = -(log_pi.exp() * log_pi).sum(-1)
        return torch.zeros(len(obs)), log_pi[place, candidate], entropy[place]

    def predict_values(self, obs: Any) -> torch.Tensor:
        """Returns zeros."""
        return torch.zeros(len(obs))

    @torch.no_grad()
    def expected_counts(self, table: CountTable) -> dict[str, torch.Tensor]:
        """Returns the counts ``[class]``, float64, that this policy expects of a pass over the task."""
        log_pi, _, place = self._remembered()
        varying = {name: column.flatten(0, 1) for name, column in table.counts.items() if column.ndim == 3}
        sums = {name: column.sum(0).double() for name, column in table.counts.items() if column.ndim == 2}
        sums |= {name: torch.zeros(self.actor.n_classes, dtype=torch.float64) for name in varying}
        for tracks in torch.arange(self.actor.n_tracks).split(_TRACKS):
            pi = log_pi[place[tracks]].exp()
            for name, column in varying.items():
                mean = (pi * column[tracks]).sum(1)
                sums[name].index_add_(0, tracks % self.actor.n_classes, mean.double())
        return sums

    def _predict(self, observation: Any, deterministic: bool = False) -> torch.Tensor:
        return self.forward(observation, deterministic)[0]

    def _tracks(self, obs: torch.Tensor) -> torch.Tensor:
        """Returns the tracks that items decide, int64 ``[item * class]``."""
        items = obs.long().reshape(-1, 1)
        return (items * self._parts + torch.arange(self._parts, device=items.device)).flatten()

    def _remembered(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns log-probabilities ``[row, candidate]``, the line that `_draw` takes, and the row of each track.

        The policy stands still while a rollout is collected: all tracks are judged once, some at a time.
        """
        version = sum(parameter._version for parameter in self.parameters())
        if self._known is None or self._known[0] != version:
            tracks, place = self.actor.distinct(torch.arange(self.actor.n_tracks))
            log_pi = torch.cat([self.actor.logits(some).log_softmax(-1) for some in tracks.split(_TRACKS)])
            running = log_pi.double().exp().cumsum(1)
            line = (running / running[:, -1:] + torch.arange(len(running))[:, None]).flatten()
            self._known = version, log_pi, line, place
        return self._known[1:]


def _draw(line: torch.Tensor, row: torch.Tensor, n_candidates: int) -> torch.Tensor:
    """Draws one candidate from each of the given rows by inverting its distribution function, int64 of their shape.

    Args:
        line: running sums of probabilities, those of row r raised by r and laid one after another, so that they increase
            all along: one search serves all visits, and no row is copied for every visit.
        row: int64 ``[visit]``.
        n_candidates: length of a row.
    """
    level = torch.rand(len(row), dtype=line.dtype) + row
    place = torch.searchsorted(line, level, right=True)
    return (place - row * n_candidates).clamp(0, n_candidates - 1)
