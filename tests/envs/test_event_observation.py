"""The observation ``events`` against the tables of the event-additive policy."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from cases import make_set
from event_agents import random_actor, small_task
from rl_postproc.envs import PostProcessingPerClassVectorEnv

from rl_postproc.task import TuningTask


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


def test_logits_from_the_observation_equal_those_of_the_internal_tables(task: TuningTask) -> None:
    actor = random_actor(task)
    single = gym.make("rl_postproc/PostProcessingPerClass-v0", scores=task, observation="events")
    space: Any = single.observation_space
    most = int(torch.bincount(task.decoded.track).max())
    assert space["features"].shape == (most, task.event_features.shape[1])
    vector = PostProcessingPerClassVectorEnv(task, 50, observation="events", output="torch")
    observation, info = vector.reset(seed=3)
    n_levels = task.decoded.n_levels
    levels = torch.arange(n_levels)
    label = observation["class"].argmax(1)
    values = actor.network(observation["features"].flatten(0, 1), label.repeat_interleave(most)).reshape(50, most)
    base = torch.zeros(50, most)
    tracks = info["clip"] * task.scores.n_classes + info["label"]
    for i, track in enumerate(tracks.tolist()):
        own = actor.base[task.decoded.track == track]
        base[i, : len(own)] = own
    low, high = observation["levels"].unbind(-1)
    decoded = (low[..., None] <= levels) & (levels < high[..., None])
    logits = ((values + base) * observation["mask"])[:, :, None, None] * decoded
    assert torch.allclose(logits.sum(1).flatten(1) / actor.temperature, actor.logits(tracks), atol=1e-4)
    assert vector.single_observation_space.contains({name: x[0].numpy() for name, x in observation.items()})
    # A candidate is the action of the same row-major index.
    action = np.stack(
        np.unravel_index(np.arange(50) % task.stack.space.n_candidates, vector.single_action_space.nvec), 1
    )
    _, _, _, _, after = vector.step(torch.from_numpy(action))
    expected = task.table.counts["estimated"].flatten(0, 1)[tracks, torch.arange(50) % task.stack.space.n_candidates]
    assert after["estimated"][:, 0].tolist() == expected.tolist()
    assert len(tracks.unique()) > 20


def test_the_observation_of_a_silent_task_has_no_event() -> None:
    task = TuningTask.build(make_set(torch.zeros(2, 2, 8), [("c0", 0.1, 0.3, "k0")]))
    observation, _ = PostProcessingPerClassVectorEnv(task, 3, observation="events").reset(seed=0)
    assert not any(observation[name].any() for name in ("features", "mask", "levels"))
