"""RLlib: PPO over clips and classes, on the simulated data set.

RLlib pins an old gymnasium: install it into an environment of its own, with `pip install 'rl-postproc[rllib]'`.

    python examples/rllib_ppo.py --steps 24000
"""

from __future__ import annotations

import argparse

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from rl_postproc.envs.adapters.rllib import PER_CLASS, register
from rl_postproc.envs.evaluation import compare, hold_out, observe_all

from rl_postproc.task import TuningTask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=24_000, help="environment steps")
    parser.add_argument("--clips", type=int, default=300, help="simulated clips, a fifth of them held out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)

    train, held_out = hold_out(TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}))
    register()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    config = (
        PPOConfig()
        .environment(PER_CLASS, env_config={"scores": train, "observation": "summary"})
        .env_runners(
            num_env_runners=0, num_envs_per_env_runner=256, gym_env_vectorize_mode="vector_entry_point"
        )
        .training(
            train_batch_size=2048, minibatch_size=512, num_epochs=4, lr=1e-3, gamma=0.0, lambda_=0.0,
            entropy_coeff=0.003, vf_loss_coeff=0.5, grad_clip=0.5,
        )
        .debugging(seed=args.seed)
    )  # fmt: skip
    algorithm = config.build_algo()
    while algorithm.train()["num_env_steps_sampled_lifetime"] < args.steps:
        pass

    module = algorithm.get_module()
    with torch.no_grad():
        logits = module.forward_inference({Columns.OBS: observe_all(held_out, "summary")})[Columns.ACTION_DIST_INPUTS]
    parts = logits.split(train.action_sizes(per_class=True), -1)
    found = compare(train, held_out, torch.stack([part.argmax(-1) for part in parts], -1))
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
