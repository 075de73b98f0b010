"""A clip of choice begins a pass that still visits every item once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from env_cases import IDS, N_CLASSES, N_CLIPS, SINGLE, STACK, VECTOR, n_steps

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

CHOSEN = 4
"""Clip that the tests choose."""


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


def item(info: dict[str, Any], env: int | None = None) -> tuple[int, int]:
    """The clip and the class (0 in the joint form) that an info tells of."""
    clip, label = info["clip"], info.get("label", 0 if env is None else np.zeros(env + 1, int))
    return (int(clip), int(label)) if env is None else (int(clip[env]), int(label[env]))


def single_pass(env: Any) -> list[tuple[int, int]]:
    """The items of one pass of a single environment, to the end of its episode."""
    seen, ended = [], False
    while not ended:
        *_, ended, _, info = env.step(env.action_space.sample())
        seen.append(item(info))
    return seen


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("name", IDS)
def test_a_pass_that_begins_with_a_chosen_clip_visits_every_item_once(task: TuningTask, name: str, before: int) -> None:
    env, plain = SINGLE[name](task, episode="pass"), SINGLE[name](task, episode="pass")
    env.reset(seed=5)
    plain.reset(seed=5)
    for _ in range(before):
        env.step(env.action_space.sample())
    _, info = env.reset(options={"clip_id": task.scores.clip_ids[CHOSEN]})
    seen = single_pass(env)
    assert seen[0] == (CHOSEN, 0) == (info["clip"], 0)
    assert len(seen) == len(set(seen)) == n_steps(name)
    # The passes after it are those that the seed gives anyway.
    orders = [single_pass(plain)]
    for _ in range(2):
        plain.reset()
        orders.append(single_pass(plain))
    env.reset()
    assert single_pass(env) == orders[2]


@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP", "DISABLED"])
@pytest.mark.parametrize("name", IDS)
def test_chosen_clips_of_some_environments_leave_every_pass_whole(task: TuningTask, name: str, mode: str) -> None:
    env, plain = (VECTOR[name](task, 3, episode="pass", autoreset_mode=mode) for _ in range(2))
    actions = np.zeros((3, len(env.single_action_space.nvec)), np.int64)
    for one in (env, plain):
        one.reset(seed=2)
        one.step(actions)
    mask = np.array([False, True, False])
    env.reset(options={"reset_mask": mask, "clip_id": task.scores.clip_ids[CHOSEN]})
    states, orders = [], [[], [], []]
    for step in range(n_steps(name)):
        states.append(env.state_dict())
        expected, found = plain._engine.item.tolist(), env._engine.item.tolist()
        for i in range(3):
            orders[i].append(found[i])
            # The others have a step less before them than a pass has.
            assert i == 1 or step >= n_steps(name) - 1 or found[i] == expected[i]
        if mode == "DISABLED" and bool(env.ended.any()):
            break
        env.step(actions)
        if not bool(plain.ended.any()):
            plain.step(actions)
    assert orders[1][0] == CHOSEN * (N_CLASSES if name == IDS[1] else 1)
    assert len(set(orders[1])) == len(orders[1]) >= n_steps(name) - 1
    # A state from the middle of the chosen order goes on in it.
    env.load_state_dict(states[2])
    env.step(actions)
    assert env._engine.item[1] == orders[1][3]


@pytest.mark.parametrize("name", IDS)
def test_a_chosen_clip_that_passes_leave_out_comes_before_a_whole_pass(name: str) -> None:
    x = torch.zeros(5, 2, 12)
    x[:4, 0, 3:6] = 0.9
    scores = make_set(x, [(f"c{i}", 0.2, 0.7, "k0") for i in range(5)])
    env = SINGLE[name](scores, stack=STACK, episode="pass", skip_silent=True)
    env.reset(seed=1)
    env.reset(options={"clip_id": "c4"})
    seen = single_pass(env)
    assert seen[0] == (4, 0)
    assert sorted(seen[1:]) == [(clip, 0) for clip in range(4)]


@pytest.mark.parametrize("name", IDS)
def test_in_one_step_episodes_a_chosen_clip_takes_one_turn(task: TuningTask, name: str) -> None:
    env, plain = SINGLE[name](task), SINGLE[name](task)
    for seed in (0, 1):
        env.reset(seed=seed)
        plain.reset(seed=seed)
    env.reset(options={"clip_id": task.scores.clip_ids[CHOSEN]})
    plain.reset()
    assert env.current_clip == CHOSEN
    for _ in range(4):
        infos = []
        for one in (env, plain):
            one.step(one.action_space.sample())
            infos.append(one.reset()[1])
        assert infos[0] == infos[1]
