"""Tianshou 2: PPO over clips and classes.

python examples/tianshou_ppo.py --steps 60000 [--config configs/desed_validation.yaml]
"""

from __future__ import annotations

import numpy as np
import torch
from event_policy import OBSERVATION, SETTINGS, EventPolicy, load_tasks, parser_of, report
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.tianshou import TianshouVectorEnv
from rl_postproc.envs.evaluation import observe_all
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory, LRSchedulerFactoryLinear
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.trainer import OnPolicyTrainerParams
from torch import nn
from torch.distributions import Categorical


class Judge(nn.Module):
    """The shared network in Tianshou's form: observations in; logits and state out, or values."""

    def __init__(self, network: EventPolicy, values: bool):
        super().__init__()
        self.network, self.values = network, values

    def forward(self, obs, state=None, info=None):
        logits, value = self.network(
            {name: torch.as_tensor(obs[name]) for name in ("features", "mask", "levels", "class")}
        )
        return value if self.values else (logits, state)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=60_000, help="environment steps")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002 - Tianshou's batches are drawn from numpy's global generator
    torch.set_num_threads(1)

    train, held_out = load_tasks(args)
    vector = PostProcessingPerClassVectorEnv(train, num_envs=1024, autoreset_mode="DISABLED", **SETTINGS)
    env = TianshouVectorEnv(vector)
    env.seed(args.seed)
    network = EventPolicy.of(vector.single_observation_space).standardise(observe_all(train, OBSERVATION))
    policy = ProbabilisticActorPolicy(
        actor=Judge(network, values=False), dist_fn=lambda logits: Categorical(logits=logits),
        action_space=vector.single_action_space, action_scaling=False, action_bound_method=None,
    )  # fmt: skip
    rate = AdamOptimizerFactory(lr=1e-3)
    rate.with_lr_scheduler_factory(LRSchedulerFactoryLinear(1, args.steps, 8192))
    algorithm = PPO(
        policy=policy, critic=Judge(network, values=True), optim=rate, gamma=0.0, gae_lambda=0.0, ent_coef=1e-3,
        advantage_normalization=True, max_batchsize=4096,
    )  # fmt: skip
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector(algorithm, env, VectorReplayBuffer(8192, 1024, ignore_obs_next=True)),
            max_epochs=1, epoch_num_steps=args.steps, collection_step_num_env_steps=8192,
            update_step_num_repetitions=3, batch_size=512, test_step_num_episodes=0, show_progress=False,
        )
    )  # fmt: skip

    report(args, train, held_out, network)


if __name__ == "__main__":
    main()
