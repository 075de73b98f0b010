"""The network that the examples share, against the tables of the event-additive policy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from event_agents import small_task
from rl_postproc.envs import PostProcessingPerClassEnv
from rl_postproc.envs.evaluation import observe_all

from rl_postproc import PostProcessor, TuningTask

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def event_policy():
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import event_policy
    finally:
        sys.path.pop(0)
    return event_policy


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


def test_logits_are_sums_of_the_values_of_the_events_that_candidates_decode(event_policy, task: TuningTask) -> None:
    most = int(torch.bincount(task.decoded.track).max())
    observation = {"observation": "events", "max_events": most}
    space = PostProcessingPerClassEnv(task, observation=observation).observation_space
    seen = observe_all(task, observation)
    torch.manual_seed(0)
    network = event_policy.EventPolicy.of(space, temperature=0.5)
    assert not network(seen)[0].any()
    network.standardise(seen)
    torch.nn.init.normal_(network.actor[-1].weight)
    events, label = task.decoded, task.decoded.track % task.scores.n_classes
    scaled = (task.event_features - task.event_features.mean(0)) / task.event_features.std(0).clamp(min=1e-3)
    inputs = torch.cat([scaled.clamp(-5, 5), torch.eye(task.scores.n_classes)[label]], 1)
    expected = events.sum_over_candidates(network.actor(inputs)[:, 0]) / 0.5
    logits, values = network(seen)
    assert torch.allclose(logits, expected, atol=1e-3)
    assert float(expected.std()) > 1 and values.shape == (len(logits),)


def test_a_network_fits_clips_that_it_was_not_built_on(event_policy, task: TuningTask) -> None:
    other = small_task(9, seed=4)
    network = event_policy.EventPolicy.of(PostProcessingPerClassEnv(task, **event_policy.SETTINGS).observation_space)
    network.standardise(observe_all(task, event_policy.OBSERVATION))
    logits, _ = network(observe_all(other, event_policy.OBSERVATION))
    assert logits.shape == (9 * other.scores.n_classes, other.stack.space.n_candidates)


def test_the_network_is_saved_as_a_post_processor(event_policy, task: TuningTask, tmp_path: Path) -> None:
    env = PostProcessingPerClassEnv(task, **event_policy.SETTINGS)
    network = event_policy.EventPolicy.of(env.observation_space).standardise(
        observe_all(task, event_policy.OBSERVATION)
    )
    torch.nn.init.normal_(network.actor[-1].weight)
    policy = event_policy.BestCandidate(env.interface, task.scores.width, network)
    events = PostProcessor.from_policy(policy, env).apply(task.scores)
    chosen = network(observe_all(task, event_policy.OBSERVATION))[0].argmax(1)
    assert len(set(chosen.tolist())) > 3
    values = task.stack.space.values[chosen].reshape(task.scores.n_clips, task.scores.n_classes, -1)
    assert events.to_rows() == task.stack.events(task.scores, values).to_rows()
    PostProcessor.from_policy(policy, env).save(tmp_path)
    assert PostProcessor.load(tmp_path).apply(task.scores).to_rows() == events.to_rows()


def test_gradients_reach_actor_and_critic(event_policy, task: TuningTask) -> None:
    network = event_policy.EventPolicy.of(PostProcessingPerClassEnv(task, **event_policy.SETTINGS).observation_space)
    logits, values = network(observe_all(task, event_policy.OBSERVATION))
    (logits[:, 3].sum() + values.sum()).backward()
    assert network.actor[-1].weight.grad.any() and network.critic[-1].weight.grad.any()
    assert network.offset.weight.grad.any()
