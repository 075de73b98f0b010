"""PPO as an agent: its two environments, its rewards at equal steps, validation, early stop and fallback."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from event_agents import AGENTS, agent, small_task
from plugin_cases import Onsets
from rl_postproc.agents import make_agent
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark
from rl_postproc.envs import PostProcessingVectorEnv
from rl_postproc.envs.evaluation import set_aside

from rl_postproc.config import load_config
from rl_postproc.metrics.certify import evaluate
from rl_postproc.pipeline.policy import Constant
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
REWARDS = ("linearised_f1", "clip_f1", "episode_f1")


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


def n_items(task: TuningTask, environment: str) -> int:
    """Number of clips and classes, or of clips, for which some candidate decodes something."""
    decided = task.table.decides()
    assert not bool(decided.any(1).all())
    return int((decided.any(1) if environment == "joint" else decided).sum())


@pytest.mark.parametrize("environment", ["per_class", "joint"])
@pytest.mark.parametrize("reward", REWARDS)
def test_every_ablation_takes_the_same_number_of_decisions(task: TuningTask, environment: str, reward: str) -> None:
    fit = agent("tracks", environment=environment, reward=reward, visits=8).fit(task, 0)
    decisions = n_items(task, environment) * (3 if environment == "joint" else 1)
    assert [row["steps"] for row in fit.curve] == [8 * decisions * i for i in range(5)]
    assert fit.evaluations == 4 * 8 * decisions // 3
    report = evaluate(task.scores.require_references(), fit.post_processor.apply(task.scores), task.metric)
    # Nothing is chosen by the training clips: the last policy is kept.
    assert report.score.macro == pytest.approx(fit.curve[-1]["train_macro_f1"], abs=1e-9)


@pytest.mark.parametrize("environment", ["per_class", "joint"])
def test_with_episode_f1_every_rollout_is_paid_at_the_end_of_its_passes(
    task: TuningTask, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, paid = PostProcessingVectorEnv.step, []

    def watching(self: Any, actions: Any) -> Any:
        result = step(self, actions)
        paid.append((result[1] != 0).tolist())
        return result

    monkeypatch.setattr(PostProcessingVectorEnv, "step", watching)
    agent("tracks", environment=environment, reward="episode_f1", visits=2).fit(task, 0)
    per_pass = n_items(task, environment)
    assert len(paid) == 4 * per_pass
    when = [i for i, rewards in enumerate(paid) if any(rewards)]
    assert set(when) <= {n * per_pass - 1 for n in range(1, 5)} and when


@pytest.mark.parametrize("environment", ["per_class", "joint"])
def test_the_plain_policy_learns_from_the_linearised_reward(environment: str) -> None:
    settings = {"rollouts": 15, "visits": 16, "batch_size": 240, "learning_rate": 1e-2, "hidden": 32}
    task = small_task(40)
    fit = agent("tracks", environment=environment, **settings).fit(task, 0)
    figures = [row["train_macro_f1"] for row in fit.curve]
    assert figures[-1] > figures[0] + 0.02
    assert figures[-1] > 0.95 * task.table.score(task.best_constants).macro


def test_training_warns_of_nothing(task: TuningTask) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for name in ("events", "tracks", "joint"):
            agent(name, rollouts=2, batch_size=47).fit(task, 0)
        agent("joint", reward="episode_f1", rollouts=1).fit(small_task(2), 0)


def test_held_out_figures_are_those_of_clips_that_are_not_learned_from(task: TuningTask) -> None:
    settings = {"learning_rate": 1e-2, "rollouts": 8, "visits": 16}
    fit = agent("tracks", validation=0.35, refit=False, fallback=False, **settings).fit(task, 0)
    train, unseen = set_aside(task, 0.35, 0)
    assert unseen.scores.n_clips == round(0.35 * 24)
    held = [row["held_out_macro_f1"] for row in fit.curve]
    assert len(set(held)) > 1
    report = evaluate(unseen.scores.require_references(), fit.post_processor.apply(unseen.scores), task.metric)
    # The best policy on them is the one that is kept.
    assert report.score.macro == pytest.approx(max(held), abs=1e-9)
    kept = fit.curve[held.index(max(held))]
    report = evaluate(train.scores.require_references(), fit.post_processor.apply(train.scores), task.metric)
    assert report.score.macro == pytest.approx(kept["train_macro_f1"], abs=1e-9)


@pytest.mark.parametrize("name", ["events", "tracks", "joint"])
def test_training_stops_when_the_held_out_figure_stalls(task: TuningTask, name: str) -> None:
    settings = {"validation": 0.25, "rollouts": 100, "fallback": False, "refit": False}
    patient = agent(name, **settings, members=1, patience=3).fit(task, 0)
    held = [row["held_out_macro_f1"] for row in patient.curve]
    assert len(patient.curve) < 100
    assert max(held[-3:]) <= max(held[:-3])
    assert all(max(held[i - 2 : i + 1]) > max(held[: i - 2]) for i in range(3, len(held) - 1))


@pytest.mark.parametrize(("name", "seed"), [("events", 0), ("tracks", 1)])
def test_when_the_best_number_of_rollouts_is_known_all_clips_are_learned_from(
    task: TuningTask, name: str, seed: int
) -> None:
    settings = {"validation": 0.25, "rollouts": 8, "members": 1, "learning_rate": 1e-2, "fallback": False}
    watched = agent(name, **settings, refit=False).fit(task, seed)
    held = [row["held_out_macro_f1"] for row in watched.curve]
    best = held.index(max(held))  # the first row is of no rollout
    assert 0 < best < 8  # or the seed shows nothing
    again = agent(name, **settings).fit(task, seed)
    assert again.curve[:9] == watched.curve
    assert len(again.curve) == 9 + best + 1
    whole = agent(name, **{**settings, "validation": 0.0}).fit(task, seed)
    assert again.curve[9:] == whole.curve[: best + 1]


def test_one_visit_to_an_item_learns_against_the_mean_of_its_class(task: TuningTask) -> None:
    for name in ("events", "tracks", "joint"):
        curve = agent(name, visits=1, rollouts=24, members=1, learning_rate=1e-2).fit(task, 0).curve
        assert curve[-1]["train_macro_f1"] > curve[0]["train_macro_f1"]


def test_constants_are_kept_where_they_do_better_on_the_clips_set_aside() -> None:
    outcomes = set()
    for seed in range(6):
        task = small_task(24, seed)
        settings = {"validation": 0.25, "learning_rate": 1e-2, "rollouts": 8, "refit": False}
        fit = agent("tracks", **settings, fallback=True).fit(task, seed)
        train, unseen = set_aside(task, 0.25, seed)
        wins = fit.curve[-1]["held_out_macro_f1"] < unseen.table.score(train.best_constants).macro
        outcomes.add(wins)
        assert isinstance(fit.post_processor.policy, Constant) is wins
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", ["tracks", "joint"])
def test_the_plain_policy_learns_with_a_metric_of_ones_own(task: TuningTask, name: str) -> None:
    own = TuningTask(task.scores, task.stack, Onsets())
    settings = {"validation": 0.25, "rollouts": 6, "visits": 16, "learning_rate": 1e-2}
    fit = agent(name, **settings, fallback=False, refit=False).fit(own, 0)
    assert fit.curve[-1]["train_macro_onset_f1"] > fit.curve[0]["train_macro_onset_f1"]
    assert all("held_out_macro_onset_f1" in row for row in fit.curve)


def test_settings_that_do_not_go_together_are_refused(task: TuningTask) -> None:
    with pytest.raises(UserError, match=r"'environment: joint' needs 'policy: tracks'"):
        make_agent({"agent": "ppo", "environment": "joint"})
    with pytest.raises(UserError, match=r"'patience' needs clips to watch; set 'validation'"):
        make_agent({"agent": "ppo", "patience": 3})
    with pytest.raises(UserError, match=r"'start: value' gives values to events and needs 'policy: event_features'"):
        make_agent({"agent": "ppo", "start": "value"})
    with pytest.raises(UserError, match=r"'members' averages values of events"):
        make_agent({"agent": "ppo", "policy": "tracks", "members": 2})
    with pytest.raises(UserError, match=r"leaves no clips"):
        agent("tracks", validation=0.2).fit(small_task(1), 0)
    shared = small_task(8, stack=[{"stage": "threshold", "threshold": {"candidates": [0.2, 0.5], "scope": "global"}}])
    with pytest.raises(UserError, match=r"scope is global"):
        agent("joint").fit(shared, 0)


def quickened(item: str | dict[str, Any]) -> dict[str, Any]:
    """Returns an agent of a config with its name, and small values of the settings that make it slow."""
    own = {"agent": item} if isinstance(item, str) else dict(item)
    if own["agent"] == "tuned":
        of = {key: value for key, value in quickened(own["of"]).items() if key != "name"}
        return {**own, "of": of, "trials": 2}
    small = {
        "ppo": {**AGENTS["features_on_values"], "policy": "events", "start": "nothing"},
        "exact_gradient": AGENTS["exact"],
        "event_value": AGENTS["boosted"],
        "event_set": AGENTS["set"],
    }.get(own["agent"], {})
    least = {"ppo": {"rollouts": 2, "visits": min(own.get("visits", 4), 4)}, "exact_gradient": {"epochs": 2}}
    return {**small, **own, **least.get(own["agent"], {}), "name": own.get("name", own["agent"])}


@pytest.mark.parametrize(
    "name", ["desed_policies.yaml", "desed_sets.yaml", "desed_curves.yaml", "desed_ablations.yaml"]
)
def test_the_published_configs_run_on_a_small_simulated_set(name: str, tmp_path: Path) -> None:
    config = load_config(BenchmarkConfig, ROOT / "configs" / name)
    agents = [quickened(item) for item in config.agents]
    scores = small_task(24).scores
    settings = {"agents": agents, "folds": 2, "stack": small_task(2).stack.to_config()}
    told: list[float] = []
    results = run_benchmark(build(BenchmarkConfig, settings, name), scores, tmp_path, lambda _, f, __: told.append(f))
    assert {row["agent"] for row in results["rows"]} == {item["name"] for item in agents}
    assert all(row["certified_by"].startswith("sed_eval") for row in results["rows"])
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert told[-1] == 1.0
