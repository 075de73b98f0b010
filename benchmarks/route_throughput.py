"""Steps per second of each route from a learning library to the environments, as a Markdown table.

    python benchmarks/route_throughput.py

Random actions, the per-class environment with summary observations on the simulated data set; libraries that are not
installed are named. RLlib needs an environment of its own, in which the same command fills in its row.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import torch
from rl_postproc.envs import PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

WINDOWS = 6
"""The fastest of so many windows counts, which is the one least disturbed by other work on the machine."""

Play = Callable[[], int]
"""Plays a while and returns how many environments have been stepped how often."""


def native(task: TuningTask, num_envs: int, **arguments: Any) -> Play:
    env = PostProcessingPerClassVectorEnv(task, num_envs=num_envs, observation="summary", **arguments)
    env.reset(seed=0)
    actions = env.action_space.sample()
    if arguments.get("output") == "torch":
        actions = torch.as_tensor(actions, device=task.device)

    def play() -> int:
        env.step(actions)
        return num_envs

    return play


def single(task: TuningTask, num_envs: int) -> Play:
    env = PostProcessingPerClassEnv(task, observation="summary")
    env.reset(seed=0)
    action = env.action_space.sample()

    def play() -> int:
        for _ in range(100):
            env.step(action)
            env.reset()
        return 100

    return play


def sync(task: TuningTask, num_envs: int) -> Play:
    mode = gym.vector.AutoresetMode.SAME_STEP
    env = gym.vector.SyncVectorEnv(
        [lambda: PostProcessingPerClassEnv(task, observation="summary")] * num_envs, autoreset_mode=mode
    )
    env.reset(seed=0)
    actions = env.action_space.sample()

    def play() -> int:
        env.step(actions)
        return num_envs

    return play


def stable_baselines3(task: TuningTask, num_envs: int) -> Play:
    from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv

    env = SB3VecEnv(PostProcessingPerClassVectorEnv(task, num_envs=num_envs, observation="summary"))
    env.reset()
    actions = env.env.action_space.sample()

    def play() -> int:
        env.step(actions)
        return num_envs

    return play


def torchrl(task: TuningTask, num_envs: int) -> Play:
    from rl_postproc.envs.adapters.torchrl import TorchRLEnv

    env = TorchRLEnv(
        PostProcessingPerClassVectorEnv(
            task, num_envs=num_envs, observation="summary", output="torch", autoreset_mode="DISABLED"
        )
    )
    action = env.action_spec.rand()

    def play() -> int:
        env.rollout(8, policy=lambda td: td.set("action", action), break_when_any_done=False)
        return 8 * num_envs

    return play


def tianshou(task: TuningTask, num_envs: int) -> Play:
    from rl_postproc.envs.adapters.tianshou import TianshouVectorEnv

    vector = PostProcessingPerClassVectorEnv(task, num_envs=num_envs, observation="summary", autoreset_mode="DISABLED")
    env = TianshouVectorEnv(vector)
    env.reset()
    actions = vector.action_space.sample()

    def play() -> int:
        _, _, terminated, _, _ = env.step(actions)
        env.reset(terminated.nonzero()[0])
        return num_envs

    return play


def pettingzoo(task: TuningTask, num_envs: int) -> Play:
    from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv

    env = PostProcessingParallelEnv(task, observation="summary")
    env.reset(seed=0)
    actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}

    def play() -> int:
        for _ in range(20):
            env.step(actions)
            env.reset()
        return 20 * len(actions)

    return play


def rllib(task: TuningTask, num_envs: int) -> Play:
    from rl_postproc.envs.adapters.rllib import PER_CLASS, register

    register()
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    config = (
        PPOConfig()
        .environment(PER_CLASS, env_config={"scores": task, "observation": "summary"})
        .env_runners(num_envs_per_env_runner=num_envs, gym_env_vectorize_mode="vector_entry_point")
    )
    runner = SingleAgentEnvRunner(config=config)

    def play() -> int:
        runner.sample(num_timesteps=2 * num_envs, random_actions=True)
        return 2 * num_envs

    return play


ROUTES: dict[str, Callable[[TuningTask, int], Play]] = {
    "native, torch": lambda task, n: native(task, n, output="torch"),
    "native, numpy": native,
    "Stable-Baselines3 `SB3VecEnv`": stable_baselines3,
    "TorchRL `TorchRLEnv`, rollouts of 8": torchrl,
    "Tianshou `TianshouVectorEnv`, with its resets": tianshou,
    "RLlib env runner, with its episodes": rllib,
    "gymnasium `SyncVectorEnv` of single environments": sync,
    "one single environment": single,
    "PettingZoo, one game, steps of its agents": pettingzoo,
}


def measure(task: TuningTask, num_envs: int, seconds: float) -> Iterator[tuple[str, str]]:
    for name, make in ROUTES.items():
        try:
            play = make(task, num_envs)
        except UserError as error:
            yield name, str(error).split(";")[0].removeprefix("This adapter ")
            continue
        play()
        best = max(rate(play, seconds / WINDOWS) for _ in range(WINDOWS))
        yield name, f"{best:,.0f}".replace(",", " ")


def rate(play: Play, seconds: float) -> float:
    """Returns the steps per second over at least so many seconds."""
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        n += play()
    return n / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=2048)
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring each route")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    task = TuningTask.build("simulated", device=args.device)
    print(f"| route ({args.num_envs} environments, {args.device}) | steps per second |\n|---|---:|")
    for name, figure in measure(task, args.num_envs, args.seconds):
        print(f"| {name} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
