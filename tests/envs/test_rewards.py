"""Rewards: what they sum to, against the count table, sed_eval and the derivative of macro F1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import decode_events, sed_eval_totals, small_simulation
from env_cases import (
    IDS,
    N_CLASSES,
    N_CLIPS,
    SINGLE,
    STACK,
    n_steps,
)
from rl_postproc.envs import PostProcessingEnv, PostProcessingPerClassEnv
from rl_postproc.envs.rewards import Decided, Reward

from rl_postproc.metrics import EventBased, Linearisation, Macro
from rl_postproc.metrics.base import Counts
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask


def stacked(counts: Counts) -> torch.Tensor:
    """Counts by name as the rewards take them, ``[..., column, class]``."""
    return torch.stack([counts[name] for name in DETECTION], -2)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    """A small task on clips of different lengths."""
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


@pytest.mark.parametrize("name", IDS)
def test_episode_f1_pays_clips_times_macro_f1_at_the_end_of_the_pass(task: TuningTask, name: str) -> None:
    env = SINGLE[name](task, reward="episode_f1")
    env.reset(seed=0)
    candidates = torch.zeros(N_CLIPS, N_CLASSES, dtype=torch.int64)
    rng = np.random.default_rng(0)
    for _ in range(2):
        total = 0.0
        for step in range(1, n_steps(name) + 1):
            action = rng.integers(0, env.action_space.nvec)
            _, reward, ended, _, info = env.step(action)
            chosen = torch.from_numpy(action).reshape(-1, 2)
            labels = range(N_CLASSES) if name == IDS[0] else [task.scores.classes.index(info["class"])]
            for label, pair in zip(labels, chosen, strict=True):
                candidates[info["clip"], label] = task.stack.space.candidate(pair)
            assert ended == (step == n_steps(name))
            assert ended or reward == 0
            total += reward
        macro = task.table.score(candidates).macro
        assert total == pytest.approx(N_CLIPS * macro, rel=1e-5)
        assert info["macro_f1"] == pytest.approx(macro, rel=1e-5)
        decisions = task.stack.decide(task.scores, task.stack.space.values[candidates])
        events = decode_events(task.scores, decisions)
        tp, estimated, reference = (
            torch.tensor(x) for x in sed_eval_totals(task.scores.require_references(), events, task.metric)
        )
        assert macro == pytest.approx(float((2 * tp / (estimated + reference))[reference > 0].mean()))
        assert macro > 0
        env.reset()


def test_the_linearised_reward_of_the_best_constants_is_zero_on_average(task: TuningTask) -> None:
    best = task.best_constants
    rewards = task.linearisation.reward(stacked(task.table.of_choice(best)))
    assert rewards.sum(0).abs().max() < 1e-4
    assert rewards.abs().max() > 0.1
    # and, played out in the environment
    env = PostProcessingEnv(task)
    env.reset(seed=0)
    sizes = task.stack.space.sizes
    action = torch.stack([best // sizes[1], best % sizes[1]], 1).flatten().numpy()
    paid = []
    for _ in range(N_CLIPS):
        paid.append(env.step(action)[1])
        env.reset()
    assert np.mean(paid) == pytest.approx(0, abs=1e-5)


def test_the_mean_linearised_reward_is_the_gain_in_macro_f1_to_first_order(task: TuningTask) -> None:
    counts = task.table.of_choice(task.best_constants)
    tp, estimated, reference = (counts[name].sum(0).double() for name in DETECTION)
    step = 1e-4

    def macro(more_hits: torch.Tensor, more_events: torch.Tensor) -> torch.Tensor:
        return (2 * (tp + more_hits) / (estimated + more_events + reference)).mean()

    point = task.linearisation
    for label in range(N_CLASSES):
        one = torch.eye(N_CLASSES, dtype=torch.float64)[label] * step
        none = torch.zeros_like(one)
        for change, counts in (((one, none), [1, 0, 0]), ((none, one), [0, 1, 0])):
            slope = float((macro(*change) - macro(none, none)) / step)
            paid = float(point.reward(torch.tensor(counts)[:, None].expand(-1, N_CLASSES))[label]) / N_CLIPS
            assert paid == pytest.approx(slope, rel=1e-3)


def test_per_class_rewards_of_a_clip_add_up_to_the_joint_reward(task: TuningTask) -> None:
    joint, single = PostProcessingEnv(task), PostProcessingPerClassEnv(task)
    joint.reset(seed=0)
    rng = np.random.default_rng(0)
    for clip_id in task.scores.clip_ids:
        action = rng.integers(0, joint.action_space.nvec)
        joint.reset(options={"clip_id": clip_id})
        _, expected, *_, info = joint.step(action)
        assert info["clip_id"] == clip_id
        remaining, total = set(task.scores.classes), 0.0
        for attempt in range(5000):
            _, start = single.reset(seed=attempt)
            if start["clip_id"] == clip_id and start["class"] in remaining:
                label = task.scores.classes.index(start["class"])
                total += single.step(action[2 * label : 2 * label + 2])[1]
                remaining.remove(start["class"])
            if not remaining:
                break
        assert not remaining
        assert total == pytest.approx(expected, abs=1e-5)


def test_clip_f1_is_the_mean_f1_of_the_classes_that_occur() -> None:
    tp, estimated, reference = (
        torch.tensor(x) for x in ([[1, 0, 0], [0, 0, 0]], [[1, 2, 0], [0, 0, 0]], [[3, 0, 0], [0, 0, 0]])
    )
    counts = torch.stack([tp, estimated, reference], 1)
    point = Linearisation(DETECTION, torch.ones(3), torch.zeros(3, 3))
    decided = Decided(EventBased(), counts, None, point, torch.zeros(2), torch.ones(2, dtype=torch.bool), 2)
    paid = Reward.make("clip_f1")(decided)
    assert paid.tolist() == pytest.approx([0.25, 1.0])  # (2/4 + 0) / 2; nothing at all


def test_classes_without_references_have_no_weight() -> None:
    counts = dict(zip(DETECTION, torch.tensor([[1, 0], [2, 5], [2, 0]]), strict=True))
    point = Macro().linearise(EventBased(), counts, 4)
    assert point.lam.tolist() == [0.5, 0.0]
    assert point.scale.tolist() == [1.0, 0.0]
    assert point.reward(stacked(counts)).tolist() == [0.0, 0.0]


def test_the_gradient_of_macro_f1_pays_the_lambda_form_to_the_last_digit(task: TuningTask) -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.tensor([7, 0, 31, 2])
    for _ in range(50):
        estimated = torch.randint(0, 40, (4,), generator=generator)
        hits = (torch.rand(4, generator=generator) * (torch.minimum(estimated, reference) + 1)).long()
        counts = dict(zip(DETECTION, (hits, estimated, reference), strict=True))
        point = Macro().linearise(EventBased(), counts, 24)
        lam = (2 * hits.double() / (estimated + reference).clamp(min=1)).float()
        weight = torch.where(reference > 0, 24 / (3 * (estimated + reference).clamp(min=1).double()), 0.0).float()
        clip = torch.randint(0, 5, (6, 3, 4), generator=generator)
        expected = weight * (2 * clip[:, 0] - lam * (clip[:, 1] + clip[:, 2]))
        assert torch.equal(point.reward(clip), expected)
        assert torch.equal(point.lam, torch.where(reference > 0, lam, 0.0))
