"""What the tests of the environments share."""

from __future__ import annotations

from typing import Any

import numpy as np
from rl_postproc.envs import (
    PostProcessingEnv,
    PostProcessingPerClassEnv,
    PostProcessingPerClassVectorEnv,
    PostProcessingVectorEnv,
)

from rl_postproc.task import TuningTask

IDS = ("rl_postproc/PostProcessing-v0", "rl_postproc/PostProcessingPerClass-v0")

SINGLE = {IDS[0]: PostProcessingEnv, IDS[1]: PostProcessingPerClassEnv}

VECTOR = {IDS[0]: PostProcessingVectorEnv, IDS[1]: PostProcessingPerClassVectorEnv}

OBSERVATIONS = ("scores", "flat", "summary", "dict")

REWARDS = ("linearised_f1", "clip_f1", "episode_f1")

STACK = [{"stage": "median", "kernel": [0, 0.3, 0.9]}, {"stage": "threshold", "threshold": [0.2, 0.4, 0.5, 0.7, 0.9]}]

GLOBAL = [
    {"stage": "median", "kernel": {"candidates": [0, 0.3, 0.9], "scope": "global"}},
    {"stage": "threshold", "threshold": [0.2, 0.5]},
]

N_CLIPS = 9

N_CLASSES = 3


def n_steps(name: str) -> int:
    """Number of steps of a pass."""
    return N_CLIPS * (N_CLASSES if name == IDS[1] else 1)


def assert_same(a: Any, b: Any) -> None:
    """Compares observations, arrays or tensors, dictionaries and arrays of them included."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, np.ndarray) and a.dtype.hasobject:
        assert a.shape == b.shape
        for one, other in zip(a, b, strict=True):
            assert type(one) is type(other)
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def row(observation: Any, i: int) -> Any:
    """Returns one environment's part of a batch."""
    return {k: v[i] for k, v in observation.items()} if isinstance(observation, dict) else observation[i]


def play_single(name: str, task: TuningTask, actions: np.ndarray, seed: int, **arguments: Any) -> list[tuple]:
    """Plays one environment, resetting at once; rows (reward, ended, counts, the observation after the reset)."""
    env = SINGLE[name](task, **arguments)
    rows = [(None, None, None, env.reset(seed=seed)[0])]
    for action in actions:
        observation, reward, ended, _, info = env.step(action)
        if ended:
            assert_same(observation, zeros_like(observation))
            observation, _ = env.reset()
        rows.append(
            (reward, ended, [info[k].tolist() for k in ("true_positives", "estimated", "reference")], observation)
        )
    return rows


def zeros_like(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {k: zeros_like(v) for k, v in observation.items()}
    return np.zeros_like(observation)


def draw_actions(env: Any, steps: int) -> np.ndarray:
    sizes = env.single_action_space.nvec
    return np.random.default_rng(1).integers(0, sizes, (steps, env.num_envs, len(sizes)))
