"""Tianshou 2: the native vector environment as a `BaseVectorEnv`, without a worker for each environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from rl_postproc.utils.errors import UserError

from ..vector import PostProcessingVectorEnv
from . import missing

try:
    from tianshou.data import Batch
    from tianshou.env import BaseVectorEnv
except ImportError as error:
    raise missing("Tianshou 2", "tianshou") from error


class TianshouVectorEnv(BaseVectorEnv):
    """Drives a `PostProcessingVectorEnv` (``autoreset_mode="DISABLED"``) from Tianshou's collectors.

    Episodes end as terminated, never as truncated. Dictionary observations come as a `Batch`. The infos hold the number
    of the environment only: a dictionary with counts for each of thousands of environments would cost more than the
    step.
    """

    def __init__(self, env: PostProcessingVectorEnv):
        """Wraps the vector environment.

        Raises:
            UserError: the environment resets itself, or gives tensors.
        """
        if env.output != "numpy" or env.autoreset_mode != AutoresetMode.DISABLED:
            raise UserError("Tianshou needs a vector environment with output='numpy' and autoreset_mode='DISABLED'.")
        # BaseVectorEnv would start workers; everything that it keeps about them is set here instead.
        self.env = env
        self.env_num = self.wait_num = env.num_envs
        self.is_async, self.is_closed, self.timeout = False, False, None
        self.workers, self.waiting_conn, self.waiting_id = [], [], []
        self.ready_id = list(range(env.num_envs))
        self._seeds: list[int | None] | None = None

    def get_env_attr(self, key: str, id: Any = None) -> list[Any]:
        """Returns an attribute of one environment, once for each index."""
        names = {"observation_space": "single_observation_space", "action_space": "single_action_space"}
        value = getattr(self.env, names.get(key, key))
        return [value for _ in self._wrap_id(id)]

    def set_env_attr(self, key: str, value: Any, id: Any = None) -> None:
        """Sets an attribute of the vector environment."""
        setattr(self.env, key, value)

    def seed(self, seed: int | list[int] | None = None) -> list[list[int] | None]:
        """Keeps the seeds for the next reset; an int stands for ``seed, seed + 1, …``."""
        seeds: list[Any] = [seed] * self.env_num if seed is None else []
        if seed is not None:
            seeds = [seed + i for i in range(self.env_num)] if isinstance(seed, int) else list(seed)
        self._seeds = seeds
        return [None if one is None else [one] for one in seeds]

    def reset(self, env_id: Any = None, **kwargs: Any) -> tuple[Any, np.ndarray]:
        """Resets some or all environments; returns their observations and infos."""
        ids = np.asarray(self._wrap_id(env_id))
        mask = np.zeros(self.env_num, dtype=bool)
        mask[ids] = True
        seeds, self._seeds = self._seeds, None
        options = {**(kwargs.get("options") or {}), "reset_mask": mask}
        if not mask.all() and not self.env.started:
            options.pop("reset_mask")
        observation, _ = self.env.reset(seed=kwargs.get("seed", seeds), options=options)
        return _rows(observation, ids), _infos(ids)

    def step(self, action: Any, id: Any = None) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Steps some or all environments with actions ``[id, component]``, or ``[id]`` where an action is one candidate."""
        ids = np.asarray(self._wrap_id(id))
        action = action.cpu().numpy() if isinstance(action, torch.Tensor) else np.asarray(action)
        if len(ids) == self.env_num and (ids == np.arange(self.env_num)).all():
            observation, reward, terminated, truncated, _ = self.env.step(action)
        else:
            observation, reward, terminated, truncated, _ = self.env.step_some(action, ids)
        return _rows(observation, ids), reward[ids], terminated[ids], truncated[ids], _infos(ids)

    def render(self, **kwargs: Any) -> list[Any]:
        """Returns no images: draw a clip with a single environment."""
        return [None] * self.env_num

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()
        self.is_closed = True


def _rows(observation: Any, ids: np.ndarray) -> Any:
    if isinstance(observation, dict):
        return Batch({name: part[ids] for name, part in observation.items()})
    return observation[ids]


def _infos(ids: np.ndarray) -> np.ndarray:
    return np.array([{"env_id": i} for i in ids.tolist()], dtype=object)
