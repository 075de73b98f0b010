"""The environments: the checkers of Gymnasium and Stable-Baselines3, and what the docstrings promise."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from env_cases import (
    GLOBAL,
    IDS,
    N_CLASSES,
    N_CLIPS,
    OBSERVATIONS,
    REWARDS,
    SINGLE,
    STACK,
    VECTOR,
    assert_same,
    n_steps,
)
from rl_postproc.envs import PostProcessingEnv, PostProcessingPerClassEnv

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


@pytest.fixture(scope="module")
def task() -> TuningTask:
    """A small task on clips of different lengths."""
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker_passes_without_a_warning(task: TuningTask, name: str, observation: str) -> None:
    from gymnasium.utils.env_checker import check_env

    env = gym.make(name, scores=task, observation=observation, render_mode="ansi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize(
    # Stable-Baselines3 warns of any box with two axes, as the joint environment's "scores" is.
    ("name", "observation"),
    [
        (name, shown)
        for name in IDS
        for shown in ("scores", "flat", "summary")
        if "PerClass" in name or shown != "scores"
    ],
)
def test_stable_baselines3s_checker_passes_without_a_warning(
    task: TuningTask, name: str, observation: str, reward: str
) -> None:
    from stable_baselines3.common.env_checker import check_env

    env = SINGLE[name](task, observation=observation, reward=reward)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("name", IDS)
def test_observations_are_the_scores_and_lie_in_their_space(task: TuningTask, name: str, observation: str) -> None:
    env = SINGLE[name](task, observation=observation)
    for seed in range(12):
        found, info = env.reset(seed=seed)
        assert env.observation_space.contains(found)
        clip = info["clip"]
        track = task.scores.scores[clip]
        if name == IDS[1]:
            label = task.scores.classes.index(info["class"])
            one_hot = np.eye(N_CLASSES)[label]
            track = track[label]
        if observation == "dict":
            assert_same(found["scores"], track)
            assert found["mask"].sum() == task.scores.n_frames[clip]
            if name == IDS[1]:
                assert_same(found["class"], one_hot)
        elif observation == "summary":
            summary = found.reshape(N_CLASSES, 7) if name == IDS[0] else found[None, :7]
            valid = np.atleast_2d(track)[:, : int(task.scores.n_frames[clip])]
            expected = [valid.mean(1), valid.std(1), valid.max(1), *((valid > v).mean(1) for v in (0.1, 0.5, 0.9))]
            np.testing.assert_allclose(summary[:, :6].T, expected, atol=1e-5)
        elif name == IDS[1]:
            assert_same(found, np.concatenate([track, one_hot]))
        else:
            assert_same(found, track if observation == "scores" else track.flatten())


@pytest.mark.parametrize("episode", ["clip", "pass"])
@pytest.mark.parametrize("name", IDS)
def test_a_pass_visits_everything_once_and_every_pass_in_an_order_of_its_own(
    task: TuningTask, name: str, episode: str
) -> None:
    env = SINGLE[name](task, episode=episode)
    _, info = env.reset(seed=3)
    orders = []
    for _ in range(3):
        seen, ends = [], []
        for _ in range(n_steps(name)):
            *_, terminated, truncated, decided = env.step(env.action_space.sample())
            assert not truncated
            seen.append((decided["clip"], decided.get("class")))
            ends.append(terminated)
            assert seen[-1][0] == task.scores.clip_ids.index(decided["clip_id"])
            if terminated:
                _, info = env.reset()
        assert len(set(seen)) == len(seen) == n_steps(name)
        assert ends == ([True] * len(seen) if episode == "clip" else [False] * (len(seen) - 1) + [True])
        orders.append(seen)
    assert orders[0] != orders[1] != orders[2]
    assert info["clip"] in range(N_CLIPS)


def test_different_seeds_give_different_orders_and_the_same_seed_the_same() -> None:
    task = TuningTask.build(make_set(np.zeros((50, 1, 5))), Stack.from_config(STACK))
    orders = {}
    for seed in (0, 1, 2, 0):
        env = PostProcessingEnv(task, episode="pass")
        _, info = env.reset(seed=seed)
        order = []
        for _ in range(50):
            *_, info = env.step(np.zeros(2, dtype=np.int64))
            order.append(info["clip"])
        assert orders.setdefault(seed, order) == order
    assert len({tuple(order) for order in orders.values()}) == 3


def test_a_global_parameter_is_set_once_for_all_classes() -> None:
    scores = small_simulation(6)
    env = PostProcessingEnv(scores, stack=GLOBAL)
    assert env.action_space.nvec.tolist() == [2, 2, 2, 3]
    space = env.task.stack.space
    env.reset(seed=0)
    for kernel in range(3):
        for thresholds in ([0, 1, 0], [1, 1, 1]):
            *_, info = env.step(np.array([*thresholds, kernel]))
            for label, threshold in enumerate(thresholds):
                candidate = int(space.candidate(torch.tensor([kernel, threshold])))
                assert info["estimated"][label] == env.task.table.counts["estimated"][info["clip"], label, candidate]
            env.reset()
    with pytest.raises(UserError, match=r"'median\.kernel', whose scope is global"):
        PostProcessingPerClassEnv(scores, stack=GLOBAL)


@pytest.mark.parametrize("name", IDS)
def test_reset_can_start_with_a_clip_of_choice(task: TuningTask, name: str) -> None:
    env, vector = SINGLE[name](task), VECTOR[name](task, num_envs=3, autoreset_mode="DISABLED")
    for clip, clip_id in enumerate(task.scores.clip_ids):
        _, info = env.reset(seed=clip, options={"clip_id": clip_id})
        assert (info["clip_id"], info["clip"]) == (clip_id, clip)
        _, info = vector.reset(options={"clip_id": clip_id})
        assert info["clip"].tolist() == [clip] * 3
    with pytest.raises(UserError, match=r"no clip 'nothing\.wav'"):
        env.reset(options={"clip_id": "nothing.wav"})


@pytest.mark.parametrize("name", IDS)
def test_the_same_seed_gives_the_same_episode(task: TuningTask, name: str) -> None:
    trajectories = []
    for _ in range(2):
        np.random.seed(len(trajectories))  # noqa: NPY002
        torch.manual_seed(len(trajectories))
        env = SINGLE[name](task, observation="flat")
        env.action_space.seed(0)
        seen = [env.reset(seed=4)[0]]
        for _ in range(30):
            observation, reward, ended, *_ = env.step(env.action_space.sample())
            seen += [observation, np.float32(reward)]
            if ended:
                seen.append(env.reset()[0])
        trajectories.append(np.concatenate([np.ravel(x) for x in seen]))
    assert_same(*trajectories)


def test_steps_without_a_reset_and_actions_outside_the_space_are_refused(task: TuningTask) -> None:
    for kind in (PostProcessingEnv, PostProcessingPerClassEnv):
        env = kind(task)
        action = np.zeros(len(env.action_space.nvec), dtype=np.int64)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(action)
        env.reset(seed=0)
        for wrong in (action - 1, action + 99, action[:-1], np.append(action, 0)):
            with pytest.raises(UserError, match="does not lie in"):
                env.step(wrong)
        env.step(action)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(action)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "f1"}, r"unknown reward 'f1'"),
        ({"reward": "clip_f2"}, r"did you mean 'clip_f1'"),
        ({"episode": "clips"}, r"did you mean 'clip'"),
        ({"observation": "score"}, r"did you mean 'scores'"),
        ({"reward": "episode_f1", "episode": "clip"}, r"episode='pass'"),
        ({"render_mode": "human"}, r"render_mode 'human'"),
    ],
)
def test_unknown_names_are_refused(task: TuningTask, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PostProcessingEnv(task, **arguments)


def test_a_config_in_any_form_makes_an_environment(tmp_path) -> None:
    import yaml

    config = {"data": {"simulated": {"n_clips": 4}}, "stack": STACK}
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(config))
    for source in (config, tmp_path / "task.yaml", str(tmp_path / "task.yaml")):
        env = PostProcessingEnv(source)
        assert env.action_space.nvec.tolist() == [3, 5] * 10
        assert env.task.scores.n_clips == 4
    with pytest.raises(UserError, match="did you mean 'stack'"):
        PostProcessingEnv(config | {"stak": []})


@pytest.mark.parametrize("name", IDS)
def test_rendering_shows_the_clip_that_was_decided(task: TuningTask, name: str) -> None:
    clip_id = next(
        clip for clip, n in zip(task.scores.clip_ids, task.table.counts["reference"].sum(1).tolist(), strict=True) if n
    )
    env = SINGLE[name](task, render_mode="ansi")
    env.reset(seed=0, options={"clip_id": clip_id})
    before = env.render()
    assert clip_id in before
    assert "reference" in before
    env.step(np.zeros(len(env.action_space.nvec), dtype=np.int64))
    after = env.render()
    assert clip_id in after
    assert "decided" in after
    picture = SINGLE[name](task, render_mode="rgb_array")
    picture.reset(seed=0)
    for _ in range(2):
        image = picture.render()
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.std() > 0
        picture.step(picture.action_space.sample())
        picture.reset()
    assert SINGLE[name](task).render() is None
