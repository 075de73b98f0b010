"""What the adapter for Stable-Baselines3 tells of ended episodes."""

from __future__ import annotations

import numpy as np
import pytest
from cases import small_simulation
from env_cases import IDS, N_CLASSES, N_CLIPS, STACK, VECTOR
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


@pytest.mark.parametrize("output", ["numpy", "torch"])
@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize("name", IDS)
def test_ended_episodes_tell_their_return_and_length(task: TuningTask, name: str, episode: str, output: str) -> None:
    env = SB3VecEnv(VECTOR[name](task, 5, observation="summary", episode=episode, output=output))
    for _ in range(2):  # a reset drops what has been earned
        env.reset()
        env.step(env.env.action_space.sample())
    env.reset()
    length = 1 if episode == "clip" else env.env.n_items
    for _ in range(2):
        total = np.zeros(5)
        for step in range(length):
            _, reward, ended, infos = env.step(env.env.action_space.sample())
            total += reward
            assert ended.tolist() == [step == length - 1] * 5
            assert [bool(info) for info in infos] == ended.tolist()
        assert [info["episode"]["r"] for info in infos] == pytest.approx(total.tolist())
        assert [info["episode"]["l"] for info in infos] == [length] * 5
        assert all(0 <= info["episode"]["t"] < 600 for info in infos)


def test_of_many_ended_episodes_the_last_hundred_are_told(task: TuningTask) -> None:
    env = SB3VecEnv(VECTOR[IDS[1]](task, 130, observation="summary"))
    env.reset()
    _, reward, _, infos = env.step(env.env.action_space.sample())
    assert [bool(info) for info in infos] == [False] * 30 + [True] * 100
    assert [info["episode"]["r"] for info in infos[30:]] == pytest.approx(reward[30:].tolist())
    few = SB3VecEnv(env.env, episodes=2)
    few.reset()
    assert [bool(info) for info in few.step(env.env.action_space.sample())[3]] == [False] * 128 + [True] * 2
    none = SB3VecEnv(env.env, episodes=0)
    none.reset()
    assert not any(none.step(env.env.action_space.sample())[3])


def test_stable_baselines3_logs_the_mean_return(task: TuningTask) -> None:
    kept: dict[str, list[float]] = {}

    class Keeping(Logger):
        def record(self, key, value, exclude=None):
            kept.setdefault(key, []).append(value)

    env = SB3VecEnv(VECTOR[IDS[1]](task, 16, observation="summary"))
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=32, n_epochs=1, device="cpu", stats_window_size=64)
    model.set_logger(Keeping(None, []))
    rewards: list[np.ndarray] = []
    model.learn(128, callback=lambda local, _: rewards.append(local["rewards"].copy()) is None)
    first, second = np.split(np.concatenate(rewards), 2)
    assert kept["rollout/ep_rew_mean"] == pytest.approx([float(first.mean()), float(second.mean())])
    assert kept["rollout/ep_len_mean"] == [1.0, 1.0]
