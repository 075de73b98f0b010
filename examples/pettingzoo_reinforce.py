"""PettingZoo: one agent a class, all with the same network, trained by REINFORCE with a baseline for each class.

python examples/pettingzoo_reinforce.py --clips-seen 24000 [--config configs/desed_validation.yaml]
"""

from __future__ import annotations

import numpy as np
import torch
from event_policy import OBSERVATION, SETTINGS, EventPolicy, load_tasks, parser_of, report
from rl_postproc.envs.adapters.pettingzoo import PostProcessingParallelEnv
from rl_postproc.envs.evaluation import observe_all
from torch.distributions import Categorical


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clips-seen", type=int, default=24_000, help="steps of the game, in each of which all decide")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    train, held_out = load_tasks(args)
    env = PostProcessingParallelEnv(train, **SETTINGS)
    agents = env.possible_agents
    network = EventPolicy.of(env.observation_space(agents[0])).standardise(observe_all(train, OBSERVATION))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)

    batch, first = 20, args.seed
    n_updates = max(1, args.clips_seen // batch)
    for update in range(n_updates):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - update / n_updates)
        seen, chosen, rewards = [], [], []
        for _ in range(batch):
            observations, _ = env.reset(seed=first)
            first = None
            seen.append({
                name: torch.from_numpy(np.stack([observations[agent][name] for agent in agents]))
                for name in observations[agents[0]]
            })  # fmt: skip
            with torch.no_grad():
                chosen.append(Categorical(logits=network(seen[-1])[0]).sample())
            _, earned, *_ = env.step(dict(zip(agents, chosen[-1].numpy(), strict=True)))
            rewards.append(torch.tensor([earned[agent] for agent in agents]))
        logits, value = network({name: torch.cat([part[name] for part in seen]) for name in seen[0]})
        policy, reward = Categorical(logits=logits), torch.cat(rewards)
        advantage = (reward - value).detach()
        advantage = advantage / (advantage.std() + 1e-8)
        loss = -(policy.log_prob(torch.cat(chosen)) * advantage).mean() - 1e-3 * policy.entropy().mean()
        optimizer.zero_grad()
        (loss + 0.5 * (value - reward).square().mean()).backward()
        optimizer.step()

    report(args, train, held_out, network)


if __name__ == "__main__":
    main()
