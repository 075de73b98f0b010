"""Tianshou 2: PPO over clips and classes, on the simulated data set.

python examples/tianshou_ppo.py --steps 80000
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.tianshou import TianshouVectorEnv
from rl_postproc.envs.evaluation import compare, hold_out, observe_all
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.trainer import OnPolicyTrainerParams
from torch import nn
from torch.distributions import Categorical

from rl_postproc.task import TuningTask


class MultiCategorical(torch.distributions.Distribution):
    """Independent categoricals, one for each parameter of the stack."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, parts: list[torch.Tensor]):
        self.parts = [Categorical(logits=part) for part in parts]
        super().__init__(parts[0].shape[:-1], torch.Size([len(parts)]))

    def sample(self, sample_shape=()) -> torch.Tensor:
        return torch.stack([part.sample(sample_shape) for part in self.parts], -1)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        pairs = zip(self.parts, value.long().unbind(-1), strict=True)
        return torch.stack([part.log_prob(v) for part, v in pairs]).sum(0)

    def entropy(self) -> torch.Tensor:
        return torch.stack([part.entropy() for part in self.parts]).sum(0)

    @property
    def variance(self) -> torch.Tensor:
        """Variance of the indices, which Tianshou's collector reports."""
        moments = [
            (part.probs @ torch.arange(part.probs.shape[-1]).pow(k).float()) for part in self.parts for k in (1, 2)
        ]
        return torch.stack(moments[1::2], -1) - torch.stack(moments[0::2], -1).square()


class Network(nn.Module):
    """An MLP in Tianshou's form: observations in; outputs and state out."""

    def __init__(self, n_inputs: int, n_outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n_outputs)
        )

    def forward(self, obs, state=None, info=None):
        return self.layers(torch.as_tensor(obs, dtype=torch.float32)), state


class Critic(Network):
    """The same with one output, the value."""

    def forward(self, obs, state=None, info=None):
        return super().forward(obs)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=80_000, help="environment steps")
    parser.add_argument("--clips", type=int, default=300, help="simulated clips, a fifth of them held out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002 - Tianshou's batches are drawn from numpy's global generator
    torch.set_num_threads(1)

    train, held_out = hold_out(TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}))
    vector = PostProcessingPerClassVectorEnv(train, num_envs=512, observation="summary", autoreset_mode="DISABLED")
    env = TianshouVectorEnv(vector)
    env.seed(args.seed)
    sizes, n_inputs = train.action_sizes(per_class=True), vector.single_observation_space.shape[0]
    actor = Network(n_inputs, sum(sizes))
    policy = ProbabilisticActorPolicy(
        actor=actor, dist_fn=lambda logits: MultiCategorical(logits.split(sizes, -1)),
        action_space=vector.single_action_space, action_scaling=False, action_bound_method=None,
    )  # fmt: skip
    algorithm = PPO(
        policy=policy, critic=Critic(n_inputs, 1), optim=AdamOptimizerFactory(lr=2e-3),
        gamma=0.0, gae_lambda=0.0, ent_coef=0.003, max_grad_norm=0.5, max_batchsize=4096,
    )  # fmt: skip
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector(algorithm, env, VectorReplayBuffer(4096, 512)),
            max_epochs=1, epoch_num_steps=args.steps, collection_step_num_env_steps=4096,
            update_step_num_repetitions=4, batch_size=1024, test_step_num_episodes=0, show_progress=False,
        )
    )  # fmt: skip

    with torch.no_grad():
        logits = actor(observe_all(held_out, "summary"))[0].split(sizes, -1)
    found = compare(train, held_out, torch.stack([part.argmax(-1) for part in logits], -1))
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip


if __name__ == "__main__":
    main()
