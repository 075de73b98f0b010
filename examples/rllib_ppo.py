"""RLlib: PPO over clips and classes.

RLlib pins an old gymnasium: install it into an environment of its own, with `pip install 'rl-postproc[rllib]'`.

    python examples/rllib_ppo.py --steps 60000 [--config configs/desed_validation.yaml]
"""

from __future__ import annotations

import ray
import torch
from event_policy import OBSERVATION, SETTINGS, EventPolicy, load_tasks, parser_of, report
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from rl_postproc.envs import PostProcessingPerClassEnv
from rl_postproc.envs.adapters.rllib import PER_CLASS, register
from rl_postproc.envs.evaluation import observe_all


class Module(TorchRLModule, ValueFunctionAPI):
    """The shared network as a module of RLlib; ``model_config["state"]`` is what it starts from."""

    def setup(self):
        self.network = EventPolicy.of(self.observation_space)
        self.network.load_state_dict(self.model_config["state"])

    def _forward(self, batch, **kwargs):
        logits, value = self.network(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: logits, Columns.EMBEDDINGS: value}

    def compute_values(self, batch, embeddings=None):
        return self.network(batch[Columns.OBS])[1] if embeddings is None else embeddings


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=60_000, help="environment steps")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    train, held_out = load_tasks(args)
    space = PostProcessingPerClassEnv(train, **SETTINGS).observation_space
    state = EventPolicy.of(space).standardise(observe_all(train, OBSERVATION)).state_dict()
    register()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    config = (
        PPOConfig()
        .environment(PER_CLASS, env_config={"scores": train, **SETTINGS})
        .env_runners(
            num_env_runners=0, num_envs_per_env_runner=1024, gym_env_vectorize_mode="vector_entry_point"
        )
        .rl_module(rl_module_spec=RLModuleSpec(module_class=Module, model_config={"state": state}))
        .training(
            train_batch_size=8192, minibatch_size=512, num_epochs=3, lr=[[0, 1e-3], [args.steps, 0.0]], gamma=0.0,
            lambda_=0.0, entropy_coeff=1e-3, vf_loss_coeff=0.5, grad_clip=None, clip_param=0.2, use_kl_loss=False,
        )
        .debugging(seed=args.seed)
    )  # fmt: skip
    algorithm = config.build_algo()
    while algorithm.train()["num_env_steps_sampled_lifetime"] < args.steps:
        pass

    report(args, train, held_out, algorithm.get_module().network)
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
