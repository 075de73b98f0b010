"""The native vector environments against single environments with the same seeds, in every autoreset mode."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from cases import small_simulation
from env_cases import (
    IDS,
    N_CLASSES,
    N_CLIPS,
    SINGLE,
    STACK,
    VECTOR,
    assert_same,
    draw_actions,
    n_steps,
    play_single,
    row,
    zeros_like,
)
from gymnasium.vector import AutoresetMode
from rl_postproc.envs import PostProcessingVectorEnv

from rl_postproc.metrics import Linearisation
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask


@pytest.fixture(scope="module")
def task() -> TuningTask:
    """A small task on clips of different lengths."""
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


def test_what_a_caller_does_to_observations_and_infos_changes_nothing(task: TuningTask) -> None:
    before = task.scores.scores.clone(), task.table.counts["true_positives"].clone()
    env = PostProcessingVectorEnv(task, num_envs=3)
    expected = PostProcessingVectorEnv(task, num_envs=3)
    rng = np.random.default_rng(0)
    observation, info = env.reset(seed=0)
    expected.reset(seed=0)
    for _ in range(2 * N_CLIPS):
        observation[:] = 0.123
        for value in info.values():
            if isinstance(value, np.ndarray) and value.dtype != object:
                value[:] = 0
        action = rng.integers(0, [3, 5] * N_CLASSES, (3, 2 * N_CLASSES))
        observation, reward, _, _, info = env.step(action)
        other, expected_reward, *_ = expected.step(action)
        assert_same(observation, other)
        assert_same(reward, expected_reward)
    assert torch.equal(task.scores.scores, before[0])
    assert torch.equal(task.table.counts["true_positives"], before[1])


@pytest.mark.parametrize("output", ["numpy", "torch"])
@pytest.mark.parametrize("observation", ["scores", "dict"])
@pytest.mark.parametrize(
    ("reward", "episode"),
    [("linearised_f1", "clip"), ("linearised_f1", "pass"), ("clip_f1", "clip"), ("episode_f1", "pass")],
)
@pytest.mark.parametrize("name", IDS)
def test_same_step_equals_single_environments_that_are_reset_at_once(
    task: TuningTask, name: str, reward: str, episode: str, observation: str, output: str
) -> None:
    arguments = {"reward": reward, "episode": episode, "observation": observation}
    env = VECTOR[name](task, num_envs=4, output=output, **arguments)
    actions = draw_actions(env, n_steps(name) * 2 + 3)
    expected = [play_single(name, task, actions[:, i], 7 + i, **arguments) for i in range(4)]
    found, _ = env.reset(seed=7)
    for i in range(4):
        assert_same(row(found, i), expected[i][0][3])
    for t, action in enumerate(actions, 1):
        found, rewards, terminated, truncated, info = env.step(action)
        assert isinstance(rewards, np.ndarray if output == "numpy" else torch.Tensor)
        assert not bool(truncated.any())
        for i in range(4):
            reward_i, ended_i, counts_i, observation_i = expected[i][t]
            assert float(rewards[i]) == pytest.approx(reward_i, abs=1e-6)
            assert bool(terminated[i]) == ended_i
            assert [info[k][i].tolist() for k in ("true_positives", "estimated", "reference")] == counts_i
            assert_same(row(found, i), observation_i)
        if bool(terminated.any()):
            assert_same(info["_final_obs"], terminated)
            assert_same(row(info["final_obs"], int(np.argmax(np.asarray(terminated)))), zeros_like(observation_i))


@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize("name", IDS)
def test_next_step_equals_single_environments_that_are_reset_a_step_later(
    task: TuningTask, name: str, episode: str
) -> None:
    env = VECTOR[name](task, num_envs=3, episode=episode, autoreset_mode="NEXT_STEP")
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    singles = [SINGLE[name](task, episode=episode) for _ in range(3)]
    found, _ = env.reset(seed=[11, 5, 8])
    for i, (single, seed) in enumerate(zip(singles, (11, 5, 8), strict=True)):
        assert_same(row(found, i), single.reset(seed=seed)[0])
    ended = [False] * 3
    for action in draw_actions(env, 2 * n_steps(name) + 5):
        found, rewards, terminated, _, info = env.step(action)
        for i, single in enumerate(singles):
            if ended[i]:
                observation, reward, ended[i] = single.reset()[0], 0.0, False
                assert not info["_true_positives"][i]
            else:
                observation, reward, ended[i], _, single_info = single.step(action[i])
                assert_same(info["true_positives"][i], single_info["true_positives"])
                assert info["macro_f1"][i] == pytest.approx(single_info["macro_f1"], abs=1e-6)
            assert rewards[i] == pytest.approx(reward, abs=1e-6)
            assert terminated[i] == ended[i]
            assert_same(row(found, i), observation)


@pytest.mark.parametrize("name", IDS)
def test_disabled_autoreset_waits_for_a_masked_reset(task: TuningTask, name: str) -> None:
    env = VECTOR[name](task, num_envs=3, autoreset_mode=AutoresetMode.DISABLED)
    singles = [SINGLE[name](task) for _ in range(3)]
    env.reset(seed=2)
    for i, single in enumerate(singles):
        single.reset(seed=2 + i)
    for action in draw_actions(env, 12):
        found, rewards, terminated, _, _ = env.step(action)
        assert terminated.all()
        assert_same(found, zeros_like(found))
        for i, single in enumerate(singles):
            assert rewards[i] == pytest.approx(single.step(action[i])[1], abs=1e-6)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(action)
        found, _ = env.reset(options={"reset_mask": np.array([True, False, True])})
        with pytest.raises(gym.error.ResetNeeded):
            env.step(action)
        again, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
        for i, single in enumerate(singles):
            expected = single.reset()[0]
            assert_same(row(again, i), expected)
            if i != 1:
                assert_same(row(found, i), expected)


def test_a_masked_reset_with_a_clip_of_choice_leaves_the_other_environments_alone(task: TuningTask) -> None:
    env = PostProcessingVectorEnv(task, num_envs=3, autoreset_mode="DISABLED", episode="pass")
    _, before = env.reset(seed=0)
    kept = before["clip"].tolist()
    other = next(i for i in range(N_CLIPS) if i not in kept)
    mask = np.array([False, True, False])
    _, info = env.reset(options={"reset_mask": mask, "clip_id": task.scores.clip_ids[other]})
    assert info["clip"].tolist() == [kept[0], other, kept[2]]


def test_the_ids_make_the_native_vector_environment(task: TuningTask) -> None:
    for name in IDS:
        env = gym.make_vec(name, num_envs=4, vectorization_mode="vector_entry_point", scores=task)
        assert type(env.unwrapped) is VECTOR[name]
        assert env.num_envs == 4


@pytest.mark.parametrize("name", IDS)
def test_moving_the_linearisation_of_one_environment_moves_its_rewards_alone(task: TuningTask, name: str) -> None:
    moved, other = (VECTOR[name](task, num_envs=6) for _ in range(2))
    shared, before = task.linearisation, (task.linearisation.scale.clone(), task.linearisation.slope.clone())
    point = Linearisation(shared.columns, 2 * shared.scale, shared.slope - 0.25)
    moved.linearisation = point
    assert moved.linearisation is point and other.linearisation is task.linearisation is shared
    fresh = VECTOR[name](task, num_envs=6)
    for env in (moved, other, fresh):
        env.reset(seed=3)
    different = 0
    for action in draw_actions(moved, 20):
        (_, paid, *_, info), (_, expected, *_), (_, again, *_) = (env.step(action) for env in (moved, other, fresh))
        assert_same(again, expected)
        final = info["final_info"]
        counts = torch.stack([torch.from_numpy(final[column]) for column in task.metric.columns], 1)
        labels = torch.from_numpy(final["label"]) if "label" in final else None
        assert_same(point.reward(counts, labels).sum(-1), paid)
        assert_same(shared.reward(counts, labels).sum(-1), expected)
        different += int((paid != expected).sum())
    assert different > 50
    assert torch.equal(shared.scale, before[0]) and torch.equal(shared.slope, before[1])


@pytest.mark.parametrize("output", ["numpy", "torch"])
@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP"])
@pytest.mark.parametrize("name", IDS)
def test_a_loaded_state_continues_bit_for_bit(task: TuningTask, name: str, mode: str, output: str) -> None:
    arguments = {"num_envs": 5, "episode": "pass", "autoreset_mode": mode, "output": output}
    env = VECTOR[name](task, **arguments)
    actions = draw_actions(env, 3 * n_steps(name))
    env.reset(seed=2)
    point = task.linearisation
    env.linearisation = Linearisation(point.columns, point.scale, point.slope * 0.5)
    for action in actions[: n_steps(name) // 2]:
        env.step(action)
    state = env.state_dict()
    kept = {key: value.clone() for key, value in state.items()}
    expected = [env.step(action) for action in actions]
    # What has been taken stays as it was, and neither environment that goes on from it disturbs the other.
    assert all(torch.equal(state[key], kept[key]) for key in kept)
    ways = [VECTOR[name](task, **arguments), env]
    for way in ways:
        way.load_state_dict(state)
    for action, step in zip(actions, expected, strict=True):
        for way in ways:
            found = way.step(action)
            for a, b in zip(found, step, strict=True):
                assert_same(a, b)
    assert all(torch.equal(state[key], kept[key]) for key in kept)
    assert len({float(np.asarray(step[1]).sum()) for step in expected}) > 5
