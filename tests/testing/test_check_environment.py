"""The conformance checks of environments pass on ours, and each fails on one that breaks its promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_postproc.envs import (
    PostProcessingEnv,
    PostProcessingPerClassEnv,
    PostProcessingPerClassVectorEnv,
    PostProcessingVectorEnv,
)
from rl_postproc.envs.observations import Observation
from rl_postproc.envs.testing import check_environment, check_vector_environment

from rl_postproc.task import TuningTask
from rl_postproc.testing import NonConformant

OURS = [name for name, kind in Observation.types().items() if kind.__module__.startswith("rl_postproc.")]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build({"data": {"simulated": {"n_clips": 7, "seed": 3}}})


@pytest.mark.parametrize("observation", OURS)
@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize("kind", [PostProcessingEnv, PostProcessingPerClassEnv])
def test_environments_conform(task, kind, episode, observation):
    check_environment(lambda: kind(task, episode=episode, observation=observation))


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_rendering_environments_conform(task, mode):
    check_environment(lambda: PostProcessingEnv(task, render_mode=mode), steps=5)


@pytest.mark.parametrize("observation", ["summary", "dict"])
@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize(
    ("single", "vector"),
    [(PostProcessingEnv, PostProcessingVectorEnv), (PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv)],
)
def test_vector_environments_conform(task, single, vector, episode, observation):
    arguments = {"scores": task, "episode": episode, "observation": observation}
    check_vector_environment(
        lambda mode: vector(num_envs=5, autoreset_mode=mode, **arguments), lambda: single(**arguments)
    )


class Truncating(PostProcessingEnv):
    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, True, info


class Aliasing(PostProcessingEnv):
    """Hands out the array that it reads again later."""

    def reset(self, *, seed=None, options=None):
        self.kept, info = super().reset(seed=seed, options=options)
        return self.kept, info

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + float(self.kept.sum()), *rest


class Forgetful(PostProcessingEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=int(torch.seed() % 2**31) if seed is not None else None, options=options)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(Truncating, "truncate"), (Aliasing, "writing into returned arrays"), (Forgetful, "reset.*same seed")],
)
def test_a_broken_environment_is_refused(task, broken, message):
    with pytest.raises(AssertionError, match=message):
        check_environment(lambda: broken(task, observation="summary"))


class SharedSeed(PostProcessingVectorEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else [seed] * self.num_envs, options=options)


class WrongMask(PostProcessingVectorEnv):
    def step(self, actions):
        *rest, info = super().step(actions)
        return *rest, {k: np.zeros_like(v) if k.startswith("_") else v for k, v in info.items()}


class SharedMetadata(PostProcessingVectorEnv):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        mode = self.metadata["autoreset_mode"]
        del self.metadata
        type(self).metadata["autoreset_mode"] = mode


@pytest.mark.parametrize("broken", [SharedSeed, WrongMask, SharedMetadata])
def test_a_broken_vector_environment_is_refused(task, broken):
    with pytest.raises(NonConformant):
        check_vector_environment(
            lambda mode: broken(task, num_envs=3, autoreset_mode=mode), lambda: PostProcessingEnv(task)
        )
