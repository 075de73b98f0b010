"""Steps per second of the vector environments, with random actions drawn beforehand.

    python benchmarks/env_throughput.py --envs 2048 --threads 1,2

A step of the joint environment decides all classes of one clip, so its steps are clip-steps; a step of the per-class
environment decides one class of one clip. Observations of full scores are copied out of the environment at each step.
The last table is of short training runs of PPO inside Stable-Baselines3, updates and all, with the agent's settings.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch
from measure import console, note, real_or_simulated_scores
from rich.table import Table
from rl_postproc.agents.rl.ppo import PPOAgent
from rl_postproc.envs import PostProcessingPerClassVectorEnv, PostProcessingVectorEnv

from rl_postproc.task import TuningTask

KINDS = {"joint": PostProcessingVectorEnv, "per class": PostProcessingPerClassVectorEnv}


def steps_per_second(env: PostProcessingVectorEnv, seconds: float, repeats: int) -> float:
    """Returns the median rate over several stretches of stepping."""
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    sizes = torch.as_tensor(env.single_action_space.nvec)
    drawn = [(torch.rand(env.num_envs, len(sizes), generator=generator) * sizes).long() for _ in range(8)]
    actions = [a.to(env.task.device) if env.output == "torch" else a.numpy() for a in drawn]
    rates = []
    for _ in range(repeats + 1):
        n, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < seconds:
            env.step(actions[n % len(actions)])
            n += 1
        if env.task.device.type == "cuda":
            torch.cuda.synchronize()
            passed = time.perf_counter() - started
        rates.append(n * env.num_envs / passed)
    return statistics.median(rates[1:])


def main() -> None:
    """Measures and prints the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=int, default=2048)
    parser.add_argument("--threads", default="1,2", help="numbers of threads to try")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a stretch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    task = TuningTask.build(real_or_simulated_scores(), device=options.device)
    size = " x ".join(map(str, task.scores.scores.shape))
    note(f"{options.envs} environments on {options.device}; clips x classes x frames: {size}; load "
         f"{os.getloadavg()[0]:.1f}; medians of {options.repeats} stretches.")  # fmt: skip
    threads = [int(n) for n in options.threads.split(",")]
    shown = Table("environment", "observation", "output", *(f"steps/s, {n} threads" for n in threads))
    for kind, build in KINDS.items():
        for observation in ("scores", "summary"):
            for output in ("numpy", "torch"):
                env = build(task, options.envs, observation=observation, output=output)
                rates = []
                for n in threads:
                    torch.set_num_threads(n)
                    rates.append(f"{steps_per_second(env, options.seconds, options.repeats):,.0f}")
                shown.add_row(kind, observation, output, *rates)
    console.print(shown)
    training = Table("PPO in Stable-Baselines3", *(f"steps/s, {n} threads" for n in threads))
    agent = PPOAgent(rollouts=2, members=1)
    # The noise that gives the other tables' scores full resolution would break every event into many.
    task = TuningTask.build(real_or_simulated_scores(dithered=False))
    training.add_row(agent.policy, *(f"{train(agent, task, n):,.0f}" for n in threads))
    console.print(training)


def train(agent: PPOAgent, task: TuningTask, threads: int) -> float:
    """Returns the environment steps per second of one training run."""
    torch.set_num_threads(threads)
    _ = task.table, task.decoded  # made once, and not part of the rate
    started = time.perf_counter()
    steps = agent.fit(task, 0).curve[-1]["steps"]
    return steps / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
