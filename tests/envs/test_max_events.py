"""The observation ``events`` with a fixed number of rows: one space for all clips, and which events it shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from env_cases import IDS, SINGLE, VECTOR
from event_agents import small_task
from rl_postproc.envs.evaluation import macro_f1_of, observe_all
from rl_postproc.envs.observations import Observation
from rl_postproc.envs.observations.events import FEATURE_BOUND, Events, most_votes

from rl_postproc.candidates.features import FeatureGrid, feature_names
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

FEW: dict[str, Any] = {"observation": "events", "max_events": 6}
VOTES = feature_names(FeatureGrid(1.0)).index("votes")


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


@pytest.mark.parametrize("name", IDS)
def test_the_space_is_the_same_for_other_clips_and_a_policy_runs_on_them(task: TuningTask, name: str) -> None:
    other = small_task(11, seed=5, clip_seconds=6.0)
    per_class = name == IDS[1]
    spaces = [SINGLE[name](each, observation=FEW).observation_space for each in (task, other)]
    assert spaces[0] == spaces[1] == VECTOR[name](other, 2, observation=FEW).single_observation_space
    assert SINGLE[name](task, observation="events").observation_space != spaces[0]
    from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
    from stable_baselines3 import PPO

    settings: dict[str, Any] = {"observation": FEW, "actions": "candidate"}
    env = SB3VecEnv(VECTOR[name](task, 8, **settings))
    model = PPO("MultiInputPolicy", env, n_steps=4, batch_size=16, n_epochs=1, device="cpu").learn(32)
    model.set_env(SB3VecEnv(VECTOR[name](other, 8, **settings)))
    seen = {part: rows.numpy() for part, rows in observe_all(other, FEW, per_class).items()}
    actions = torch.as_tensor(model.predict(seen, deterministic=True)[0])
    assert macro_f1_of(other, actions, per_class, form="candidate") >= 0


def test_the_events_with_the_most_votes_are_kept_in_their_order(task: TuningTask) -> None:
    seen, whole = observe_all(task, FEW), observe_all(task, "events")
    assert isinstance(seen, dict) and isinstance(whole, dict)
    n = torch.bincount(task.decoded.track, minlength=task.decoded.n_tracks)
    assert int((n > 6).sum()) > 10 and int((n < 6).sum()) > 0
    for track, count in enumerate(n.tolist()):
        votes = whole["features"][track, :count, VOTES].tolist()
        kept = sorted(sorted(range(count), key=lambda i: (-votes[i], i))[:6])
        for part in ("features", "levels"):
            assert torch.equal(seen[part][track, : len(kept)], whole[part][track, kept])
        assert seen["mask"][track].tolist() == [1] * len(kept) + [0] * (6 - len(kept))
        assert not seen["features"][track, len(kept) :].any() and not seen["levels"][track, len(kept) :].any()


def test_how_many_events_are_left_out_is_told(task: TuningTask) -> None:
    n = torch.bincount(task.decoded.track, minlength=task.decoded.n_tracks).reshape(task.scores.n_clips, -1)
    assert torch.equal(Events(max_events=6).left_out(task), (n - 6).clamp(min=0))
    assert not Events().left_out(task).any()
    assert int(Events(max_events=6).left_out(task).sum()) == len(task.decoded) - int(
        observe_all(task, FEW)["mask"].sum()
    )


def test_of_equal_votes_the_first_are_kept() -> None:
    track = torch.tensor([0, 0, 0, 2, 2, 2, 2])
    votes = torch.tensor([0.1, 0.3, 0.1, 0.2, 0.2, 0.5, 0.2])
    assert most_votes(track, votes, 2).tolist() == [0, 1, 3, 5]
    assert most_votes(track, votes, 9).tolist() == list(range(7))


def test_features_end_at_the_bound_and_those_of_clips_are_not_cut(task: TuningTask) -> None:
    features = task.event_features
    assert float(features.abs().max()) < FEATURE_BOUND / 100
    space = SINGLE[IDS[1]](task, observation=FEW).observation_space["features"]
    assert float(space.high.max()) == -float(space.low.min()) == FEATURE_BOUND
    longer = small_task(6)
    longer.__dict__["event_features"] = longer.event_features * 1e6
    env = VECTOR[IDS[1]](longer, 20, observation=FEW)
    observation, _ = env.reset(seed=0)
    assert float(abs(observation["features"]).max()) == FEATURE_BOUND
    assert env.observation_space.contains(observation)


def test_a_number_of_events_below_one_is_refused() -> None:
    with pytest.raises(UserError, match="max_events"):
        Observation.make({**FEW, "max_events": 0})
