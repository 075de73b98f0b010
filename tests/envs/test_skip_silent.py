"""Environments that leave out the items for which no candidate decodes anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import make_set
from env_cases import SINGLE, VECTOR
from plugin_cases import Onsets

from rl_postproc.metrics import EventBased, Linearisation, Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = Stack.from_config([{"stage": "threshold", "threshold": [0.2, 0.5, 0.8]}])
SPOKEN = {(0, 0), (0, 1), (2, 1), (3, 0)}
"""Clips and classes with scores above the least threshold."""


@pytest.fixture(scope="module")
def task() -> TuningTask:
    x = torch.rand(5, 2, 12, generator=torch.Generator().manual_seed(0))
    for clip in range(5):
        for label in range(2):
            if (clip, label) not in SPOKEN:
                x[clip, label] *= 0.1
    rows = [(f"c{i}", 0.2, 0.7, f"k{k}") for i in range(5) for k in range(2)]
    return TuningTask.build(make_set(x, rows), STACK)


def passes(env: Any, n: int) -> list[tuple[int, int]]:
    """Returns the clips and classes (0 in the joint form) of the next n steps of the first environment."""
    seen = []
    for _ in range(n):
        clip, label = env._engine.clip_and_class()
        seen.append((int(clip[0]), 0 if label is None else int(label[0])))
        env.step(env.action_space.sample())
    return seen


@pytest.mark.parametrize("name", VECTOR)
def test_a_pass_visits_every_item_that_can_be_decided_once(task: TuningTask, name: str) -> None:
    env = VECTOR[name](task, 3, skip_silent=True)
    env.reset(seed=1)
    expected = sorted(SPOKEN) if env.per_class else [(0, 0), (2, 0), (3, 0)]
    assert env.n_items == len(expected)
    for _ in range(3):
        assert sorted(passes(env, len(expected))) == expected
    whole = VECTOR[name](task, 3)
    whole.reset(seed=1)
    assert whole.n_items == (10 if whole.per_class else 5)


@pytest.mark.parametrize("metric", [EventBased(), Onsets()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("name", SINGLE)
def test_a_whole_pass_is_paid_as_if_nothing_were_left_out(task: TuningTask, name: str, metric: Metric) -> None:
    task, paid = TuningTask(task.scores, task.stack, metric), []
    assert task.table.decides().nonzero().tolist() == [list(cell) for cell in sorted(SPOKEN)]
    for skip in (False, True):
        env = SINGLE[name](task, reward="episode_f1", skip_silent=skip)
        env.reset(seed=0)
        for _ in range(2):
            ended = False
            while not ended:
                action = np.zeros_like(env.action_space.nvec) + env._engine.clip_and_class()[0].numpy() % 3
                _, reward, ended, _, info = env.step(action)
            paid.append((reward, info[f"macro_{metric.score_name}"]))
            env.reset()
    for found in paid[1:]:
        assert found == pytest.approx(paid[0])
    assert paid[0][0] > 0


@pytest.mark.parametrize("reward", ["linearised_f1", "clip_f1"])
@pytest.mark.parametrize("name", SINGLE)
def test_what_is_left_out_pays_the_same_for_every_action(task: TuningTask, name: str, reward: str) -> None:
    whole, short = SINGLE[name](task, reward=reward), SINGLE[name](task, reward=reward, skip_silent=True)
    kept = set(short._engine.items.tolist())
    differing = set()
    for item in range(whole._engine.n_items):
        rewards = []
        for value in range(3):
            whole.reset(seed=0)
            whole._engine.item[0] = item
            rewards.append(whole.step(np.full(len(whole.action_space.nvec), value))[1])
        if len(set(rewards)) > 1:
            differing.add(item)
    # So the policy that is best on the items that are kept is best on all of them.
    assert differing and differing <= kept


@pytest.mark.parametrize("name", SINGLE)
def test_a_clip_of_choice_may_be_one_that_is_left_out(task: TuningTask, name: str) -> None:
    env = SINGLE[name](task, reward="episode_f1", observation="item", skip_silent=True)
    env.reset(seed=0)
    observation, info = env.reset(options={"clip_id": "c4"})
    assert info["clip"] == 4 and observation.tolist() == [8 if env.per_class else 4]
    counted = env._engine.totals.clone()
    _, _, _, _, info = env.step(np.zeros_like(env.action_space.nvec))
    assert info["reference"].tolist() == [1] * (1 if env.per_class else 2) and not info["estimated"].any()
    # Its references are those of the pass already.
    assert torch.equal(env._engine.totals, counted)
    env.reset(options={"clip_id": "c0"})
    env.step(np.zeros_like(env.action_space.nvec))
    assert int(env._engine.totals[0, 2].sum()) > int(counted[0, 2].sum())


def test_a_set_on_which_nothing_can_be_decoded_is_refused() -> None:
    silent = TuningTask.build(make_set(torch.zeros(3, 2, 8), [("c0", 0.0, 0.3, "k0")]), STACK)
    for kind in VECTOR.values():
        kind(silent, 2)
        with pytest.raises(UserError, match=r"skip_silent leaves none of them; lower the thresholds"):
            kind(silent, 2, skip_silent=True)


@pytest.mark.parametrize("name", VECTOR)
def test_moving_the_linearisation_of_one_environment_leaves_the_others_alone(task: TuningTask, name: str) -> None:
    def rewards(env: Any) -> list[float]:
        env.reset(seed=3)
        return [float(r) for _ in range(6) for r in env.step(np.zeros((2, env._sizes.numel()), np.int64))[1]]

    first, second = VECTOR[name](task, 2), VECTOR[name](task, 2)
    before, point = rewards(second), task.linearisation
    assert rewards(first) == before
    slope = torch.tensor([[2.0], [-0.9], [-0.9]]).repeat(1, 2)
    first.linearisation = Linearisation(point.columns, torch.full((2,), 3.0), slope)
    assert rewards(first) != before
    assert rewards(second) == before
    assert task.linearisation is point
    assert rewards(VECTOR[name](task, 2)) == before
