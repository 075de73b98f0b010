"""PPO in one file, in the manner of CleanRL, with nothing but torch and gymnasium.

python examples/cleanrl_ppo.py --total-timesteps 60000 [--config configs/desed_validation.yaml]
"""

from __future__ import annotations

import argparse
import time

import gymnasium as gym
import torch
from event_policy import OBSERVATION, SETTINGS, EventPolicy, load_tasks, parser_of, report
from rl_postproc.envs.evaluation import observe_all
from torch.distributions import Categorical

ENV_ID = "rl_postproc:rl_postproc/PostProcessingPerClass-v0"


def parse_args() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--device", default="cpu", help="where environments and networks live")
    parser.add_argument("--total-timesteps", type=int, default=60_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--num-steps", type=int, default=8, help="steps of each environment per rollout")
    parser.add_argument("--gamma", type=float, default=0.0, help="0: a step is an episode")
    parser.add_argument("--gae-lambda", type=float, default=0.0)
    parser.add_argument("--num-minibatches", type=int, default=16)
    parser.add_argument("--update-epochs", type=int, default=3)
    parser.add_argument("--clip-coef", type=float, default=0.2)
    parser.add_argument("--ent-coef", type=float, default=1e-3)
    parser.add_argument("--vf-coef", type=float, default=0.5)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    device, batch_size = torch.device(args.device), args.num_envs * args.num_steps

    train, held_out = load_tasks(args, args.device)
    envs = gym.make_vec(
        ENV_ID,
        num_envs=args.num_envs,
        vectorization_mode="vector_entry_point",
        scores=train,
        output="torch",
        **SETTINGS,
    )
    agent = EventPolicy.of(envs.single_observation_space).to(device).standardise(observe_all(train, OBSERVATION))
    optimizer = torch.optim.AdamW(agent.parameters(), lr=args.learning_rate)

    shape = args.num_steps, args.num_envs
    obs = [{} for _ in range(args.num_steps)]
    actions = torch.zeros(shape, dtype=torch.int64, device=device)
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
                logits, values[step] = agent(next_obs)
                policy = Categorical(logits=logits)
                actions[step] = policy.sample()
                logprobs[step] = policy.log_prob(actions[step])
            next_obs, rewards[step], terminated, truncated, _ = envs.step(actions[step])
            dones[step] = (terminated | truncated).float()

        with torch.no_grad():
            following, advantages, last = agent(next_obs)[1], torch.zeros_like(rewards), 0.0
            for t in reversed(range(args.num_steps)):
                going_on = 1 - dones[t]  # the next observation is already that of the next episode (SAME_STEP)
                delta = rewards[t] + args.gamma * following * going_on - values[t]
                advantages[t] = last = delta + args.gamma * args.gae_lambda * going_on * last
                following = values[t]
            returns = advantages + values

        b_obs = {name: torch.cat([part[name] for part in obs]) for name in next_obs}
        b_actions = actions.flatten()
        b_logprobs, b_advantages, b_returns = logprobs.flatten(), advantages.flatten(), returns.flatten()
        for _ in range(args.update_epochs):
            for mb in torch.randperm(batch_size, device=device).chunk(args.num_minibatches):
                logits, value = agent({name: part[mb] for name, part in b_obs.items()})
                policy = Categorical(logits=logits)
                ratio = (policy.log_prob(b_actions[mb]) - b_logprobs[mb]).exp()
                advantage = (b_advantages[mb] - b_advantages[mb].mean()) / (b_advantages[mb].std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
                v_loss = 0.5 * (value - b_returns[mb]).square().mean()
                loss = pg_loss - args.ent_coef * policy.entropy().mean() + args.vf_coef * v_loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        if iteration % 10 == 9:
            speed = int(global_step / (time.time() - start))
            print(f"global_step={global_step}, mean_reward={rewards.mean():.4f}, SPS={speed}")

    report(args, train, held_out, agent)


if __name__ == "__main__":
    main()
