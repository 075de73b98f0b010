"""Rewards and observations of one's own: defined here, known by name in the environments."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from cases import small_simulation
from env_cases import IDS, N_CLASSES, N_CLIPS, SINGLE, STACK, VECTOR, draw_actions
from gymnasium import spaces
from rl_postproc.envs.observations import Observation, Observed, Observer
from rl_postproc.envs.rewards import Decided, Reward
from rl_postproc.envs.testing import check_environment, check_vector_environment

from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


class Hits(Reward):
    """True positives, less a price for each estimate."""

    reward: Literal["test_hits"] = "test_hits"
    price: float = 0.0

    def __call__(self, decided: Decided) -> torch.Tensor:
        hits, found = (decided.counts[:, decided.metric.columns.index(n)] for n in ("true_positives", "estimated"))
        return (hits - self.price * found).sum(-1).float()


class AllHits(Reward):
    """The objective of a pass, at its end."""

    reward: Literal["test_at_end"] = "test_at_end"
    pays_at_end: ClassVar[bool] = True

    def __call__(self, decided: Decided) -> torch.Tensor:
        return torch.where(decided.pass_over, decided.objective, 0.0)


class Loudest(Observation):
    """The highest score of each class, or of the one that is decided."""

    observation: Literal["test_loudest"] = "test_loudest"

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        most, n = task.scores.scores.amax(-1), task.scores.n_classes

        def observe(clip: torch.Tensor, label: torch.Tensor | None) -> Observed:
            return most[clip].clone() if label is None else most[clip, label][:, None]

        return spaces.Box(0.0, 1.0, (1 if per_class else n,), np.float32), observe


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(N_CLIPS, N_CLASSES, short=0.5), Stack.from_config(STACK))


def test_they_are_known_by_name() -> None:
    assert Reward.types()["test_hits"] is Hits and Observation.types()["test_loudest"] is Loudest
    assert Hits.summary() == "True positives, less a price for each estimate"


@pytest.mark.parametrize("price", [0.0, 0.5])
@pytest.mark.parametrize("name", IDS)
def test_a_reward_of_ones_own_is_paid(task: TuningTask, name: str, price: float) -> None:
    reward: Any = "test_hits" if not price else {"reward": "test_hits", "price": price}
    env, vector = SINGLE[name](task, reward=reward), VECTOR[name](task, num_envs=3, reward=reward)
    vector.reset(seed=0)
    total = 0.0
    for actions in draw_actions(vector, 20):
        env.reset()
        _, paid, _, _, info = env.step(actions[0])
        assert paid == pytest.approx(info["true_positives"].sum() - price * info["estimated"].sum())
        _, rewards, _, _, infos = vector.step(actions)
        counts = infos["final_info"]
        expected = counts["true_positives"].sum(1) - price * counts["estimated"].sum(1)
        np.testing.assert_allclose(rewards, expected, atol=1e-6)
        total += float(np.abs(rewards).sum())
    assert total > 0


def test_a_reward_that_is_paid_at_the_end_makes_episodes_passes(task: TuningTask) -> None:
    env = SINGLE[IDS[0]](task, reward="test_at_end")
    env.reset(seed=0)
    steps = [env.step(env.action_space.sample())[1:3] for _ in range(N_CLIPS)]
    assert [ended for _, ended in steps] == [False] * (N_CLIPS - 1) + [True]
    assert [reward for reward, _ in steps[:-1]] == [0.0] * (N_CLIPS - 1) and steps[-1][0] > 0
    with pytest.raises(UserError, match=r"'test_at_end' is paid at the end of a pass"):
        SINGLE[IDS[0]](task, reward="test_at_end", episode="clip")


@pytest.mark.parametrize("name", IDS)
def test_an_observation_of_ones_own_is_shown(task: TuningTask, name: str) -> None:
    env = SINGLE[name](task, observation="test_loudest")
    for seed in range(5):
        found, info = env.reset(seed=seed)
        shown = task.scores.scores[info["clip"]].amax(-1)
        np.testing.assert_array_equal(found, shown if name == IDS[0] else shown[[info["label"]]])


@pytest.mark.parametrize("name", IDS)
def test_environments_with_both_pass_the_checks_of_any_other(task: TuningTask, name: str) -> None:
    arguments: dict[str, Any] = {"reward": "test_hits", "observation": "test_loudest"}
    check_environment(lambda: SINGLE[name](task, **arguments, render_mode="ansi"), steps=20)
    check_vector_environment(
        lambda mode: VECTOR[name](task, num_envs=3, autoreset_mode=mode, **arguments),
        lambda: SINGLE[name](task, **arguments),
        steps=10,
    )


def test_an_environment_is_pickled_whatever_its_observer_is_made_of(task: TuningTask) -> None:
    env = VECTOR[IDS[1]](task, num_envs=3, observation="test_loudest")
    env.reset(seed=0)
    copy = pickle.loads(pickle.dumps(env))
    action = env.action_space.sample()
    np.testing.assert_array_equal(env.step(action)[0], copy.step(action)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "test_hit"}, r"unknown reward 'test_hit'; did you mean 'test_hits'"),
        ({"reward": {"reward": "test_hits", "prise": 1}}, r"reward 'test_hits'.*did you mean 'price'"),
        ({"observation": "test_loud"}, r"unknown observation 'test_loud'; did you mean 'test_loudest'"),
        ({"observation": "zzz"}, r"unknown observation 'zzz'; known are .*scores.*test_loudest"),
    ],
)
@pytest.mark.parametrize("kinds", [SINGLE, VECTOR], ids=["single", "vector"])
def test_unknown_names_and_settings_get_a_suggestion(
    task: TuningTask, kinds: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        kinds[IDS[0]](task, **arguments)
