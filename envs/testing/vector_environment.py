"""Conformance of a vector environment: it plays as so many single environments, in every autoreset mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from rl_postproc.testing.base import require, same


def check_vector_environment(
    make_vector: Callable[[AutoresetMode], VectorEnv],
    make_single: Callable[[], gym.Env],
    steps: int = 40,
    seed: int = 7,
) -> None:
    """Checks a vector environment against single environments that are seeded with ``seed, seed + 1, …``.

    Observations, rewards, ends and every entry of the infos are compared step by step, in all three autoreset modes.

    Args:
        make_vector: builds the vector environment (numpy) with a given autoreset mode.
        make_single: builds one environment.
        steps: how many steps to play in each mode.
        seed: seed of the first environment.

    Raises:
        NonConformant: they differ, or the mode does not stand in the attribute and the instance's metadata.
    """
    for mode in AutoresetMode:
        vector = make_vector(mode)
        stands = vector.metadata.get("autoreset_mode") == mode and getattr(vector, "autoreset_mode", mode) == mode
        require(stands, f"{mode}: the mode does not stand in the attribute and in the metadata of the instance")
        singles = [make_single() for _ in range(vector.num_envs)]
        _compare(mode, vector, singles, steps, seed)
    together = [make_vector(mode) for mode in AutoresetMode]
    metadata = [vector.metadata["autoreset_mode"] for vector in together]
    require(metadata == list(AutoresetMode), "instances share their metadata, so that the last mode holds for all")


def _compare(mode: AutoresetMode, vector: VectorEnv, singles: list[gym.Env], steps: int, seed: int) -> None:
    observation, info = vector.reset(seed=seed)
    started = [env.reset(seed=seed + i) for i, env in enumerate(singles)]
    everyone = np.ones(len(singles), dtype=bool)
    _require_rows(f"{mode}, reset", observation, info, [s[0] for s in started], [s[1] for s in started], everyone)
    vector.action_space.seed(seed)
    over = np.zeros(len(singles), dtype=bool)
    for step in range(steps):
        where = f"{mode}, step {step}"
        if mode == AutoresetMode.DISABLED and over.any():
            observation, info = vector.reset(options={"reset_mask": over.copy()})
            begun = [
                env.reset() if o else (_row(observation, i), {})
                for i, (env, o) in enumerate(zip(singles, over, strict=True))
            ]
            _require_rows(where + ", reset", observation, info, [b[0] for b in begun], [b[1] for b in begun], over)
            over[:] = False
        actions = vector.action_space.sample()
        observation, reward, terminated, truncated, info = vector.step(actions)
        played: list[tuple] = []
        for env, action, waiting in zip(singles, actions, over, strict=True):
            played.append((env.reset()[0], 0.0, False, False, None) if waiting else env.step(action))
        ended = np.array([row[2] or row[3] for row in played])
        for name, found, column in (
            ("rewards", reward, 1),
            ("terminations", terminated, 2),
            ("truncations", truncated, 3),
        ):
            expected = np.array([row[column] for row in played])
            require(np.allclose(found, expected, rtol=1e-5, atol=1e-6), f"{where}: the {name} differ from the singles'")
        acted = np.array([row[4] is not None for row in played])
        observations, infos = [row[0] for row in played], [row[4] or {} for row in played]
        if mode == AutoresetMode.SAME_STEP and ended.any():
            _require_rows(where + ", final", info["final_obs"], info["final_info"], observations, infos, ended)
            masks = all(same(info[f"_{name}"], ended) for name in ("final_obs", "final_info"))
            require(masks, f"{where}: the masks of final_obs and final_info do not mark the ended environments")
            observations = [env.reset()[0] if e else o for env, e, o in zip(singles, ended, observations, strict=True)]
            acted &= ~ended
        _require_rows(where, observation, info, observations, infos, acted)
        over = ended if mode != AutoresetMode.SAME_STEP else over


def _row(observation: Any, i: int) -> Any:
    return {k: v[i] for k, v in observation.items()} if isinstance(observation, dict) else observation[i]


def _require_rows(
    where: str, observation: Any, info: dict[str, Any], observations: list[Any], infos: list[dict], mask: np.ndarray
) -> None:
    """Requires equal observations (those of final ones only under the mask) and, under the mask, equal infos."""
    for i, (own, own_info) in enumerate(zip(observations, infos, strict=True)):
        if mask[i] or "final" not in where:
            require(same(_row(observation, i), own), f"{where}: the observation of environment {i} differs")
        if not mask[i]:
            continue
        for key, value in own_info.items():
            require(key in info and bool(info[f"_{key}"][i]), f"{where}: environment {i} lacks the info '{key}'")
            close = same(info[key][i], value) or (isinstance(value, float) and np.isclose(info[key][i], value))
            require(bool(close), f"{where}: the info '{key}' of environment {i} is {info[key][i]}, not {value}")
