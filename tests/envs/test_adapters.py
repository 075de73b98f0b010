"""Adapters to other libraries: each library's own checker, and equality with the plain environments."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from env_cases import OBSERVATIONS
from rl_postproc.envs import (
    PostProcessingEnv,
    PostProcessingPerClassEnv,
    PostProcessingPerClassVectorEnv,
    PostProcessingVectorEnv,
)

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

N = 6


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build({"data": {"simulated": {"n_clips": 12, "seed": 3}}})


def trajectory(task: TuningTask, seed: int, actions: list[np.ndarray], **arguments) -> list[tuple]:
    """Observation before each action, and its reward, in a plain single per-class environment."""
    env = PostProcessingPerClassEnv(task, **arguments)
    observation, _ = env.reset(seed=seed)
    rows = []
    for action in actions:
        following, reward, terminated, _, _ = env.step(action)
        rows.append((observation, reward, terminated))
        observation = env.reset()[0] if terminated else following
    return rows


def plan(task: TuningTask, steps: int, envs: int = N) -> np.ndarray:
    sizes = task.stack.space.action_sizes(None)
    return np.random.default_rng(0).integers(0, sizes, (steps, envs, len(sizes)))


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("kind", [PostProcessingVectorEnv, PostProcessingPerClassVectorEnv])
@pytest.mark.parametrize("episode", ["clip", "pass"])
def test_torchrl_specs(task, kind, observation, episode):
    pytest.importorskip("torchrl", reason="needs rl-postproc[torchrl]")
    from rl_postproc.envs.adapters.torchrl import TorchRLEnv
    from torchrl.envs.utils import check_env_specs

    arguments = {"num_envs": N, "observation": observation, "episode": episode}
    env = TorchRLEnv(kind(task, output="torch", autoreset_mode="DISABLED", **arguments))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_specs(env, seed=0, break_when_any_done="both")


@pytest.mark.parametrize("episode", ["clip", "pass"])
def test_torchrl_rollout_equals_the_single_environments(task, episode):
    pytest.importorskip("torchrl", reason="needs rl-postproc[torchrl]")
    from rl_postproc.envs.adapters.torchrl import TorchRLEnv

    inner = PostProcessingPerClassVectorEnv(
        task, num_envs=N, observation="summary", output="torch", autoreset_mode="DISABLED", episode=episode
    )
    env = TorchRLEnv(inner)
    env.set_seed(5)
    actions = plan(task, 130)
    steps = iter(torch.from_numpy(actions))
    found = env.rollout(130, policy=lambda td: td.set("action", next(steps)), break_when_any_done=False)
    for i in range(N):
        for t, row in enumerate(trajectory(task, 5 + i, list(actions[:, i]), observation="summary", episode=episode)):
            np.testing.assert_array_equal(found["observation"][i, t].numpy(), row[0])
            assert float(found["next", "reward"][i, t]) == pytest.approx(row[1])
            assert bool(found["next", "terminated"][i, t]) == row[2]
    assert not found["next"].get("truncated", torch.zeros(1)).any()


def test_torchrl_refuses_an_environment_that_resets_itself(task):
    pytest.importorskip("torchrl", reason="needs rl-postproc[torchrl]")
    from rl_postproc.envs.adapters.torchrl import TorchRLEnv

    with pytest.raises(UserError, match="DISABLED"):
        TorchRLEnv(PostProcessingVectorEnv(task, num_envs=2, output="torch"))


def tianshou_env(task: TuningTask, **arguments):
    pytest.importorskip("tianshou", reason="needs rl-postproc[tianshou]")
    from rl_postproc.envs.adapters.tianshou import TianshouVectorEnv

    return TianshouVectorEnv(PostProcessingPerClassVectorEnv(task, num_envs=N, autoreset_mode="DISABLED", **arguments))


def test_tianshou_equals_its_own_workers_on_single_environments(task):
    ours = tianshou_env(task, observation="summary", episode="pass")
    from tianshou.env import DummyVectorEnv

    theirs = DummyVectorEnv([lambda: PostProcessingPerClassEnv(task, observation="summary", episode="pass")] * N)
    first = ours.reset(seed=[7 + i for i in range(N)])[0]
    for i in range(N):
        np.testing.assert_array_equal(first[i], theirs.reset(i, seed=7 + i)[0][0])
    rng = np.random.default_rng(1)
    for actions in plan(task, 40):
        ids = np.sort(rng.choice(N, int(rng.integers(1, N + 1)), replace=False))
        for mine, other in zip(ours.step(actions[ids], ids)[:4], theirs.step(actions[ids], ids)[:4], strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6)
    assert [s.nvec.tolist() for s in ours.action_space] == [s.nvec.tolist() for s in theirs.action_space]


@pytest.mark.parametrize("observation", ["flat", "dict"])
def test_tianshou_collects_whole_episodes(task, observation):
    env = tianshou_env(task, observation=observation)
    from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
    from tianshou.data import Collector, VectorReplayBuffer

    class Actor(torch.nn.Module):
        def forward(self, obs, state=None, info=None):
            n = len(obs["mask"]) if observation == "dict" else len(obs)
            return torch.zeros(n, 2), state

    def spread(x):
        return torch.distributions.Independent(torch.distributions.Categorical(logits=torch.zeros(len(x), 2, 10)), 1)

    policy = ProbabilisticActorPolicy(
        actor=Actor(), dist_fn=spread, action_space=env.env.single_action_space, action_scaling=False,
        action_bound_method=None,
    )  # fmt: skip
    buffer = VectorReplayBuffer(64, N)
    stats = Collector(policy, env, buffer).collect(n_episode=20, reset_before_collect=True)
    assert stats.n_collected_episodes == 20 and stats.n_collected_steps == 20
    assert buffer.terminated[: len(buffer)].any() and not buffer.truncated.any()
    np.testing.assert_array_equal(np.asarray(buffer.rew[buffer.sample_indices(0)]).shape, (20,))


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("episode", ["clip", "pass"])
def test_pettingzoo_parallel_api(task, observation, episode):
    pytest.importorskip("pettingzoo", reason="needs rl-postproc[pettingzoo]")
    from pettingzoo.test import parallel_api_test
    from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(PostProcessingParallelEnv(task, observation=observation, episode=episode), num_cycles=100)


@pytest.mark.parametrize("reward", ["linearised_f1", "clip_f1"])
def test_pettingzoo_rewards_and_counts_are_those_of_the_joint_environment(task, reward):
    pytest.importorskip("pettingzoo", reason="needs rl-postproc[pettingzoo]")
    from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv

    own = PostProcessingParallelEnv(task, reward=reward)
    shared = PostProcessingParallelEnv(task, reward=reward, credit="shared")
    joint = PostProcessingEnv(task, reward=reward)
    joint.action_space.seed(0)
    for seed in range(8):
        for env in (own, shared, joint):
            env.reset(seed=seed)
        action = joint.action_space.sample()
        _, expected, _, _, info = joint.step(action)
        split = dict(zip(own.possible_agents, action.reshape(task.scores.n_classes, -1), strict=True))
        _, rewards, terminations, truncations, infos = own.step(split)
        total = sum(rewards.values()) if reward == "linearised_f1" else rewards[own.possible_agents[0]]
        assert total == pytest.approx(expected, abs=1e-5)
        assert shared.step(split)[1] == dict.fromkeys(own.possible_agents, pytest.approx(expected))
        assert all(terminations.values()) and not any(truncations.values())
        assert [one["estimated"] for one in infos.values()] == info["estimated"].tolist()


def test_pettingzoo_seed_test(task):
    pytest.importorskip("pettingzoo", reason="needs rl-postproc[pettingzoo]")
    from pettingzoo.test import parallel_seed_test
    from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv

    parallel_seed_test(lambda: PostProcessingParallelEnv(task, episode="pass"), num_cycles=20)


def test_pettingzoo_names_the_agent_without_an_action(task):
    pytest.importorskip("pettingzoo", reason="needs rl-postproc[pettingzoo]")
    from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv

    env = PostProcessingParallelEnv(task)
    env.reset(seed=0)
    with pytest.raises(UserError, match=env.possible_agents[0]):
        env.step({})


def test_sb3_refuses_an_environment_that_does_not_reset_at_once(task):
    from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv

    with pytest.raises(UserError, match="SAME_STEP"):
        SB3VecEnv(PostProcessingVectorEnv(task, num_envs=2, autoreset_mode="NEXT_STEP"))


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [(name, name, name) for name in ("torchrl", "tianshou", "pettingzoo")] + [("rllib", "ray", "rllib")],
)
def test_a_missing_library_is_one_error_that_names_the_extra(module, library, extra):
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from rl_postproc.utils.errors import UserError\n"
        f"try:\n    import rl_postproc.envs.adapters.{module}\n"
        "except UserError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"rl-postproc[{extra}]" in done.stdout


def test_rllib_environments(task):
    pytest.importorskip(
        "ray", reason="needs rl-postproc[rllib], which pins an older gymnasium: an environment of its own"
    )
    from ray.tune.registry import ENV_CREATOR, _global_registry
    from rl_postproc.envs.adapters.rllib import PER_CLASS, register

    register()
    create = _global_registry.get(ENV_CREATOR, PER_CLASS)
    assert isinstance(create({"scores": task}), PostProcessingPerClassEnv)
    vector = create({"scores": task, "num_envs": N, "observation": "summary"})
    assert vector.metadata["autoreset_mode"] == gym.vector.AutoresetMode.NEXT_STEP
    vector.reset(seed=0)
    observation, _, terminated, truncated, infos = vector.step(vector.action_space.sample())
    assert terminated.all() and not truncated.any() and not observation.any() and infos == {}
