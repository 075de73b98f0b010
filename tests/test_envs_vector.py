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
from rl_postproc.envs import (
    PostProcessingVectorEnv,
    TuningTask,
)

from rl_postproc.stack import Stack


@pytest.fixture(scope="module")
def task() -> TuningTask:
    """A small task on clips of different lengths."""
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


def test_what_a_caller_does_to_observations_and_infos_changes_nothing(task: TuningTask) -> None:
    before = task.scores.scores.clone(), task.table.true_positives.clone()
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
    assert torch.equal(task.table.true_positives, before[1])


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
