"""What an environment plays on: scores, count table and linearisation; and the state of many environments at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from rl_postproc.config import TaskConfig, build, build_metric, load_config
from rl_postproc.counts import CountTable
from rl_postproc.decoded import DecodedEvents, decode_candidates
from rl_postproc.errors import UserError, suggest
from rl_postproc.event_features import FeatureGrid, event_features
from rl_postproc.metrics import Metric
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack
from rl_postproc.sweep import sweep

from .rewards import REWARDS, Linearisation, clip_f1, macro_f1

Episode = Literal["clip", "pass"]


class TuningTask:
    """The data of an environment: scores, stack, metric, the count table of the three, and the linearisation.

    Build it once and hand it to many environments to share the table. The table is counted when it is first asked for:
    it grows with clips, classes and candidates, and agents that search thresholds of their own never need it.
    """

    def __init__(self, scores: ScoreSet, stack: Stack, metric: Metric, table: CountTable | Callable[[], CountTable]):
        """Takes the count table of the three, or what makes it."""
        self.scores, self.stack, self.metric, self._table = scores, stack, metric, table

    @property
    def table(self) -> CountTable:
        """Counts of every candidate for every clip and class."""
        if not isinstance(self._table, CountTable):
            self._table = self._table()
        return self._table

    @cached_property
    def linearisation(self) -> Linearisation:
        """Where ``linearised_f1`` is taken; at the best constants, until an agent moves it."""
        return Linearisation.at_best_constants(self.table)

    @cached_property
    def reference(self) -> torch.Tensor:
        """Number of reference events of every clip and class, int64 ``[clip, class]``."""
        return self.scores.require_references().counts().to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state for other processes, the table counted."""
        return {**self.__dict__, "_table": self.table}

    @classmethod
    def build(
        cls,
        scores: TuningTask | ScoreSet | str | Path | dict | None = None,
        stack: Stack | list | None = None,
        metric: Metric | dict | None = None,
        device: str | torch.device | None = None,
    ) -> TuningTask:
        """Builds the task from a score set, a config file or mapping (see `TaskConfig`), or the simulated data set.

        Args:
            scores: a `TuningTask` (used as it is), a `ScoreSet`, the path of a YAML config, a mapping with the keys of
                `TaskConfig`, or None for the simulated data set.
            stack: a `Stack` or its list form; None takes the config's, or the default.
            metric: a metric or its mapping; None takes the config's, or DCASE's collars.
            device: where the table lives and the environment runs; None leaves it where the scores are.

        Raises:
            UserError: the config or data cannot be used.
        """
        if device is not None:
            device = _device(device)
        if isinstance(scores, TuningTask):
            if stack is not None or metric is not None:
                raise UserError("A TuningTask has its stack and metric already; leave out 'stack' and 'metric'.")
            return scores if device is None else scores.to(device)
        config = TaskConfig()
        if isinstance(scores, str | Path):
            config = load_config(TaskConfig, scores)
        elif isinstance(scores, dict):
            config = build(TaskConfig, scores, "scores")
        score_set = scores if isinstance(scores, ScoreSet) else config.load_data()
        if stack is None:
            stack = config.build_stack()
        elif isinstance(stack, list):
            stack = Stack.from_config(stack)
        if metric is None:
            metric = config.metric
        elif isinstance(metric, dict):
            metric = build_metric(metric, "metric")
        score_set = score_set if device is None else score_set.to(device)
        score_set.require_references()
        return cls(score_set, stack, metric, lambda: sweep(score_set, stack, metric))

    def select(self, clips: torch.Tensor) -> TuningTask:
        """Returns the task of the given clips (int64 indices), with its part of the table."""
        return TuningTask(self.scores.select(clips), self.stack, self.metric, lambda: self.table.select(clips))

    def to(self, device: str | torch.device) -> TuningTask:
        """Returns the task on another device, or this one where it is there already."""
        device = _device(device)
        if device == self.device:
            return self
        moved = TuningTask(self.scores.to(device), self.stack, self.metric, lambda: self.table.to(device))
        if "linearisation" in self.__dict__:
            point = self.linearisation
            moved.linearisation = Linearisation(point.lam.to(device), point.weight.to(device))
        return moved

    @cached_property
    def decoded(self) -> DecodedEvents:
        """The distinct events that the candidates decode, on every clip and class."""
        return decode_candidates(self.scores, self.stack)

    @cached_property
    def event_features(self) -> torch.Tensor:
        """Features of the decoded events, sampled on the frame grid of the scores, float32 ``[event, feature]``."""
        return event_features(self.scores, self.decoded, FeatureGrid(self.scores.hop))

    @property
    def device(self) -> torch.device:
        """Where the scores and the table live."""
        return self.scores.device

    def action_sizes(self, per_class: bool) -> list[int]:
        """Returns the number of values of every action component.

        Joint: the parameters of class scope for each class in turn, then those of global scope once. Per class: all
        parameters of one class.

        Raises:
            UserError: ``per_class`` with a parameter of global scope.
        """
        space = self.stack.space
        local = [n for n, p in zip(space.sizes, space.parameters, strict=True) if p.scope == "class"]
        shared = [n for n, p in zip(space.sizes, space.parameters, strict=True) if p.scope == "global"]
        if not per_class:
            return local * self.scores.n_classes + shared
        if shared:
            names = [n for n, p in zip(space.names, space.parameters, strict=True) if p.scope == "global"]
            raise UserError(
                f"The per-class environment cannot tune '{names[0]}', whose scope is global; use the joint one."
            )
        return local

    def candidates(self, actions: torch.Tensor, per_class: bool) -> torch.Tensor:
        """Returns the candidates that actions stand for, int64 ``[env, action]`` → ``[env, class]`` (or ``[env, 1]``)."""
        space = self.stack.space
        n_classes = 1 if per_class else self.scores.n_classes
        local = [i for i, p in enumerate(space.parameters) if p.scope == "class"]
        shared = [i for i, p in enumerate(space.parameters) if p.scope == "global"]
        index = torch.empty(len(actions), n_classes, len(space.parameters), dtype=torch.int64, device=actions.device)
        split = n_classes * len(local)
        index[..., local] = actions[:, :split].reshape(len(actions), n_classes, len(local))
        index[..., shared] = actions[:, None, split:]
        return space.candidate(index)


