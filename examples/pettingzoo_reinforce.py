"""PettingZoo: one agent a class, all with the same network, trained by REINFORCE with a baseline for each class.

python examples/pettingzoo_reinforce.py --clips-seen 8000
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv
from rl_postproc.envs.evaluation import compare, hold_out, observe_all
from torch import nn
from torch.distributions import Categorical

from rl_postproc.task import TuningTask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips-seen", type=int, default=8_000, help="steps of the game, in each of which all decide")
    parser.add_argument("--clips", type=int, default=300, help="simulated clips, a fifth of them held out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    train, held_out = hold_out(TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}))
    env = PostProcessingParallelEnv(train, observation="summary")
    sizes, agents = train.action_sizes(per_class=True), env.possible_agents
    n_inputs = env.observation_space(agents[0]).shape[0]
    network = nn.Sequential(nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, sum(sizes)))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    baseline = torch.zeros(len(agents))

    batch = 60
    for update in range(args.clips_seen // batch):
        log_probs, entropies, rewards = [], [], []
        for _ in range(batch):
            observations, _ = env.reset(seed=args.seed if update == 0 and not rewards else None)
            x = torch.from_numpy(np.stack([observations[agent] for agent in agents]))
            parts = [Categorical(logits=part) for part in network(x).split(sizes, -1)]
            actions = torch.stack([part.sample() for part in parts], -1)
            _, earned, *_ = env.step(dict(zip(agents, actions.numpy(), strict=True)))
            log_probs.append(sum(part.log_prob(a) for part, a in zip(parts, actions.unbind(-1), strict=True)))
            entropies.append(sum(part.entropy() for part in parts))
            rewards.append(torch.tensor([earned[agent] for agent in agents]))
        reward = torch.stack(rewards)
        advantage = reward - baseline
        baseline = 0.9 * baseline + 0.1 * reward.mean(0)
        advantage = advantage / (advantage.std() + 1e-8)
        loss = -(torch.stack(log_probs) * advantage).mean() - 0.003 * torch.stack(entropies).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()

    with torch.no_grad():
        logits = network(observe_all(held_out, "summary")).split(sizes, -1)
    found = compare(train, held_out, torch.stack([part.argmax(-1) for part in logits], -1))
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip


if __name__ == "__main__":
    main()
