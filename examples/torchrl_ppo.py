"""TorchRL: PPO over clips and classes with tensors from end to end.

python examples/torchrl_ppo.py --steps 60000 [--config configs/desed_validation.yaml]
"""

from __future__ import annotations

import torch
from event_policy import OBSERVATION, SETTINGS, EventPolicy, load_tasks, parser_of, report
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.torchrl import TorchRLEnv
from rl_postproc.envs.evaluation import observe_all
from tensordict.nn import (
    InteractionType,
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
)
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.objectives import ClipPPOLoss


class Judge(torch.nn.Module):
    """The shared network in TorchRL's form: the parts of an observation in; logits, and values ``[item, 1]`` out."""

    def __init__(self, network: EventPolicy):
        super().__init__()
        self.network = network

    def forward(self, features, mask, levels, label):
        logits, value = self.network({"features": features, "mask": mask, "levels": levels, "class": label})
        return logits, value[:, None]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=60_000, help="environment steps")
    parser.add_argument("--device", default="cpu", help="where environments and networks live")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    train, held_out = load_tasks(args, args.device)
    vector = PostProcessingPerClassVectorEnv(
        train, num_envs=1024, output="torch", autoreset_mode="DISABLED", **SETTINGS
    )
    env = TorchRLEnv(vector)
    env.set_seed(args.seed)
    network = (
        EventPolicy.of(vector.single_observation_space).to(args.device).standardise(observe_all(train, OBSERVATION))
    )
    keys = ["features", "mask", "levels", "class"]
    # One network gives logits and values, so that the critic only reads what the actor has worked out.
    judge = TensorDictModule(Judge(network), in_keys=keys, out_keys=["logits", "state_value"])
    actor = ProbabilisticTensorDictSequential(
        judge,
        ProbabilisticTensorDictModule(
            in_keys=["logits"], out_keys=["action"], distribution_class=Categorical, return_log_prob=True,
            default_interaction_type=InteractionType.RANDOM,
        ),
    )  # fmt: skip
    loss = ClipPPOLoss(
        actor, judge, entropy_coeff=1e-3, critic_coeff=0.5, loss_critic_type="l2", normalize_advantage=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)

    n_batches = -(-args.steps // 8192)
    collector = Collector(
        env, actor, frames_per_batch=8192, total_frames=n_batches * 8192, auto_register_policy_transforms=False
    )
    for i, batch in enumerate(collector):
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - i / n_batches)
        data = batch.flatten(0, 1)
        reward = data["next", "reward"]  # a step is an episode, so that its return is its reward
        data["advantage"], data["value_target"] = reward - data["state_value"], reward
        for _ in range(3):
            for part in torch.randperm(len(data), device=reward.device).chunk(16):
                losses = loss(data[part])
                optimizer.zero_grad()
                sum(losses[name] for name in ("loss_objective", "loss_critic", "loss_entropy")).backward()
                optimizer.step()

    report(args, train, held_out, network)


if __name__ == "__main__":
    main()