@dataclass
class StepResult:
    """What one step of all environments gives.

    Attributes:
        reward: float32 ``[env]``.
        ended: bool ``[env]``.
        clip: the clips that were decided, int64 ``[env]``.
        counts: true positives, estimated and reference, int32 ``[env, 3, class or 1]``.
        macro_f1: macro F1 over the clips of the pass so far, float32 ``[env]``.
    """

    reward: torch.Tensor
    ended: torch.Tensor
    clip: torch.Tensor
    counts: torch.Tensor
    macro_f1: torch.Tensor


class Engine:
    """The state of ``num_envs`` environments over one task, as tensors: single and vector environments share it.

    An item is what one step decides: a clip, or a clip and one class. Each environment visits every item once a pass, in
    an order of its own that follows from its seed alone.
    """

    def __init__(self, task: TuningTask, num_envs: int, per_class: bool, reward: str, episode: str | None):
        if reward not in REWARDS:
            raise UserError(f"Unknown reward '{reward}'{suggest(reward, REWARDS)}.")
        episode = episode or ("pass" if reward == "episode_f1" else "clip")
        if episode not in ("clip", "pass"):
            raise UserError(f"Unknown episode '{episode}'{suggest(episode, ['clip', 'pass'])}.")
        if reward == "episode_f1" and episode != "pass":
            raise UserError("The reward 'episode_f1' is paid at the end of a pass; use episode='pass'.")
        self.task, self.num_envs, self.per_class = task, num_envs, per_class
        self.reward_name, self.episode = reward, episode
        scores = task.scores
        self.n_items = scores.n_clips * (scores.n_classes if per_class else 1)
        self.table, device = task.table, task.device
        self._shuffle = torch.randperm(self.n_items, generator=torch.Generator().manual_seed(0)).to(device)
        strides = np.arange(1, self.n_items + 1)
        self._strides = torch.from_numpy(strides[np.gcd(strides, self.n_items) == 1]).to(device)
        zeros = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.key, self.time, self.item = zeros.clone(), zeros.clone(), zeros.clone()
        self.waiting = torch.ones(num_envs, dtype=torch.bool, device=device)
        self.totals = torch.zeros(num_envs, 3, scores.n_classes, dtype=torch.int32, device=device)

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
        self.totals.masked_fill_((mask & (self.time % n == 0))[:, None, None], 0)
        kept = self.item
        self._find_items()
        # The others may stand at an item of choice.
        self.item = torch.where(mask, self.item, kept)

    def _find_items(self) -> None:
        """Sets the item of each environment: an affine walk over a fixed shuffle, drawn anew for each pass."""
        n = self.n_items
        draw = _hash(self.key ^ _hash(self.time // n + 1))
        stride = self._strides[(draw >> 32).abs() % len(self._strides)]
        offset = (draw & 0xFFFFFFFF) % n
        self.item = self._shuffle[(offset + stride * (self.time % n)) % n]

    def clip_and_class(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the clip of each environment and, in the per-class form, the class."""
        if not self.per_class:
            return self.item, None
        n_classes = self.task.scores.n_classes
        return self.item // n_classes, self.item % n_classes

    def step(self, actions: torch.Tensor) -> StepResult:
        """Decides the current item of each environment with actions int64 ``[env, component]`` and moves on."""
        table = self.table
        candidate = self.task.candidates(actions, self.per_class)
        clip, label = self.clip_and_class()
        classes = torch.arange(table.n_classes, device=clip.device)[None] if label is None else label[:, None]
        cell = clip[:, None] * table.n_classes + classes
        flat = cell * table.space.n_candidates + candidate
        parts = (table.true_positives.view(-1)[flat], table.estimated.view(-1)[flat], table.reference.view(-1)[cell])
        counts = torch.stack([part.int() for part in parts], 1)
        if label is None:
            self.totals += counts
        else:
            self.totals.scatter_add_(2, label[:, None, None].expand(-1, 3, 1), counts)
        macro = macro_f1(*self.totals.unbind(1))
        self.time += 1
        pass_over = self.time % self.n_items == 0
        reward = self._reward(counts, label, macro, pass_over)
        ended = pass_over if self.episode == "pass" else torch.ones_like(pass_over)
        self.waiting |= ended
        self.totals.masked_fill_((pass_over & ~ended)[:, None, None], 0)
        self._find_items()
        return StepResult(reward, ended, clip, counts, macro)

    def _reward(
        self, counts: torch.Tensor, label: torch.Tensor | None, macro: torch.Tensor, pass_over: torch.Tensor
    ) -> torch.Tensor:
        if self.reward_name == "episode_f1":
            return torch.where(pass_over, macro * self.task.scores.n_clips, 0.0)
        if self.reward_name == "clip_f1":
            return clip_f1(*counts.unbind(1))
        point = self.task.linearisation
        if label is None:
            return point.reward(*counts.unbind(1)).sum(-1)
        own = Linearisation(point.lam[label, None], point.weight[label, None])
        return own.reward(*counts.unbind(1))[:, 0]


def _device(device: str | torch.device) -> torch.device:
    """Returns the device with its index.

    Raises:
        UserError: there is no such device here.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The device '{device}' cannot be used here ({reason}); use 'cpu'.") from error


def _hash(x: torch.Tensor) -> torch.Tensor:
    """Mixes int64 values (the finaliser of splitmix64, Steele et al. 2014), so that seeds need no stored state."""
    x = x + -7046029254386353131
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ ((x >> 31) & 0x1FFFFFFFF)
