"""Conformance of a single environment."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rl_postproc.testing.base import require, same


def check_environment(make: Callable[[], gym.Env], steps: int = 50) -> None:
    """Checks a single environment.

    Gymnasium's own checker without a warning; equal trajectories for equal seeds, from a pickled and from a deep copy;
    returned arrays that are the caller's own; zeros and a reset demanded after an episode's end; no truncation.

    Args:
        make: builds the environment anew.
        steps: how many steps to play.

    Raises:
        NonConformant: one of these does not hold.
    """
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Advice to scale observations, which is the business of whoever chooses an unscaled one.
        warnings.filterwarnings("ignore", message=".*A Box observation space .* value is -?infinity.*")
        check_env(make().unwrapped, skip_render_check=True)
    _check_trajectories(make, steps)
    _check_end(make(), steps)
    _check_rendering(make())


def _play(env: gym.Env, actions: list[Any], spoil: bool = False) -> list[tuple]:
    """Steps with the actions, beginning anew after each end; may write into everything that was returned."""
    rows = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        rows.append(copy.deepcopy((observation, reward, terminated, info)))
        require(not truncated, "an episode was truncated; clips end as terminated")
        if terminated:
            following, info_reset = env.reset()
            rows.append(copy.deepcopy((following, info_reset)))
            observation = [observation, following]
        if spoil:
            _overwrite([observation, info])
    return rows


def _overwrite(value: Any) -> None:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _overwrite(part)
    elif isinstance(value, np.ndarray) and value.flags.writeable and value.dtype != object:
        value.fill(1)


def _equal(a: list[tuple], b: list[tuple]) -> bool:
    return len(a) == len(b) and all(same(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))


def _check_trajectories(make: Callable[[], gym.Env], steps: int) -> None:
    env = make()
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(steps)]
    env.reset(seed=3)
    copies = {"a pickled copy": pickle.loads(pickle.dumps(env)), "a deep copy": copy.deepcopy(env)}
    expected = _play(env, actions)
    for name, other in copies.items():
        require(_equal(_play(other, actions), expected), f"{name} plays otherwise than the environment it was made of")
    env.reset(seed=3)
    require(_equal(_play(env, actions), expected), "the same seed does not give the same trajectory again")
    fresh = make()
    fresh.reset(seed=3)
    require(
        _equal(_play(fresh, actions, spoil=True), expected), "writing into returned arrays changes what comes later"
    )
    fresh.reset(seed=4)
    require(not _equal(_play(fresh, actions), expected), "another seed gives the same trajectory")


def _check_end(env: gym.Env, steps: int) -> None:
    env.reset(seed=0)
    for _ in range(max(steps, 100_000)):
        observation, _, terminated, _, _ = env.step(env.action_space.sample())
        if terminated:
            break
    else:
        return
    parts = list(observation.values()) if isinstance(observation, dict) else [observation]
    require(not any(part.any() for part in parts), "the terminal observation is not zero")
    try:
        env.step(env.action_space.sample())
    except gym.error.ResetNeeded:
        return
    require(False, "a step after the end of an episode does not raise gymnasium.error.ResetNeeded")


def _check_rendering(env: gym.Env) -> None:
    if env.render_mode is None:
        return
    env.reset(seed=0)
    for _ in range(2):
        drawn = env.render()
        if env.render_mode == "rgb_array":
            good = isinstance(drawn, np.ndarray) and drawn.dtype == np.uint8 and drawn.ndim == 3 and drawn.shape[2] == 3
            require(good, "render() gives no uint8 array [height, width, 3]")
        else:
            require(isinstance(drawn, str) and bool(drawn), "render() gives no text")
        env.step(env.action_space.sample())
        env.reset()
