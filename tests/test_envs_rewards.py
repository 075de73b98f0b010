"""Rewards: what they sum to, against the count table, sed_eval and the derivative of macro F1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import sed_eval_totals, small_simulation
from env_cases import (
    IDS,
    N_CLASSES,
    N_CLIPS,
    SINGLE,
    STACK,
    n_steps,
)
from rl_postproc.envs import (
    PostProcessingEnv,
    PostProcessingPerClassEnv,
    TuningTask,
)
from rl_postproc.envs.rewards import Linearisation, clip_f1

from rl_postproc.stack import Stack, decode_events


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
        macro = task.table.score(candidates).macro_f1
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
    best = task.table.best_per_class()
    tp, estimated = task.table.of_choice(best)
    rewards = task.linearisation.reward(tp, estimated, task.table.reference)
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
    best = task.table.best_per_class()
    tp, estimated = (x.sum(0).double() for x in task.table.of_choice(best))
    reference = task.table.reference.sum(0).double()
    step = 1e-4

    def macro(more_hits: torch.Tensor, more_events: torch.Tensor) -> torch.Tensor:
        return (2 * (tp + more_hits) / (estimated + more_events + reference)).mean()

    point = task.linearisation
    for label in range(N_CLASSES):
        one = torch.eye(N_CLASSES, dtype=torch.float64)[label] * step
        none = torch.zeros_like(one)
        for change, counts in (((one, none), (1, 0)), ((none, one), (0, 1))):
            slope = float((macro(*change) - macro(none, none)) / step)
            paid = float((point.weight * (2 * counts[0] - point.lam * counts[1]))[label]) / N_CLIPS
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
    assert clip_f1(tp, estimated, reference).tolist() == pytest.approx([0.25, 1.0])  # (2/4 + 0) / 2; nothing at all


def test_classes_without_references_have_no_weight() -> None:
    point = Linearisation.at(torch.tensor([1, 0]), torch.tensor([2, 5]), torch.tensor([2, 0]), 4)
    assert point.lam.tolist() == [0.5, 0.0]
    assert point.weight.tolist() == [1.0, 0.0]
