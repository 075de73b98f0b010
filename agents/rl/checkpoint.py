"""Checkpoints of PPO: everything a run needs to go on as if it had never stopped, as safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from stable_baselines3 import PPO

from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import whole_file
from rl_postproc.utils.plain_values import parse_json

from ...envs.adapters.stable_baselines3 import SB3VecEnv


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
    for i, state in model.policy.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors |= {f"environment.{name}": value for name, value in env.state_dict().items()}
    tensors["torch_rng"] = torch.get_rng_state()
    assert isinstance(model._last_obs, np.ndarray)
    tensors["observation"] = torch.as_tensor(model._last_obs)
    tensors["starts"] = torch.as_tensor(model._last_episode_starts)
    about = {
        "key": key,
        "code": code_version(),
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "curve": curve,
    }
    plain = {n: t.detach().cpu().clone().contiguous() for n, t in tensors.items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(plain, {"about": json.dumps(about)}))


def load_checkpoint(path: Path, model: PPO, key: str) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Restores a run into a freshly built model; an absent file changes nothing.

    Returns:
        The curve so far and the weights of the best policy.

    Raises:
        UserError: the checkpoint is damaged, belongs to another run, or was made by other code.
    """
    if not path.is_file():
        return [], {}
    try:
        with safe_open(path, "pt") as file:
            about = parse_json(file.metadata()["about"])
            names = ("key", "code", "steps", "updates", "curve")
            known, code, steps, updates, curve = (about[name] for name in names)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"The checkpoint '{path}' is damaged ({error}); delete it to start anew.") from error
    if known != key:
        raise UserError(
            f"The checkpoint '{path}' belongs to other data or settings; use another run folder or delete it."
        )
    if code != code_version():
        raise UserError(f"The checkpoint '{path}' was made by other code ({code}, not {code_version()}), with which alone "
                        "its run goes on as if it had never stopped; delete it to start anew.")  # fmt: skip
    env = _environment(model)
    model.policy.load_state_dict(_with_prefix(tensors, "policy."))
    optimizer = model.policy.optimizer.state_dict()
    states: dict[int, dict[str, Any]] = {}
    for name, value in _with_prefix(tensors, "optimizer.").items():
        number, what = name.split(".", 1)
        states.setdefault(int(number), {})[what] = value
    model.policy.optimizer.load_state_dict({**optimizer, "state": states})
    env.load_state_dict(_with_prefix(tensors, "environment."))
    model._last_obs = tensors["observation"].numpy()
    model._last_episode_starts = tensors["starts"].numpy()
    model.num_timesteps, model._n_updates = steps, updates
    torch.set_rng_state(tensors["torch_rng"])
    return curve, _with_prefix(tensors, "best.")


def _environment(model: PPO) -> Any:
    assert isinstance(model.env, SB3VecEnv)
    return model.env.env


def _with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
