"""TorchRL: the native vector environment as a batched `EnvBase`, with tensors from end to end on any device."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode

from rl_postproc.utils.errors import UserError

from ..vector import PostProcessingVectorEnv
from . import missing

try:
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Categorical, Composite, MultiCategorical, Unbounded
    from torchrl.envs import EnvBase
except ImportError as error:
    raise missing("TorchRL", "torchrl") from error


class TorchRLEnv(EnvBase):
    """Drives a `PostProcessingVectorEnv` (``output="torch"``, ``autoreset_mode="DISABLED"``) from TorchRL.

    The batch size is ``[env]``. Observations lie under ``observation``, those of the ``dict`` observation under their
    own names. Actions are whole numbers ``[env, component]``, with ``actions="candidate"`` per class ``[env]``. Episodes
    end as terminated, never as truncated. TorchRL resets the environments that have ended itself. No tensor leaves the
    device.
    """

    def __init__(self, env: PostProcessingVectorEnv):
        """Wraps the vector environment.

        Raises:
            UserError: the environment gives arrays, or resets itself.
        """
        if env.output != "torch" or env.autoreset_mode != AutoresetMode.DISABLED:
            raise UserError("TorchRL needs a vector environment with output='torch' and autoreset_mode='DISABLED'.")
        super().__init__(device=env.task.device, batch_size=torch.Size([env.num_envs]))
        self.env = env
        self._pending_seed: int | None = None
        n, device = torch.Size([env.num_envs]), env.task.device
        space = env.single_observation_space
        spaces: dict[str, Any] = dict(space.items()) if isinstance(space, gym.spaces.Dict) else {"observation": space}
        self.observation_spec = Composite(
            {name: _bounded(box, n, device) for name, box in spaces.items()}, shape=n, device=device
        )
        self.action_spec = _actions(env.single_action_space, n, device)
        self.reward_spec = Unbounded(shape=torch.Size([*n, 1]), dtype=torch.float32, device=device)
        flag = Categorical(2, shape=torch.Size([*n, 1]), dtype=torch.bool, device=device)
        self.done_spec = Composite({"done": flag, "terminated": flag.clone()}, shape=n, device=device)

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        seed, self._pending_seed = self._pending_seed, None
        options = None
        if tensordict is not None and tensordict.get("_reset", None) is not None:
            options = {"reset_mask": tensordict.get("_reset").reshape(self.batch_size)}
        observation, _ = self.env.reset(seed=seed, options=options)
        return self._packed(observation, self.env.ended)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation, reward, ended, _, _ = self.env.step(tensordict.get("action"))
        return self._packed(observation, ended).set("reward", reward[:, None])

    def _packed(self, observation: Any, ended: torch.Tensor) -> TensorDictBase:
        named = observation if isinstance(observation, dict) else {"observation": observation}
        flags = {"done": ended[:, None].clone(), "terminated": ended[:, None].clone()}
        return TensorDict({**named, **flags}, batch_size=self.batch_size, device=self.device)

    def _set_seed(self, seed: int | None) -> None:
        """Keeps the seed for the next reset, where environment ``i`` takes ``seed + i``."""
        self._pending_seed = seed


def _actions(space: gym.Space, n: torch.Size, device: torch.device) -> Categorical | MultiCategorical:
    if isinstance(space, gym.spaces.Discrete):
        return Categorical(int(space.n), shape=n, device=device, dtype=torch.int64)
    assert isinstance(space, gym.spaces.MultiDiscrete)
    sizes = torch.as_tensor(space.nvec, device=device)
    return MultiCategorical(sizes, shape=torch.Size([*n, len(sizes)]), device=device, dtype=torch.int64)


def _bounded(box: gym.spaces.Box, n: torch.Size, device: torch.device) -> Bounded:
    shape = torch.Size([*n, *box.shape])
    low, high = (torch.as_tensor(end).expand(shape).to(device) for end in (box.low, box.high))
    return Bounded(low, high, shape, dtype=low.dtype, device=device)
