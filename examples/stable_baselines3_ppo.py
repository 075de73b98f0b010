"""Stable-Baselines3: PPO over clips and classes.

python examples/stable_baselines3_ppo.py --steps 60000 [--config configs/desed_validation.yaml]
"""

from __future__ import annotations

import torch
from event_policy import OBSERVATION, SETTINGS, EventPolicy, load_tasks, parser_of, report
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from rl_postproc.envs.evaluation import observe_all
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy

from rl_postproc import PostProcessor


class Policy(ActorCriticPolicy):
    """The shared network as a policy of Stable-Baselines3."""

    def _build(self, lr_schedule) -> None:
        self.network = EventPolicy.of(self.observation_space)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _judge(self, obs):
        logits, value = self.network(obs)
        return self.action_dist.proba_distribution(logits), value

    def forward(self, obs, deterministic: bool = False):
        policy, value = self._judge(obs)
        actions = policy.get_actions(deterministic=deterministic)
        return actions, value, policy.log_prob(actions)

    def evaluate_actions(self, obs, actions):
        policy, value = self._judge(obs)
        return value, policy.log_prob(actions), policy.entropy()

    def get_distribution(self, obs):
        return self._judge(obs)[0]

    def predict_values(self, obs):
        return self._judge(obs)[1]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=60_000, help="environment steps")
    args = parser.parse_args()
    torch.set_num_threads(1)

    train, held_out = load_tasks(args)
    env = SB3VecEnv(PostProcessingPerClassVectorEnv(train, num_envs=1024, **SETTINGS))
    model = PPO(
        Policy, env, n_steps=8, batch_size=512, n_epochs=3, learning_rate=lambda left: 1e-3 * max(left, 0.0), gamma=0.0,
        gae_lambda=0.0, ent_coef=1e-3, max_grad_norm=1e9, seed=args.seed, device="cpu",
        policy_kwargs={"optimizer_class": torch.optim.AdamW},
    )  # fmt: skip
    model.policy.network.standardise(observe_all(train, OBSERVATION))
    model.learn(args.steps)
    report(args, train, held_out, model.policy.network)
    # The same in one call, whatever the policy is; one of Stable-Baselines3's own, such as MlpPolicy, could be saved too.
    print(len(PostProcessor.from_sb3(model).apply(held_out.scores)), "events on held-out clips")


if __name__ == "__main__":
    main()
