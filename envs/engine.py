"""The state of many environments at once, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from rl_postproc.counts.table import CountTable
from rl_postproc.metrics.objectives import Linearisation
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, suggest

from .actions import Actions
from .rewards import Decided, Reward

Episode = Literal["clip", "pass"]


@dataclass
class StepResult:
    """What one step of all environments gives.

    Attributes:
        reward: float32 ``[env]``.
        ended: bool ``[env]``.
        clip: the clips that were decided, int64 ``[env]``.
        counts: the metric's columns, int32 ``[env, column, class or 1]``.
        objective: objective over the clips of the pass so far, float32 ``[env]``.
        class_reward: the terms of the reward, float32 ``[env, class]``, where classes are decided together and the reward
            splits by class.
    """

    reward: torch.Tensor
    ended: torch.Tensor
    clip: torch.Tensor
    counts: torch.Tensor
    objective: torch.Tensor
    class_reward: torch.Tensor | None = None


class EpisodeBatch:
    """The state of ``num_envs`` environments over one task, as tensors: single and vector environments share it.

    An item is what one step decides: a clip, or a clip and one class. Each environment visits every item once a pass, in
    an order of its own that follows from its seed alone. With ``skip_silent`` the items for which no candidate decodes
    anything are left out, since nothing can be decided there; their references count towards `totals` all the same.

    Attributes:
        items: the items of a pass, int64 ``[n_items]``.
        actions: the action space, and what actions stand for.
    """

    def __init__(
        self,
        task: TuningTask,
        num_envs: int,
        per_class: bool,
        reward: str | dict,
        episode: str | None,
        skip_silent: bool = False,
        class_rewards: bool = False,
        actions: str = "indices",
    ):
        self.reward = Reward.make(reward, "the environment")
        episode = episode or ("pass" if self.reward.pays_at_end else "clip")
        if episode not in ("clip", "pass"):
            raise UserError(f"Unknown episode '{episode}'{suggest(episode, ['clip', 'pass'])}.")
        if self.reward.pays_at_end and episode != "pass":
            raise UserError(f"The reward '{self.reward.name}' is paid at the end of a pass; use episode='pass'.")
        self.task, self.num_envs, self.per_class, self.episode = task, num_envs, per_class, episode
        self.actions = Actions(task, per_class, actions)
        self.linearisation = task.linearisation
        """Where the reward is linearised: this batch's own, at the best constants until an agent moves it."""
        table, device = task.table, task.device
        self._visited, self._skipped = _visited(table, per_class, skip_silent)
        self._skips = not bool(self._visited.all())
        self._tells_classes = class_rewards and not per_class and self.reward.splits_by_class
        self.items = self._visited.nonzero()[:, 0]
        self.n_items = len(self.items)
        self._columns = [(table.counts[name].reshape(-1), table.counts[name].ndim == 3) for name in task.metric.columns]
        self._shuffle = self.items[torch.randperm(self.n_items, generator=torch.Generator().manual_seed(0)).to(device)]
        strides = np.arange(1, self.n_items + 1)
        self._strides = torch.from_numpy(strides[np.gcd(strides, self.n_items) == 1]).to(device)
        zeros = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.key, self.time, self.item, self.shift = (zeros.clone() for _ in range(4))
        self.waiting = torch.ones(num_envs, dtype=torch.bool, device=device)
        self.totals = self._skipped.repeat(num_envs, 1, 1)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Returns everything that changes from step to step, and where the reward is linearised."""
        state = {name: getattr(self, name) for name in ("key", "time", "item", "shift", "waiting", "totals")}
        state |= {"scale": self.linearisation.scale, "slope": self.linearisation.slope}
        return {name: value.clone() for name, value in state.items()}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Goes back to a state."""
        state = {name: value.to(self.task.device, copy=True) for name, value in state.items()}
        self.linearisation = Linearisation(self.task.metric.columns, state.pop("scale"), state.pop("slope"))
        for name, value in state.items():
            setattr(self, name, value)

    def seed(self, keys: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        """Starts environments anew with the given seeds, int64 ``[env]``."""
        mask = torch.ones_like(self.waiting) if mask is None else mask
        self.key = torch.where(mask, keys.to(self.key.device), self.key)
        self.time = torch.where(mask, 0, self.time)
        self.waiting = self.waiting | mask
        self.reset(mask)

    def reset(self, mask: torch.Tensor) -> None:
        """Begins the next episode of the masked environments; one that has not ended is abandoned."""
        abandoned = mask & ~self.waiting
        n = self.n_items
        following = self.time + 1 if self.episode == "clip" else (self.time // n + 1) * n
        self.time = torch.where(abandoned, following, self.time)
        self.waiting = self.waiting & ~mask
        self._begin_pass(mask & (self.time % n == 0))
        kept = self.item
        self._find_items()
        # The others may stand at an item of choice.
        self.item = torch.where(mask, self.item, kept)

    def _begin_pass(self, mask: torch.Tensor) -> None:
        """Sets the masked environments' counts to those of the items that a pass leaves out, and ends a chosen order."""
        self.shift = torch.where(mask, 0, self.shift)
        if self._skips:
            self.totals = torch.where(mask[:, None, None], self._skipped, self.totals)
        else:
            self.totals.masked_fill_(mask[:, None, None], 0)

    def _find_items(self) -> None:
        """Sets the item of each environment: an affine walk over a fixed shuffle, drawn anew for each pass."""
        self.item = self._shuffle[self._places()]

    def _places(self) -> torch.Tensor:
        """Returns where in the shuffle each environment stands, int64 ``[env]``."""
        n = self.n_items
        draw = _hash(self.key ^ _hash(self.time // n + 1))
        stride = self._strides[(draw >> 32).abs() % len(self._strides)]
        offset = (draw & 0xFFFFFFFF) % n
        return (offset + self.shift + stride * (self.time % n)) % n

    def choose(self, item: int, mask: torch.Tensor) -> None:
        """Makes an item the next one of the masked environments, which stand at the beginning of an episode.

        Where an episode is a pass, its order is shifted to begin with the item, so that it still visits every item once.
        Where it is one step, the item takes the place of the one whose turn it was. An item that passes leave out comes in
        addition.
        """
        if self.episode == "pass" and bool(self._visited[item]):
            place = (self._shuffle == item).nonzero()[0, 0]
            self.shift = torch.where(mask, (self.shift + place - self._places()) % self.n_items, self.shift)
        self.item = torch.where(mask, item, self.item)

    def clip_and_class(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the clip of each environment and, in the per-class form, the class."""
        if not self.per_class:
            return self.item, None
        n_classes = self.task.scores.n_classes
        return self.item // n_classes, self.item % n_classes

    def step(self, actions: torch.Tensor) -> StepResult:
        """Decides the current item of each environment with actions int64 ``[env, component]`` and moves on."""
        task, space = self.task, self.task.stack.space
        n_classes, candidate = task.scores.n_classes, self.actions.candidates(actions)
        clip, label = self.clip_and_class()
        classes = torch.arange(n_classes, device=clip.device)[None] if label is None else label[:, None]
        cell = clip[:, None] * n_classes + classes
        flat = cell * space.n_candidates + candidate
        counts = torch.stack([column[flat if varies else cell].int() for column, varies in self._columns], 1)
        # An item that is left out, and decided all the same by choice, is in the totals already and no part of the pass.
        visited = self._visited[self.item] if self._skips else torch.ones_like(self.waiting)
        added = counts * visited[:, None, None] if self._skips else counts
        if label is None:
            self.totals += added
        else:
            self.totals.scatter_add_(2, label[:, None, None].expand(-1, len(self._columns), 1), added)
        objective = self._objective()
        self.time += visited
        pass_over = visited & (self.time % self.n_items == 0)
        reward = self.reward(
            Decided(task.metric, counts, label, self.linearisation, objective, pass_over, task.scores.n_clips)
        )
        ended = pass_over if self.episode == "pass" else torch.ones_like(pass_over)
        self.waiting |= ended
        self._begin_pass(pass_over & ~ended)
        self._find_items()
        terms = self.rewards_by_class(counts.mT) if self._tells_classes else None
        return StepResult(reward, ended, clip, counts, objective, terms)

    def _objective(self) -> torch.Tensor:
        """Returns the objective over the clips of the pass so far, float32 ``[env]``."""
        totals = self.totals.float().unbind(1)
        return self.task.objective.value(self.task.metric, dict(zip(self.task.metric.columns, totals, strict=True)))

    def rewards_by_class(self, counts: torch.Tensor) -> torch.Tensor:
        """Returns what deciding each class by itself would be paid now, float32 ``[..., class]``.

        Args:
            counts: the metric's columns of clips, ``[..., class, column]``; for rewards that split by class.
        """
        rows = counts.flatten(0, -2)[..., None]
        labels = torch.arange(len(rows), device=counts.device) % counts.shape[-2]
        nothing = torch.zeros(len(rows), device=counts.device)
        point, n_clips = self.linearisation, self.task.scores.n_clips
        paid = self.reward(Decided(self.task.metric, rows, labels, point, nothing, nothing > 0, n_clips))
        return paid.reshape(counts.shape[:-1])

    def step_some(self, actions: torch.Tensor, acting: torch.Tensor) -> StepResult:
        """Steps only the environments in ``acting`` (bool ``[env]``); the others keep their state and earn nothing."""
        names = ("time", "item", "waiting", "totals")
        kept = {name: getattr(self, name).clone() for name in names}
        result = self.step(torch.where(acting[:, None], actions, 0))
        for name, value in kept.items():
            mask = acting.reshape(-1, *[1] * (value.ndim - 1))
            setattr(self, name, torch.where(mask, getattr(self, name), value))
        result.reward.masked_fill_(~acting, 0.0)
        if result.class_reward is not None:
            result.class_reward.masked_fill_(~acting[:, None], 0.0)
        result.ended.masked_fill_(~acting, False)
        return result


def _visited(table: CountTable, per_class: bool, skip_silent: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns which items a pass visits, bool ``[item]``, and the counts of those left out, int32 ``[column, class]``.

    Raises:
        UserError: no candidate decodes anything on any clip.
    """
    columns = [table.counts[name] for name in table.metric.columns]
    left_out = torch.zeros(len(columns), table.n_classes, dtype=torch.int32, device=columns[0].device)
    if not skip_silent:
        n_items = table.n_clips * (table.n_classes if per_class else 1)
        return torch.ones(n_items, dtype=torch.bool, device=left_out.device), left_out
    decides = table.decides() if per_class else table.decides().any(1, keepdim=True)
    if not bool(decides.any()):
        raise UserError("No candidate of the stack decodes anything on these clips, so skip_silent leaves none of them; "
                        "lower the thresholds.")  # fmt: skip
    for total, column in zip(left_out, columns, strict=True):
        # What every candidate counts there: the references, or what is missed of them.
        total += torch.where(decides, 0, column if column.ndim == 2 else column[..., 0]).sum(0)
    return decides.flatten(), left_out


def _hash(x: torch.Tensor) -> torch.Tensor:
    """Mixes int64 values (the finaliser of splitmix64, Steele et al. 2014), so that seeds need no stored state."""
    x = x + -7046029254386353131
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)
