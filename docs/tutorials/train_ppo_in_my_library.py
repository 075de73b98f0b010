# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train PPO in my own library
#
# Post-processing as a reinforcement learning problem: an observation of one clip and one class goes in, the setting of a
# median filter and a threshold comes out, and the reward says what that setting does to F1. The package has an agent of its
# own for that (`tune(scores, "ppo")`). Here you train with what *you* use: first PPO from Stable-Baselines3, then a PPO
# that you can read from top to bottom. Half a minute on one core.
#
# What you learn: how the environment looks, what a policy must see to be worth its training, how a trained policy becomes
# a post-processor that is saved and applied, and how to compare it honestly.
#
# The same as a notebook and as a script is in `docs/tutorials/`, `train_ppo_in_my_library.ipynb` and `.py`.
# Run them in an empty folder.

# %% [markdown]
# ## Clips to train on, clips to judge on
# Simulated scores, of 900 clips and ten classes. A task is scores and a stack of stages, here four filters and nine
# thresholds: 36 candidates. Every third clip is held out.

# %%
import torch
from rl_postproc.envs.evaluation import hold_out

from rl_postproc import SimulationConfig, TuningTask, simulate

torch.set_num_threads(1)
stack = [
    {"stage": "median", "kernel": [0.0, 0.2, 0.5, 1.0]},
    {"stage": "threshold", "threshold": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]},
]
task = TuningTask.build(simulate(SimulationConfig(n_clips=900)), stack)
training, held_out = hold_out(task, n_folds=3)
print(training.scores.n_clips, "clips to train on,", held_out.scores.n_clips, "held out")

# %% [markdown]
# What everything must be compared with: the best constants, one setting a class for all clips. `grid_search` tries every
# candidate, so that no other constants do better on the training clips.

# %%
from rl_postproc import evaluate, tune


def macro_f1(post_processor, clips=held_out.scores):
    return evaluate(clips.references, post_processor.apply(clips)).score.macro


constants = tune(training.scores, "grid_search", stack=stack)
plain = tune(training.scores, "default", stack=stack)
for which, clips in (("training clips", training.scores), ("held out", held_out.scores)):
    print(f"{which}: threshold 0.5 {macro_f1(plain, clips):.3f}, best constants {macro_f1(constants, clips):.3f}")

# %% [markdown]
# ## The environment
# One step is one episode: a clip and a class, an action, a reward. `actions="candidate"` makes the number of a candidate the
# action. `skip_silent=True` leaves out what no candidate finds an event in. The reward is the first-order gain in macro F1,
# paid at once, so that there is nothing to discount.

# %%
from rl_postproc.envs import PostProcessingPerClassEnv

env = PostProcessingPerClassEnv(training, observation="summary", actions="candidate", skip_silent=True)
observation, info = env.reset(seed=0)
print(env.action_space, "sees", observation.shape, "numbers")
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
print(info["clip_id"], "reward", round(float(reward), 4), "ended", terminated)

# %% [markdown]
# ## Stable-Baselines3
# Environments step by the hundred, in a few tensor operations. `SB3VecEnv` shows them to Stable-Baselines3 in its own form;
# there are [adapters](../reinforcement_learning.md) for TorchRL, Tianshou, RLlib and PettingZoo, too.

# %%
from rl_postproc.envs import PostProcessingPerClassVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from stable_baselines3 import PPO

from rl_postproc import PostProcessor

settings = {"actions": "candidate", "skip_silent": True}
many = SB3VecEnv(PostProcessingPerClassVectorEnv(training, num_envs=256, observation="summary", **settings))
model = PPO("MlpPolicy", many, n_steps=8, batch_size=512, n_epochs=4, learning_rate=1e-3, gamma=0.0, gae_lambda=0.0,
            ent_coef=1e-3, seed=0, device="cpu")  # fmt: skip
model.learn(20_480)
from_sb3 = PostProcessor.from_sb3(model)
print(f"training clips {macro_f1(from_sb3, training.scores):.3f}, held out {macro_f1(from_sb3):.3f}")

# %% [markdown]
# That is a policy that chooses for each clip, and it does about as well as constants that do not: over the best constants
# the seeds 0, 1 and 2 gave +3.0, −0.5 and −1.5 points, with intervals of four points to either side. Seven figures about a
# track, and its class, say little about which setting it needs.
#
# ## What a policy must see
# `observation="events"` shows the events that the candidates would decode: their features, and which candidate decodes
# which. A network that gives each *event* a value, and each candidate the sum of the values of its events, learns more
# from as many steps. It is this small:

# %%
from torch import nn

events_seen = {"observation": "events", "max_events": 32}


