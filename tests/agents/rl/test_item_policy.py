"""The policy that is told its item: the distribution it draws from, what it remembers, and both environments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from event_agents import random_actor, small_task
from rl_postproc.agents.actor import Actor
from rl_postproc.agents.events.exact_gradient import expected_counts
from rl_postproc.agents.rl.item_buffer import LeaveOneOutBuffer
from rl_postproc.agents.rl.item_policy import ItemPolicy
from rl_postproc.agents.rl.learned_events import LearnedEventActor
from rl_postproc.agents.rl.track_policy import TrackActor
from rl_postproc.envs import PostProcessingPerClassVectorEnv, PostProcessingVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from stable_baselines3 import PPO

from rl_postproc.task import TuningTask


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


def actor_of(task: TuningTask, kind: str) -> Actor:
    """Returns an actor of each kind that prefers some candidates."""
    if kind == "features":
        return random_actor(task)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "tracks":
            actor: Any = TrackActor(task, 4, 8)
            torch.nn.init.normal_(actor.network.head[-1].weight)
        else:
            actor = LearnedEventActor(task, 4, 8, 0.5)
            torch.nn.init.normal_(actor.network.layers[-1].weight)
    return actor


KINDS = ("events", "features", "tracks")


def make_ppo(task: TuningTask, actor: Actor, joint: bool = False) -> PPO:
    kind = PostProcessingVectorEnv if joint else PostProcessingPerClassVectorEnv
    env = SB3VecEnv(kind(task, 8, observation="item", skip_silent=True))
    buffer = {"env": env, "n_classes": task.scores.n_classes, "joint": joint}
    return PPO(
        ItemPolicy, env, n_steps=40, batch_size=32, n_epochs=1, vf_coef=0.0, normalize_advantage=False, seed=0,
        device="cpu", policy_kwargs={"actor": actor, "joint": joint}, rollout_buffer_class=LeaveOneOutBuffer,
        rollout_buffer_kwargs=buffer,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_categorical_distribution_of_its_logits(task: TuningTask, kind: str) -> None:
    actor = actor_of(task, kind)
    policy: Any = make_ppo(task, actor).policy
    items = torch.randint(actor.n_tracks, (40, 1), generator=torch.Generator().manual_seed(1))
    tracks, place = actor.distinct(items[:, 0])
    replaced = items[tracks[place] != items[:, 0], 0]
    assert not task.table.counts["estimated"].flatten(0, 1)[replaced].any()
    with torch.no_grad():
        oracle = torch.distributions.Categorical(logits=actor.logits(tracks)[place])
    actions, values, log_probability = policy(items)
    assert actions.shape == (40, 2) and values.shape == (40,) and log_probability.shape == (40, 1)
    candidate = task.stack.space.candidate(actions)
    assert torch.allclose(log_probability[:, 0], oracle.log_prob(candidate), atol=1e-4)
    again, same, entropy = policy.evaluate_actions(items, actions)
    assert torch.allclose(same, log_probability[:, 0], atol=1e-4)
    assert torch.allclose(entropy, oracle.entropy(), atol=1e-4)
    assert not again.any() and not policy.predict_values(items).any()
    best = task.stack.space.candidate(policy._predict(items, deterministic=True))
    assert torch.equal(best, oracle.logits.argmax(-1))
    drawn = task.stack.space.candidate(policy(items.repeat(2000, 1))[0]).reshape(2000, 40)
    frequency = torch.nn.functional.one_hot(drawn, oracle.logits.shape[1]).double().mean(0)
    spread = (oracle.probs * (1 - oracle.probs) / 2000).sqrt()
    assert bool(((frequency - oracle.probs).abs() <= 6 * spread + 1e-3).all())


def test_the_joint_form_is_the_classes_one_by_one(task: TuningTask) -> None:
    actor = actor_of(task, "tracks")
    joint: Any = make_ppo(task, actor, joint=True).policy
    single: Any = make_ppo(task, actor).policy
    clips = torch.tensor([[4], [0], [4]])
    actions, _, log_probability = joint(clips)
    assert actions.shape == (3, 6) and log_probability.shape == (3, 3)
    tracks = (clips * 3 + torch.arange(3)).reshape(-1, 1)
    own = single.evaluate_actions(tracks, actions.reshape(9, 2))
    found = joint.evaluate_actions(clips, actions)
    assert torch.allclose(found[1], own[1], atol=1e-5) and torch.allclose(
        found[1], log_probability.flatten(), atol=1e-4
    )
    assert torch.allclose(found[2], own[2], atol=1e-5)


def test_expected_counts_are_those_of_its_probabilities(task: TuningTask) -> None:
    actor = actor_of(task, "events")
    policy: Any = make_ppo(task, actor).policy
    with torch.no_grad():
        pi = actor.logits(torch.arange(actor.n_tracks)).softmax(-1)
    found = policy.expected_counts(task.table)
    for name in ("true_positives", "estimated"):
        expected = expected_counts(pi, task.table.counts[name].flatten(0, 1).float()).reshape(-1, 3).sum(0)
        assert torch.allclose(found[name].float(), expected, atol=1e-3)
    assert found["reference"].tolist() == task.table.counts["reference"].sum(0).tolist()


def test_what_a_rollout_remembers_of_the_policy_is_forgotten_with_every_update(task: TuningTask) -> None:
    policy: Any = make_ppo(task, actor_of(task, "events")).policy
    items = torch.arange(task.decoded.n_tracks)[:, None]
    first = {name: value.clone() for name, value in policy.state_dict().items()}

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        actions, _, remembered = policy(items)
        return remembered[:, 0], policy.evaluate_actions(items, actions)[1]

    for found in both():
        assert found.std() > 0
    remembered, worked = both()
    assert torch.allclose(remembered, worked, atol=1e-4)
    before = policy.expected_counts(task.table)["estimated"]
    worked.sum().backward()
    policy.optimizer.step()
    remembered, worked = both()
    assert torch.allclose(remembered, worked, atol=1e-4)
    assert not torch.allclose(policy.expected_counts(task.table)["estimated"], before, atol=1e-6)
    policy.load_state_dict(first)
    assert torch.allclose(policy.expected_counts(task.table)["estimated"], before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_of_ppo_moves_all_of_its_weights(task: TuningTask, kind: str) -> None:
    model = make_ppo(task, actor_of(task, kind))
    before = {name: value.clone() for name, value in model.policy.named_parameters()}
    model.learn(320)
    still = {name for name, value in model.policy.named_parameters() if torch.equal(value, before[name])}
    assert not still
    assert np.isfinite(model.logger.name_to_value["train/loss"])
