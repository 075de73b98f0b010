"""Checkpoints of PPO: everything a run needs to go on as if it had never stopped, as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from rl_postproc.pipeline.saved import with_prefix

from ...envs.adapters.stable_baselines3 import SB3VecEnv
from ..parts import load_optimiser, optimiser_tensors, read_kept, write_kept


def save_checkpoint(
    path: Path, model: PPO, key: str, curve: list[dict[str, float]], best: dict[str, torch.Tensor]
) -> None:
    """Writes the state of a PPO run at the end of a rollout.

    Args:
        path: file to write, whole or not at all.
        model: the model, in an `SB3VecEnv`.
        key: what identifies the run; only a run with the same key takes the checkpoint up.
        curve: figures so far.
        best: weights of the best policy so far, or none.
    """
    env = _environment(model)
    tensors = {f"policy.{name}": value for name, value in model.policy.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimiser_tensors(model.policy.optimizer).items()}
    tensors |= {f"environment.{name}": value for name, value in env.state_dict().items()}
    tensors["torch_rng"] = torch.get_rng_state()
    assert isinstance(model._last_obs, np.ndarray)
    tensors["observation"] = torch.as_tensor(model._last_obs)
    tensors["starts"] = torch.as_tensor(model._last_episode_starts)
    values = {"steps": model.num_timesteps, "updates": model._n_updates, "curve": curve}
    write_kept(path, key, values, tensors)


def load_checkpoint(path: Path, model: PPO, key: str) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Restores a run into a freshly built model; an absent file changes nothing.

    Returns:
        The curve so far and the weights of the best policy.

    Raises:
        UserError: the checkpoint is damaged, belongs to another run, or was made by other code.
    """
    if not path.is_file():
        return [], {}
    values, tensors = read_kept(path, key)
    env = _environment(model)
    model.policy.load_state_dict(with_prefix(tensors, "policy."))
    load_optimiser(model.policy.optimizer, with_prefix(tensors, "optimizer."))
    env.load_state_dict(with_prefix(tensors, "environment."))
    model._last_obs = tensors["observation"].numpy()
    model._last_episode_starts = tensors["starts"].numpy()
    model.num_timesteps, model._n_updates = values["steps"], values["updates"]
    torch.set_rng_state(tensors["torch_rng"])
    return values["curve"], with_prefix(tensors, "best.")


def _environment(model: PPO) -> Any:
    assert isinstance(model.env, SB3VecEnv)
    return model.env.env
