"""Classes without training references: agents that choose clip by clip leave them silent on other clips."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases import small_simulation
from event_agents import AGENTS, STACK, agent, files_of
from rl_postproc.agents.events.ranking_policy import EventRankingPolicy
from rl_postproc.agents.events.set_policy import EventSetPolicy
from rl_postproc.agents.events.silent_classes import SilentClasses

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

MUTE = [*STACK[:1], {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7, 0.9, 1.0]}]


def without(scores: ScoreSet, label: str) -> ScoreSet:
    """Returns the set without the references of a class."""
    rows = [row for row in scores.require_references().to_rows() if row[3] != label]
    return ScoreSet.build(
        scores.scores, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations,
        Events.from_rows(rows, scores.clip_ids, scores.classes),
    )  # fmt: skip


@pytest.mark.parametrize("name", AGENTS)
def test_a_class_without_references_stays_silent_on_other_clips(name: str, tmp_path: Path) -> None:
    scores = small_simulation(24, 3, short=0.4)
    label = scores.classes[1]
    task = TuningTask.build(without(scores, label), Stack.from_config(MUTE))
    processor = agent(name).fit(task, 0).post_processor
    unseen = small_simulation(24, 3, 7, short=0.4)
    found = processor.apply(unseen).to_rows()
    assert found and label not in {row[3] for row in found}
    files_of(processor, tmp_path)
    assert PostProcessor.load(tmp_path).apply(unseen).to_rows() == found
    assert held_silent(processor.policy) == [False, True, False]
    whole = TuningTask.build(scores, Stack.from_config(MUTE))
    assert not any(held_silent(agent(name).fit(whole, 0).post_processor.policy))


def held_silent(policy: Policy) -> list[bool]:
    """Returns which classes a policy holds silent."""
    return policy.silent.tolist() if isinstance(policy, SilentClasses | EventSetPolicy | EventRankingPolicy) else []


def test_the_other_classes_keep_what_the_policy_chooses() -> None:
    scores = small_simulation(24, 3, short=0.4)
    task = TuningTask.build(without(scores, scores.classes[1]), Stack.from_config(MUTE))
    policy = agent("events").fit(task, 0).post_processor.policy
    assert isinstance(policy, SilentClasses)
    chosen, inner = policy.choose(scores, task.stack), policy.policy.choose(scores, task.stack)
    assert torch.equal(chosen[:, [0, 2]], inner[:, [0, 2]])
    assert torch.equal(chosen[:, 1], policy.values[1].expand(24, -1))
