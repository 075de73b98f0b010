"""Stable-Baselines3: PPO over clips and classes, on the simulated data set.

python examples/stable_baselines3_ppo.py --steps 300000
"""

from __future__ import annotations

import argparse

import torch
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from rl_postproc.envs.evaluation import compare, hold_out, observe_all
from stable_baselines3 import PPO

from rl_postproc.task import TuningTask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300_000, help="environment steps")
    parser.add_argument("--clips", type=int, default=300, help="simulated clips, a fifth of them held out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)

    train, held_out = hold_out(TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}))
    env = SB3VecEnv(PostProcessingPerClassVectorEnv(train, num_envs=1024, observation="summary"))
    model = PPO(
        "MlpPolicy", env, n_steps=8, batch_size=2048, n_epochs=4, learning_rate=2e-3, gamma=0.0, gae_lambda=0.0,
        ent_coef=0.003, seed=args.seed, device="cpu",
    )  # fmt: skip
    model.learn(args.steps)

    actions, _ = model.predict(observe_all(held_out, "summary").numpy(), deterministic=True)
    found = compare(train, held_out, torch.as_tensor(actions))
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip


if __name__ == "__main__":
    main()
