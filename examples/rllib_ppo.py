"""RLlib: PPO over clips and classes.

RLlib pins an old gymnasium: install it into an environment of its own, with `pip install 'rl-postproc[rllib]'`.

    python examples/rllib_ppo.py --steps 60000 [--config configs/desed_validation.yaml]
    python examples/rllib_ppo.py --runners 8                      # eight workers play, here
    python examples/rllib_ppo.py --runners 64 --cluster auto      # on a Ray cluster
"""

from __future__ import annotations

from pathlib import Path

import ray
import torch
import yaml
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
    parser.add_argument("--runners", type=int, help="workers that play; the config's when left out")
    parser.add_argument("--cluster", help="address of a Ray cluster; this machine when left out")
    args = parser.parse_args()
    settings = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    if args.runners is not None:
        settings["env_runners"]["num_env_runners"] = args.runners
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    train, held_out = load_tasks(args)
    space = PostProcessingPerClassEnv(train, **SETTINGS).observation_space
    state = EventPolicy.of(space).standardise(observe_all(train, OBSERVATION)).state_dict()
    register()
    here = Path(__file__).parent
    if args.cluster:
        ray.init(address=args.cluster, runtime_env={"working_dir": str(here)}, log_to_driver=False)
    else:
        n_cores = 2 + settings["env_runners"]["num_env_runners"]
        ray.init(num_cpus=n_cores, include_dashboard=False, log_to_driver=False)
    config = (
        PPOConfig()
        .environment(PER_CLASS, env_config={"scores": ray.put(train), **SETTINGS})
        .env_runners(**settings["env_runners"])
        .rl_module(rl_module_spec=RLModuleSpec(module_class=Module, model_config={"state": state}))
        .training(**settings["training"], lr=[[0, 1e-3], [args.steps, 0.0]])
        .debugging(seed=args.seed)
    )
    algorithm = config.build_algo()
    while algorithm.train()["num_env_steps_sampled_lifetime"] < args.steps:
        pass

    report(args, train, held_out, algorithm.get_module().network)
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
