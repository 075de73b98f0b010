"""The environments in other processes: fresh ones, spawned and forked workers, and from pickled specs."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from rl_postproc.envs import PostProcessingEnv, PostProcessingVectorEnv
from rl_postproc.envs.registration import register

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
IDS = ("rl_postproc/PostProcessing-v0", "rl_postproc/PostProcessingPerClass-v0")
CONFIG = {"data": {"simulated": {"n_clips": 8, "seed": 3}}}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(CONFIG)


def rewards_of(pickled_spec: bytes) -> list[float]:
    env = gym.make(pickle.loads(pickled_spec))
    env.reset(seed=1)
    env.action_space.seed(1)
    rewards = []
    for _ in range(5):
        rewards.append(float(env.step(env.action_space.sample())[1]))
        env.reset()
    return rewards


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("make", ["make", "make_vec"])
def test_a_fresh_process_finds_the_environment_by_its_module(name, make):
    more = ", num_envs=3, vectorization_mode='vector_entry_point'" if make == "make_vec" else ""
    program = (
        "import gymnasium\n"
        f"env = gymnasium.{make}('rl_postproc:{name}', scores={CONFIG!r}{more})\n"
        "env.reset(seed=0); env.step(env.action_space.sample()); print(type(env.unwrapped).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("VectorEnv" if make == "make_vec" else "Env")


def test_registering_twice_changes_nothing():
    before = dict(gym.registry)
    register()
    assert dict(gym.registry) == before and set(IDS) <= set(before)


@pytest.mark.parametrize("source", ["config", "score set", "task"])
def test_the_spec_survives_pickling_into_a_spawned_process(task, source):
    scores = {"config": CONFIG, "score set": task.scores, "task": task}[source]
    spec = pickle.dumps(gym.make(IDS[0], scores=scores, observation="summary").spec)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(rewards_of, spec).result(timeout=120) == rewards_of(spec)


def test_a_spec_of_plain_values_survives_json():
    spec = gym.make(IDS[1], scores=CONFIG, observation="dict").spec
    assert spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert again.observation_space == gym.make(spec).observation_space


@pytest.mark.parametrize("context", ["spawn", "fork"])
@pytest.mark.parametrize("observation", ["scores", "dict"])
def test_worker_processes_play_as_the_native_vector_environment(task, context, observation):
    arguments = {"scores": task, "observation": observation}
    workers = gym.make_vec(
        IDS[0], 3, "async", vector_kwargs={"context": context, "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
        **arguments,
    )  # fmt: skip
    native = PostProcessingVectorEnv(task, num_envs=3, observation=observation)
    try:
        first, second = workers.reset(seed=4)[0], native.reset(seed=4)[0]
        native.action_space.seed(0)
        for _ in range(6):
            np.testing.assert_equal(first, second)
            actions = native.action_space.sample()
            first, reward, ended, _, _ = workers.step(actions)
            second, expected, over, _, _ = native.step(actions)
            np.testing.assert_allclose(reward, expected, rtol=1e-6)
            np.testing.assert_array_equal(ended, over)
    finally:
        workers.close()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("output", ["numpy", "torch"])
def test_a_copied_vector_environment_goes_on_as_the_original(task, duplicate, output):
    env = PostProcessingVectorEnv(task, num_envs=4, episode="pass", output=output)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    other = duplicate(env)
    for _ in range(20):
        actions = env.action_space.sample()
        for a, b in zip(env.step(actions)[:3], other.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("output", ["numpy", "torch"])
@pytest.mark.parametrize("mode", list(gym.vector.AutoresetMode))
def test_writing_into_what_a_vector_environment_returned_changes_nothing_later(task, mode, output):
    clean, spoilt = (
        PostProcessingVectorEnv(
            task, num_envs=4, episode="pass", observation="dict", output=output, autoreset_mode=mode
        )
        for _ in range(2)
    )
    clean.action_space.seed(2)
    for step in range(30):
        if step % 10 == 0 or (mode == gym.vector.AutoresetMode.DISABLED and bool(clean.ended.any())):
            found = [env.reset(seed=step) for env in (clean, spoilt)]
        else:
            actions = clean.action_space.sample()
            found = [env.step(actions) for env in (clean, spoilt)]
        for a, b in zip(leaves(found[0]), leaves(found[1]), strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        for part in leaves(found[1]):
            part[...] = 1 if part.dtype != object else None


def leaves(value) -> list:
    if isinstance(value, np.ndarray) and value.dtype == object and isinstance(value[0], dict | np.ndarray):
        value = list({id(one): one for one in value if one is not None}.values())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def test_no_two_returned_arrays_share_memory(task):
    env = PostProcessingVectorEnv(task, num_envs=4)
    env.reset(seed=0)
    parts = leaves(env.step(env.action_space.sample()))
    assert not any(np.shares_memory(a, b) for i, a in enumerate(parts) for b in parts[:i])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: PostProcessingVectorEnv(t, autoreset_mode="SAMESTEP"), "SAME_STEP"),
        (lambda t: PostProcessingVectorEnv(t, render_mode="ansi"), "single"),
        (lambda t: PostProcessingVectorEnv(t, device="nonsense"), "nonsense"),
        (lambda t: PostProcessingVectorEnv(t, stack=[{"stage": "threshold"}]), "stack"),
        (lambda t: PostProcessingVectorEnv(t, num_envs=2).reset(seed=[1]), "1 seeds"),
        (lambda t: PostProcessingVectorEnv(t, num_envs=2).reset(options={"reset_mask": [True, False]}), "first reset"),
        (lambda t: PostProcessingVectorEnv(t, num_envs=2).step(np.zeros((2, 3), int)), "shape"),
        (lambda t: PostProcessingVectorEnv(t, num_envs=2).step(np.full((2, 20), 99)), "environment 0"),
        (lambda t: PostProcessingVectorEnv(t, num_envs=2).step(np.zeros((2, 20))), "whole numbers"),
        (lambda t: PostProcessingEnv(t, observation="sumary"), "summary"),
    ],
)
def test_mistakes_are_user_errors_that_say_what_to_do(task, call, message):
    with pytest.raises(UserError, match=message):
        call(task)


def test_stepping_before_the_first_reset_is_refused(task):
    env = PostProcessingVectorEnv(task, num_envs=2)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(env.action_space.sample())


def test_a_clip_of_choice_is_kept_when_other_environments_are_reset(task):
    env = PostProcessingVectorEnv(task, num_envs=2, autoreset_mode="DISABLED", output="numpy")
    env.reset(seed=0)
    chosen = task.scores.clip_ids[5]
    env.reset(options={"clip_id": chosen, "reset_mask": np.array([True, False])})
    env.reset(options={"reset_mask": np.array([False, True])})
    assert env.step(env.action_space.sample())[-1]["clip_id"][0] == chosen
