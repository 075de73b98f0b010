"""The candidate as one action: the same episodes as with indices, in every form of environment and every adapter."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from cases import small_simulation
from env_cases import GLOBAL, IDS, N_CLASSES, N_CLIPS, SINGLE, STACK, VECTOR, assert_same
from rl_postproc.envs.evaluation import compare, macro_f1_of
from rl_postproc.envs.testing import check_environment, check_vector_environment

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

SIZES = (3, 5)
"""Values of the parameters of `STACK`."""
N = 4


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


def as_indices(candidates: np.ndarray, n_envs: int) -> np.ndarray:
    """The value indices of candidates, of each class in turn."""
    return np.stack(np.unravel_index(candidates, SIZES), -1).reshape(n_envs, -1)


@pytest.mark.parametrize("name", IDS)
def test_the_spaces_name_every_candidate(task: TuningTask, name: str) -> None:
    per_class = name == IDS[1]
    expected = gym.spaces.Discrete(15) if per_class else gym.spaces.MultiDiscrete([15] * N_CLASSES)
    single, vector = SINGLE[name](task, actions="candidate"), VECTOR[name](task, N, actions="candidate")
    assert single.action_space == vector.single_action_space == expected
    assert vector.action_space.shape == ((N,) if per_class else (N, N_CLASSES))
    assert isinstance(SINGLE[name](task).action_space, gym.spaces.MultiDiscrete)


@pytest.mark.parametrize("name", IDS)
def test_candidates_play_as_the_indices_that_they_stand_for(task: TuningTask, name: str) -> None:
    arguments: dict[str, Any] = {"episode": "pass", "observation": "summary"}
    by_number = VECTOR[name](task, N, actions="candidate", **arguments)
    by_index = VECTOR[name](task, N, **arguments)
    alone = SINGLE[name](task, actions="candidate", render_mode="ansi", **arguments)
    assert_same(by_number.reset(seed=3)[0], by_index.reset(seed=3)[0])
    alone.reset(seed=3)
    by_number.action_space.seed(0)
    rewards = set()
    for _ in range(2 * by_number.n_items):
        candidates = by_number.action_space.sample()
        found, expected = by_number.step(candidates), by_index.step(as_indices(candidates, N))
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
        _, reward, ended, _, _ = alone.step(candidates[0])
        assert reward == pytest.approx(float(found[1][0]), abs=1e-6)
        assert "decided" in alone.render()
        if ended:
            alone.reset()
        rewards |= set(found[1].tolist())
    assert len(rewards) > 5


@pytest.mark.parametrize("name", IDS)
def test_the_checks_of_environments_pass(task: TuningTask, name: str) -> None:
    arguments: dict[str, Any] = {"actions": "candidate", "observation": "events"}
    check_environment(lambda: SINGLE[name](task, **arguments))
    check_vector_environment(
        lambda mode: VECTOR[name](task, N, autoreset_mode=mode, **arguments), lambda: SINGLE[name](task, **arguments)
    )


def test_what_cannot_be_one_action_is_refused(task: TuningTask) -> None:
    scores = small_simulation(6)
    for kind in (SINGLE[IDS[0]], VECTOR[IDS[0]]):
        with pytest.raises(UserError, match=r"'median\.kernel' is one for all classes; use actions='indices'"):
            kind(scores, stack=GLOBAL, actions="candidate")
    with pytest.raises(UserError, match="did you mean 'candidate'"):
        SINGLE[IDS[0]](task, actions="candidates")  # pyright: ignore[reportArgumentType]
    env = VECTOR[IDS[1]](task, N, actions="candidate")
    env.reset(seed=0)
    with pytest.raises(UserError, match=r"environment 2 does not lie in Discrete\(15\)"):
        env.step(np.array([0, 14, 15, 3]))
    with pytest.raises(UserError, match="shape"):
        env.step(np.zeros((N, 1), np.int64))


def test_candidates_are_scored_as_indices_are(task: TuningTask) -> None:
    candidates = torch.randint(0, 15, (N_CLIPS * N_CLASSES,), generator=torch.Generator().manual_seed(0))
    indices = torch.from_numpy(as_indices(candidates.numpy(), len(candidates)))
    expected = macro_f1_of(task, indices)
    assert macro_f1_of(task, candidates, form="candidate") == expected > 0
    joint = candidates.reshape(N_CLIPS, N_CLASSES)
    assert macro_f1_of(task, joint, per_class=False, form="candidate") == expected
    assert compare(task, task, candidates, form="candidate") == compare(task, task, indices)


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines3_draws_and_predicts_candidates(task: TuningTask, name: str) -> None:
    from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
    from stable_baselines3 import PPO

    env = SB3VecEnv(VECTOR[name](task, N, observation="summary", actions="candidate"))
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=8, n_epochs=1, device="cpu").learn(32)
    actions, _ = model.predict(env.reset())
    assert env.env.action_space.contains(actions.astype(np.int64))


@pytest.mark.parametrize("name", IDS)
def test_torchrl_checks_and_plays_candidates(task: TuningTask, name: str) -> None:
    pytest.importorskip("torchrl", reason="needs rl-postproc[torchrl]")
    from rl_postproc.envs.adapters.torchrl import TorchRLEnv
    from torchrl.envs.utils import check_env_specs

    inner = VECTOR[name](
        task, N, observation="events", actions="candidate", output="torch", autoreset_mode="DISABLED", episode="pass"
    )
    env = TorchRLEnv(inner)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_specs(env, seed=0, break_when_any_done="both")
    assert env.rollout(5)["action"].shape == ((N, 5) if name == IDS[1] else (N, 5, N_CLASSES))


@pytest.mark.parametrize("name", IDS)
def test_tianshou_steps_some_environments_with_candidates(task: TuningTask, name: str) -> None:
    pytest.importorskip("tianshou", reason="needs rl-postproc[tianshou]")
    from rl_postproc.envs.adapters.tianshou import TianshouVectorEnv

    inner, plain = (
        VECTOR[name](task, N, actions=form, autoreset_mode="DISABLED", episode="pass", observation="summary")
        for form in ("candidate", "indices")
    )
    env, other = TianshouVectorEnv(inner), TianshouVectorEnv(plain)
    for one in (env, other):
        one.seed(3)
        one.reset()
    inner.action_space.seed(1)
    ids = np.array([0, 2])
    for _ in range(5):
        candidates = inner.action_space.sample()[ids]
        found, expected = env.step(candidates, ids), other.step(as_indices(candidates, 2), ids)
        for a, b in zip(found[:4], expected[:4], strict=True):
            assert_same(a, b)
    assert env.action_space[0] == inner.single_action_space


def test_pettingzoo_agents_choose_candidates(task: TuningTask) -> None:
    pytest.importorskip("pettingzoo", reason="needs rl-postproc[pettingzoo]")
    from pettingzoo.test import parallel_api_test
    from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(PostProcessingParallelEnv(task, observation="events", actions="candidate"), num_cycles=30)
    by_number = PostProcessingParallelEnv(task, actions="candidate", skip_silent=True)
    by_index = PostProcessingParallelEnv(task, skip_silent=True)
    for seed in range(6):
        by_number.reset(seed=seed)
        by_index.reset(seed=seed)
        numbers = {agent: by_number.action_space(agent).sample() for agent in by_number.agents}
        indices = {agent: np.array(np.unravel_index(one, SIZES)) for agent, one in numbers.items()}
        assert by_number.step(numbers)[1] == by_index.step(indices)[1]


@pytest.mark.parametrize("vector", [False, True])
def test_rllib_environments_take_candidates(task: TuningTask, vector: bool) -> None:
    pytest.importorskip(
        "ray", reason="needs rl-postproc[rllib], which pins an older gymnasium: an environment of its own"
    )
    from ray.tune.registry import ENV_CREATOR, _global_registry
    from rl_postproc.envs.adapters.rllib import PER_CLASS, register

    register()
    create = _global_registry.get(ENV_CREATOR, PER_CLASS)
    env = create({"scores": task, "actions": "candidate", **({"num_envs": N} if vector else {})})
    env.reset(seed=0)
    assert env.action_space == (gym.spaces.MultiDiscrete([15] * N) if vector else gym.spaces.Discrete(15))
    assert np.isfinite(env.step(env.action_space.sample())[1]).all()
