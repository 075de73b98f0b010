"""``final_obs`` of the native vector environments against Gymnasium's own, for arrays and for dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
from cases import small_simulation
from env_cases import IDS, N_CLASSES, N_CLIPS, SINGLE, STACK, VECTOR, assert_same
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

N = 3


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


@pytest.mark.parametrize("observation", ["summary", "dict", "events"])
@pytest.mark.parametrize("name", IDS)
def test_final_observations_have_the_form_of_gymnasiums_vector_environments(
    task: TuningTask, name: str, observation: str
) -> None:
    arguments = {"episode": "pass", "observation": observation}
    theirs = SyncVectorEnv([lambda: SINGLE[name](task, **arguments)] * N, autoreset_mode=AutoresetMode.SAME_STEP)
    ours = VECTOR[name](task, N, **arguments)
    theirs.reset(seed=0)
    ours.reset(seed=0)
    if name == IDS[0]:
        # One of them begins anew, so that they do not all end in the same step.
        mask = {"options": {"reset_mask": np.array([False, True, False])}}
        ours.step(ours.action_space.sample() * 0)
        theirs.step(ours.action_space.sample() * 0)
        ours.reset(**mask)
        theirs.envs[1].reset()
    ended = []
    for _ in range(2 * ours.n_items):
        actions = ours.action_space.sample()
        expected, found = theirs.step(actions)[-1], ours.step(actions)[-1]
        for key in ("final_obs", "_final_obs", "_final_info"):
            assert (key in found) == (key in expected)
        if "final_obs" not in expected:
            continue
        ended.append(found["_final_obs"].tolist())
        assert_same(found["_final_obs"], expected["_final_obs"])
        assert found["final_obs"].shape == expected["final_obs"].shape and found["final_obs"].dtype == object
        for own, other in zip(found["final_obs"], expected["final_obs"], strict=True):
            assert type(own) is type(other)
            if own is not None:
                assert_same(own, other)
                assert ours.single_observation_space.contains(own)
    assert ended == ([[True, False, True], [False, True, False]] * 2 if name == IDS[0] else [[True] * N] * 2)
