"""The rollout buffer of PPO: several environments visit one item, and the others' mean is the baseline of each."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from ...envs.adapters.stable_baselines3 import SB3VecEnv


class LeaveOneOutBuffer(RolloutBuffer):
    """Advantages against the mean return of the other visits to an item, in place of a critic's guess.

    The baseline of a visit does not depend on its own action, so the gradient stays unbiased. An item visited once in a
    rollout has no baseline and gives no advantage; with ``by_class`` all items of a class share one. Returns are sums of
    rewards to the end of the episode, undiscounted.
    Where the environment tells ``class_reward`` (the joint one, if the reward splits by class), each class is credited with
    its own. Advantages are scaled to a root mean square of 1 for every class, or those with large weights would drown the
    others.

    All visits to an item lie in one minibatch, so that the network judges it once for all of them. Arrays have a last
    axis for the classes that an item decides.
    """

    def __init__(
        self, *args: Any, env: SB3VecEnv, n_classes: int, joint: bool = False, by_class: bool = False, **kwargs: Any
    ):
        """Takes the environment, the number of classes, whether an item decides all of them, and what shares a baseline."""
        self._by_class = by_class
        self._env, self._n_classes, self._parts = env, n_classes, n_classes if joint else 1
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Empties the buffer."""
        super().reset()
        shape = (self.buffer_size, self.n_envs, self._parts)
        self.log_probs = np.zeros(shape, np.float32)
        self.advantages = np.zeros(shape, np.float32)
        self.credits = np.zeros(shape, np.float32)

    def add(self, obs: Any, action: Any, reward: Any, *args: Any, **kwargs: Any) -> None:
        """Takes one step of all environments."""
        found = self._env.info.get("class_reward")
        self.credits[self.pos] = np.asarray(reward)[:, None] if found is None else found
        super().add(obs, action, reward, *args, **kwargs)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        """Fills in returns and advantages of a whole rollout."""
        following = np.zeros(self.credits.shape[1:], np.float32)
        going_on = np.zeros(self.n_envs, bool)
        totals = np.empty_like(self.credits)
        for step in reversed(range(self.buffer_size)):
            following = self.credits[step] + np.where(going_on[:, None], following, 0)
            totals[step], going_on = following, self.episode_starts[step] == 0
        items = self.observations.reshape(-1).astype(np.int64)
        label = items[:, None] % self._n_classes if self._parts == 1 else np.arange(self._n_classes)
        # Where an item decides all classes, each has a column, and a baseline, of its own.
        shared = label[:, 0] if self._parts == 1 else np.zeros_like(items)
        advantages = leave_one_out(shared if self._by_class else items, totals.reshape(-1, self._parts))
        self.advantages = scaled_by_class(advantages, label, self._n_classes).reshape(self.advantages.shape)
        self.returns = totals.sum(-1)

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yields minibatches whose sizes differ by one step at most, item by item in random order."""
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


def leave_one_out(items: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Returns how much the return of each visit exceeds the mean of the other visits to its item.

    Args:
        items: item of each visit, or what else shares a baseline, int64 ``[visit]``.
        returns: float ``[visit, class]``.

    Returns:
        float32 ``[visit, class]``, 0 where an item was visited once.
    """
    n = np.bincount(items)[items][:, None]
    sums = np.stack([np.bincount(items, weights=column)[items] for column in returns.T], 1)
    # own - (sum - own) / (n - 1), without the difference of two large numbers when n is 1
    return np.where(n > 1, (n * returns.astype(np.float64) - sums) / np.maximum(n - 1, 1), 0).astype(np.float32)


def scaled_by_class(advantages: np.ndarray, label: np.ndarray, n_classes: int) -> np.ndarray:
    """Divides advantages by the root mean square of their class; a class whose advantages are all 0 keeps them.

    Args:
        advantages: float32 ``[visit, class or 1]``.
        label: class of each, int64, of a shape that broadcasts to it.
        n_classes: number of classes.
    """
    label = np.broadcast_to(label, advantages.shape)
    squares = np.bincount(label.ravel(), np.square(advantages, dtype=np.float64).ravel(), n_classes)
    size = np.sqrt(squares / np.maximum(np.bincount(label.ravel(), minlength=n_classes), 1))
    return (advantages / np.where(size > 0, size, 1)[label]).astype(np.float32)
