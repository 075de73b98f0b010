"""TorchRL: PPO over clips and classes with tensors from end to end, on the simulated data set.

python examples/torchrl_ppo.py --steps 300000
"""

from __future__ import annotations

import argparse

import torch
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.torchrl import TorchRLEnv
from rl_postproc.envs.evaluation import compare, hold_out, observe_all
from tensordict.nn import (
    InteractionType,
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
)
from torch import nn
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.modules import ValueOperator
from torchrl.objectives import ClipPPOLoss

from rl_postproc.task import TuningTask


class MultiCategorical(torch.distributions.Distribution):
    """Independent categoricals, one for each parameter of the stack."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, logits: torch.Tensor, sizes: list[int]):
        self.parts = [Categorical(logits=part) for part in logits.split(sizes, -1)]
        super().__init__(logits.shape[:-1], torch.Size([len(sizes)]))

    def sample(self, sample_shape=()) -> torch.Tensor:
        return torch.stack([part.sample(sample_shape) for part in self.parts], -1)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return torch.stack([part.log_prob(v) for part, v in zip(self.parts, value.unbind(-1), strict=True)]).sum(0)

    def entropy(self) -> torch.Tensor:
        return torch.stack([part.entropy() for part in self.parts]).sum(0)

    @property
    def deterministic_sample(self) -> torch.Tensor:
        return torch.stack([part.probs.argmax(-1) for part in self.parts], -1)


def mlp(n_inputs: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, n_outputs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300_000, help="environment steps")
    parser.add_argument("--clips", type=int, default=300, help="simulated clips, a fifth of them held out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where environments and networks live")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    config = {"data": {"simulated": {"n_clips": args.clips}}}
    train, held_out = hold_out(TuningTask.build(config, device=args.device))
    env = TorchRLEnv(
        PostProcessingPerClassVectorEnv(
            train, num_envs=1024, observation="summary", output="torch", autoreset_mode="DISABLED"
        )
    )
    env.set_seed(args.seed)
    sizes, n_inputs = train.action_sizes(per_class=True), env.observation_spec["observation"].shape[-1]
    network = mlp(n_inputs, sum(sizes)).to(args.device)
    actor = ProbabilisticTensorDictSequential(
        TensorDictModule(network, in_keys=["observation"], out_keys=["logits"]),
        ProbabilisticTensorDictModule(
            in_keys=["logits"], out_keys=["action"], distribution_class=MultiCategorical,
            distribution_kwargs={"sizes": sizes}, return_log_prob=True, default_interaction_type=InteractionType.RANDOM,
        ),
    )  # fmt: skip
    critic = ValueOperator(mlp(n_inputs, 1).to(args.device), in_keys=["observation"])
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.003, critic_coeff=0.5, normalize_advantage=True)
    optimizer = torch.optim.Adam(loss.parameters(), 2e-3)

    n_batches = -(-args.steps // 8192)
    collector = Collector(
        env, actor, frames_per_batch=8192, total_frames=n_batches * 8192, auto_register_policy_transforms=False
    )
    for i, batch in enumerate(collector):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - i / n_batches)
        data = batch.flatten(0, 1)
        reward = data["next", "reward"]
        with torch.no_grad():  # a step is an episode, so that its return is its reward
            data["advantage"], data["value_target"] = reward - critic(data)["state_value"], reward
        for _ in range(4):
            for part in torch.randperm(len(data), device=reward.device).chunk(4):
                losses = loss(data[part])
                optimizer.zero_grad()
                sum(losses[name] for name in ("loss_objective", "loss_critic", "loss_entropy")).backward()
                nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                optimizer.step()

    with torch.no_grad():
        actions = MultiCategorical(network(observe_all(held_out, "summary")), sizes).deterministic_sample
    found = compare(train, held_out, actions)
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip


if __name__ == "__main__":
    main()
