"""PPO in one file, in the manner of CleanRL, with nothing but torch and gymnasium; on the simulated data set.

python examples/cleanrl_ppo.py --total-timesteps 300000
"""

from __future__ import annotations

import argparse
import time

import gymnasium as gym
import torch
from rl_postproc.envs.evaluation import compare, hold_out, observe_all
from torch import nn
from torch.distributions import Categorical

from rl_postproc.task import TuningTask

ENV_ID = "rl_postproc:rl_postproc/PostProcessingPerClass-v0"


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=300, help="simulated clips, a fifth of them held out")
    parser.add_argument("--device", default="cpu", help="where environments and networks live")
    parser.add_argument("--total-timesteps", type=int, default=300_000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--num-steps", type=int, default=8, help="steps of each environment per rollout")
    parser.add_argument("--gamma", type=float, default=0.0, help="0: a step is an episode")
    parser.add_argument("--gae-lambda", type=float, default=0.0)
    parser.add_argument("--num-minibatches", type=int, default=4)
    parser.add_argument("--update-epochs", type=int, default=4)
    parser.add_argument("--clip-coef", type=float, default=0.2)
    parser.add_argument("--ent-coef", type=float, default=0.003)
    parser.add_argument("--vf-coef", type=float, default=0.5)
    parser.add_argument("--max-grad-norm", type=float, default=0.5)
    return parser.parse_args()


class Agent(nn.Module):
    """An actor with one categorical for each parameter, and a critic."""

    def __init__(self, n_inputs: int, sizes: list[int]):
        super().__init__()
        self.sizes = sizes
        self.critic = nn.Sequential(nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.actor = nn.Sequential(
            nn.Linear(n_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, sum(sizes))
        )
        nn.init.orthogonal_(self.actor[-1].weight, 0.01)

    def best_action(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([part.argmax(-1) for part in self.actor(x).split(self.sizes, -1)], -1)

    def get_action_and_value(self, x: torch.Tensor, action: torch.Tensor | None = None):
        parts = [Categorical(logits=part) for part in self.actor(x).split(self.sizes, -1)]
        if action is None:
            action = torch.stack([part.sample() for part in parts], -1)
        logprob = torch.stack([part.log_prob(a) for part, a in zip(parts, action.unbind(-1), strict=True)]).sum(0)
        return action, logprob, torch.stack([part.entropy() for part in parts]).sum(0), self.critic(x)[..., 0]


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    device, batch_size = torch.device(args.device), args.num_envs * args.num_steps

    train, held_out = hold_out(TuningTask.build({"data": {"simulated": {"n_clips": args.clips}}}, device=device))
    envs = gym.make_vec(
        ENV_ID, num_envs=args.num_envs, vectorization_mode="vector_entry_point",
        scores=train, observation="summary", output="torch",
    )  # fmt: skip
    sizes = envs.single_action_space.nvec.tolist()
    agent = Agent(envs.single_observation_space.shape[0], sizes).to(device)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    shape = args.num_steps, args.num_envs
    obs = torch.zeros(*shape, envs.single_observation_space.shape[0], device=device)
    actions = torch.zeros(*shape, len(sizes), dtype=torch.int64, device=device)
    logprobs, rewards, dones, values = (torch.zeros(shape, device=device) for _ in range(4))

    start, global_step = time.time(), 0
    next_obs, _ = envs.reset(seed=args.seed)
    n_iterations = max(1, args.total_timesteps // batch_size)
    for iteration in range(n_iterations):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - iteration / n_iterations)
        for step in range(args.num_steps):
            global_step += args.num_envs
            obs[step] = next_obs
            with torch.no_grad():
                actions[step], logprobs[step], _, values[step] = agent.get_action_and_value(next_obs)
            next_obs, rewards[step], terminated, truncated, _ = envs.step(actions[step])
            dones[step] = (terminated | truncated).float()

        with torch.no_grad():
            following, advantages, last = agent.critic(next_obs)[:, 0], torch.zeros_like(rewards), 0.0
            for t in reversed(range(args.num_steps)):
                going_on = 1 - dones[t]  # the next observation is already that of the next episode (SAME_STEP)
                delta = rewards[t] + args.gamma * following * going_on - values[t]
                advantages[t] = last = delta + args.gamma * args.gae_lambda * going_on * last
                following = values[t]
            returns = advantages + values

        b_obs, b_actions = obs.flatten(0, 1), actions.flatten(0, 1)
        b_logprobs, b_advantages, b_returns = logprobs.flatten(), advantages.flatten(), returns.flatten()
        for _ in range(args.update_epochs):
            for mb in torch.randperm(batch_size, device=device).chunk(args.num_minibatches):
                _, logprob, entropy, value = agent.get_action_and_value(b_obs[mb], b_actions[mb])
                ratio = (logprob - b_logprobs[mb]).exp()
                advantage = (b_advantages[mb] - b_advantages[mb].mean()) / (b_advantages[mb].std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
                v_loss = 0.5 * (value - b_returns[mb]).square().mean()
                loss = pg_loss - args.ent_coef * entropy.mean() + args.vf_coef * v_loss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()
        if iteration % 10 == 9:
            speed = int(global_step / (time.time() - start))
            print(f"global_step={global_step}, mean_reward={rewards.mean():.4f}, SPS={speed}")

    with torch.no_grad():
        found = compare(train, held_out, agent.best_action(observe_all(held_out, "summary")))
    print("macro F1 on held-out clips: policy {policy:.3f}, grid search {grid search:.3f}, threshold 0.5 {defaults:.3f}"
          .format(**found))  # fmt: skip


if __name__ == "__main__":
    main()