class EventValues(nn.Module):
    """Logits of candidates: sums of learned values of the events that each would decode."""

    def __init__(self, n_features, n_classes, n_levels):
        super().__init__()
        self.sizes = [n_features, n_classes, n_levels]
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("deviation", torch.ones(n_features))
        self.value = nn.Sequential(nn.Linear(n_features + n_classes, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(),
                                   nn.Linear(32, 1))  # fmt: skip

    def forward(self, seen):
        features = ((seen["features"] - self.mean) / self.deviation).clamp(-5, 5)  # [item, event, feature]
        label = seen["class"][:, None].expand(-1, features.shape[1], -1)
        values = self.value(torch.cat([features, label], 2))[..., 0] * seen["mask"]  # [item, event]
        first, last, level = seen["levels"][..., :1], seen["levels"][..., 1:], torch.arange(self.sizes[2])
        decoded = (first <= level) & (level < last)  # [item, event, filter, threshold]
        return torch.einsum("ie,iekl->ikl", values, decoded.float()).flatten(1) / 0.3


# %% [markdown]
# ## A PPO of your own
# Rollouts, advantages, three passes over them with the clipped objective. An episode is one step, so that there is no critic
# here: the advantage is the reward less the mean of its rollout. With `output="torch"` nothing is copied.

# %%
from torch.distributions import Categorical

torch.manual_seed(0)
envs = PostProcessingPerClassVectorEnv(training, num_envs=512, observation=events_seen, output="torch", **settings)
seen, _ = envs.reset(seed=0)
network = EventValues(seen["features"].shape[-1], seen["class"].shape[-1], n_levels=9)
there = seen["features"][seen["mask"] > 0]
network.mean.copy_(there.mean(0))
network.deviation.copy_(there.std(0).clamp(min=1e-3))
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

n_rollouts, n_steps = 6, 8
for rollout in range(n_rollouts):
    optimizer.param_groups[0]["lr"] = 1e-3 * (1 - rollout / n_rollouts)
    observed, actions, log_probabilities, rewards = [], [], [], []
    for _ in range(n_steps):
        with torch.no_grad():
            policy = Categorical(logits=network(seen))
            action = policy.sample()
        observed.append(seen)
        actions.append(action)
        log_probabilities.append(policy.log_prob(action))
        seen, reward, *_ = envs.step(action)
        rewards.append(reward)
    batch = {name: torch.cat([part[name] for part in observed]) for name in seen}
    action, before, reward = torch.cat(actions), torch.cat(log_probabilities), torch.cat(rewards)
    advantage = (reward - reward.mean()) / reward.std()
    for _ in range(3):
        for rows in torch.randperm(len(action)).split(512):
            policy = Categorical(logits=network({name: part[rows] for name, part in batch.items()}))
            ratio = (policy.log_prob(action[rows]) - before[rows]).exp()
            gain = torch.min(ratio * advantage[rows], ratio.clamp(0.8, 1.2) * advantage[rows]).mean()
            loss = -gain - 1e-3 * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"{(rollout + 1) * len(action):6} steps, mean reward {reward.mean():+.5f}")

# %% [markdown]
# ## Back to a post-processor
# `from_policy` takes any function from observations to actions. Such a post-processor applies at once. A function cannot be
# saved, since nothing here is pickled. What can be saved says what to write: derive it from `ObservedPolicy`, with numbers
# as tensors and all else as plain values.

# %%
from rl_postproc.agents.rl.observed_policy import ObservedPolicy
from rl_postproc.envs.interface import Interface


class BestByEvents(ObservedPolicy):
    """The candidate with the highest logit."""

    kind = "best_by_events"

    def __init__(self, interface, width, network):
        super().__init__(interface, width)
        self.network = network

    def act(self, observations):
        return self.network(observations).argmax(1)

    def state(self):
        return {**super().state()[0], "sizes": self.network.sizes}, dict(self.network.state_dict())

    @classmethod
    def from_state(cls, values, tensors):
        network = EventValues(*values["sizes"])
        network.load_state_dict(tensors)
        return cls(Interface.from_json(values), values["width"], network)


single = PostProcessingPerClassEnv(training, observation=events_seen, **settings)
own = PostProcessor.from_policy(BestByEvents(single.interface, training.scores.width, network), single)
own.save("my_policy")
from_sb3.save("sb3_policy")

again = PostProcessor.load("my_policy").apply(held_out.scores)
assert again.to_rows() == own.apply(held_out.scores).to_rows()
assert PostProcessor.load("sb3_policy").apply(held_out.scores).to_rows() == from_sb3.apply(held_out.scores).to_rows()

# %% [markdown]
# Networks of Stable-Baselines3's own need no such class. For yours, another program must know it, too: put network and class
# into a file, as `examples/event_policy.py` does, and give it to the program, `rl-postproc apply my_policy SCORES --plugin
# my_policy_class.py --out events.tsv`.
#
# ## Compare
# On clips that neither search nor training has seen, with an interval for the difference. It draws clips with replacement,
# the same ones for both.

# %%
from rl_postproc.results.bootstrap import bootstrap


def samples(post_processor):
    counts = task.metric.count(held_out.scores.references, post_processor.apply(held_out.scores))
    return bootstrap(task.metric, task.objective, torch.stack([counts[name] for name in task.metric.columns])[None])


best_constants = samples(constants)
compared = {"threshold 0.5": plain, "Stable-Baselines3, summary": from_sb3, "own PPO, events": own}
for name, post_processor in compared.items():
    found = samples(post_processor)  # on all clips, then on each draw
    gain = 100 * (found - best_constants)
    low, high = gain[1:].quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    print(f"{name:27} {100 * found[0]:.1f}, over constants {gain[0]:+.1f} ({low:+.1f} to {high:+.1f})")

assert macro_f1(own) > macro_f1(plain)
assert macro_f1(constants) > macro_f1(plain)

# %% [markdown]
# What to take from it, and what not:
#
# - What the policy sees decides. With seeds 0, 1 and 2 the second policy gave +8.6, +7.4 and +8.0 over the best constants.
# - Simulated clips are kinder to policies than real ones are. Judge on your own detector: `rl-postproc benchmark` does it for
#   the agent `ppo`, and [Reinforcement learning](../reinforcement_learning.md) has figures of a real one.
# - Do not train until the held-out figure looks best. Then these clips have been tuned on, and you need others.
