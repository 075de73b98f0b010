"""PPO as an agent: its two environments, its rewards at equal steps, validation, early stop and fallback."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from event_agents import AGENTS, agent, small_task
from rl_postproc.agents import make_agent
from rl_postproc.agents.benchmark.config import BenchmarkConfig
from rl_postproc.agents.benchmark.run import run_benchmark
from rl_postproc.agents.rl.track_policy import TrackActorCritic, track_policy_arguments
from rl_postproc.envs import PostProcessingPerClassVectorEnv, PostProcessingVectorEnv
from rl_postproc.envs.adapters.stable_baselines3 import SB3VecEnv
from rl_postproc.envs.evaluation import hold_out, observe_all

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


def test_both_environments_show_the_same_network_the_same_tracks(task: TuningTask) -> None:
    n_clips, n_classes = task.scores.n_clips, task.scores.n_classes
    policies: list[Any] = []
    for kind in (PostProcessingPerClassVectorEnv, PostProcessingVectorEnv):
        env = SB3VecEnv(kind(task, 4, observation="dict"))
        arguments = track_policy_arguments(task, 4, 8)
        policies.append(TrackActorCritic(env.observation_space, env.action_space, lambda _: 1e-3, **arguments))
    single, joint = policies
    joint.load_state_dict(single.state_dict())
    with torch.no_grad():
        alone = single.extract_features(observe_all(task, "dict", True))
        together = joint.extract_features(observe_all(task, "dict", False))
    n_logits = sum(task.action_sizes(per_class=True))
    logits = alone[:, :-1].reshape(n_clips, n_classes * n_logits)
    assert together.shape == (n_clips, n_classes * n_logits + 1)
    assert torch.allclose(together[:, :-1], logits, atol=1e-5)
    assert torch.allclose(together[:, -1], alone[:, -1].reshape(n_clips, n_classes).sum(1), atol=1e-5)
    # One choice for each parameter of each class, with the probability that the classes give one by one.
    actions, values, log_probability = joint(observe_all(task, "dict", False))
    own = single.evaluate_actions(observe_all(task, "dict", True), actions.reshape(n_clips * n_classes, -1))
    assert torch.allclose(log_probability, own[1].reshape(n_clips, n_classes).sum(1), atol=1e-4)
    assert torch.allclose(values[:, 0], own[0].reshape(n_clips, n_classes).sum(1), atol=1e-5)


def test_the_plain_policy_trains_all_of_its_weights(task: TuningTask) -> None:
    env = SB3VecEnv(PostProcessingVectorEnv(task, 4, observation="dict"))
    policy: Any = TrackActorCritic(
        env.observation_space, env.action_space, lambda _: 1e-3, **track_policy_arguments(task, 4, 8)
    )
    observation = observe_all(task, "dict", False)
    values, log_probability, entropy = policy.evaluate_actions(observation, policy(observation)[0])
    (values.sum() + log_probability.sum() + entropy.sum()).backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in policy.parameters())
    trained = {id(p) for group in policy.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in policy.parameters()}


@pytest.mark.parametrize("environment", ["per_class", "joint"])
@pytest.mark.parametrize("reward", REWARDS)
def test_every_ablation_takes_the_same_number_of_decisions(task: TuningTask, environment: str, reward: str) -> None:
    # 24 clips of 3 classes, so that a pass is 72 decisions in either environment
    settings = {"steps": 2304, "num_envs": 72, "rollout": 4, "batch_size": 144}
    fit = agent("tracks", environment=environment, reward=reward, start="nothing", **settings).fit(task, 0)
    steps = [row["steps"] for row in fit.curve]
    assert steps[-1] == 2304
    assert fit.evaluations == 2304 // 3
    assert steps[:2] == [0, 2304 / 16 if reward == "episode_f1" else 288]
    report = evaluate(task.scores.require_references(), fit.post_processor.apply(task.scores), task.metric)
    # The best policy on the training clips, the one at the start included, is the one that is kept.
    assert report.score.macro == pytest.approx(max(row["train_macro_f1"] for row in fit.curve), abs=1e-9)


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
    agent("tracks", environment=environment, reward="episode_f1", start="nothing", steps=72 * 4).fit(task, 0)
    per_pass = 24 if environment == "joint" else 72
    assert len(paid) == 4 * per_pass
    when = [i for i, rewards in enumerate(paid) if any(rewards)]
    assert set(when) <= {n * per_pass - 1 for n in range(1, 5)} and when


@pytest.mark.parametrize("environment", ["per_class", "joint"])
def test_the_plain_policy_learns_from_the_linearised_reward(environment: str) -> None:
    settings = {"steps": 30000, "num_envs": 120, "batch_size": 240, "learning_rate": 1e-2, "start": "nothing"}
    task = small_task(40)
    fit = agent("tracks", environment=environment, **settings).fit(task, 0)
    figures = [row["train_macro_f1"] for row in fit.curve]
    assert figures[-1] > figures[0] + 0.02
    assert figures[-1] > 0.95 * task.table.score(task.best_constants).macro


def test_training_warns_of_nothing(task: TuningTask) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for name in ("events", "tracks", "joint"):
            agent(name, steps=300, num_envs=50, batch_size=47).fit(task, 0)
        agent("joint", reward="episode_f1", steps=10).fit(small_task(2), 0)


def test_held_out_figures_are_those_of_clips_that_are_not_learned_from(task: TuningTask) -> None:
    settings = {"start": "nothing", "learning_rate": 1e-2, "steps": 4096}
    fit = agent("tracks", validation=0.25, fallback=False, **settings).fit(task, 0)
    train, unseen = hold_out(task, 0, 4)
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
    settings = {"validation": 0.25, "steps": 51200, "fallback": False}
    patient = agent(name, **settings, patience=3).fit(task, 0)
    held = [row["held_out_macro_f1"] for row in patient.curve]
    assert patient.curve[-1]["steps"] < 51200
    assert max(held[-3:]) <= max(held[:-3])
    assert all(max(held[i - 2 : i + 1]) > max(held[: i - 2]) for i in range(3, len(held) - 1))


def test_constants_are_kept_where_they_do_better_on_the_clips_set_aside() -> None:
    outcomes = set()
    for seed in range(6):
        task = small_task(24, seed)
        settings = {"validation": 0.25, "steps": 2048, "start": "nothing"}
        fit = agent("tracks", **settings, fallback=True).fit(task, 0)
        train, unseen = hold_out(task, 0, 4)
        wins = max(row["held_out_macro_f1"] for row in fit.curve) < unseen.table.score(train.best_constants).macro
        outcomes.add(wins)
        assert isinstance(fit.post_processor.policy, Constant) is wins
    assert outcomes == {True, False}


def test_settings_that_do_not_go_together_are_refused(task: TuningTask) -> None:
    with pytest.raises(UserError, match=r"'environment: joint' needs 'policy: tracks'"):
        make_agent({"agent": "ppo", "environment": "joint"})
    with pytest.raises(UserError, match=r"'patience' needs clips to watch; set 'validation'"):
        make_agent({"agent": "ppo", "patience": 3})
    with pytest.raises(UserError, match=r"at least 3 hidden units"):
        agent("tracks", hidden=2).fit(task, 0)
    with pytest.raises(UserError, match=r"leaves no clips"):
        agent("tracks", validation=0.2).fit(small_task(1), 0)
    shared = small_task(8, stack=[{"stage": "threshold", "threshold": {"candidates": [0.2, 0.5], "scope": "global"}}])
    with pytest.raises(UserError, match=r"scope is global"):
        agent("joint").fit(shared, 0)


@pytest.mark.parametrize("name", ["desed_policies.yaml", "desed_ablations.yaml"])
def test_the_published_configs_run_on_a_small_simulated_set(name: str, tmp_path: Path) -> None:
    config = load_config(BenchmarkConfig, ROOT / "configs" / name)
    quick = {**AGENTS["events"], "steps": 720, "num_envs": 72}
    agents = []
    for item in config.agents:
        own = {"agent": item} if isinstance(item, str) else dict(item)
        few = quick if own["agent"] == "ppo" else AGENTS["exact"] if own["agent"] == "exact_gradient" else {}
        few = AGENTS["boosted"] if own["agent"] == "event_value" else few
        agents.append(
            {**few, **own, **({"steps": 720} if "steps" in own else {}), "name": own.get("name", own["agent"])}
        )
    scores = small_task(24).scores
    settings = {"agents": agents, "folds": 2, "stack": small_task(2).stack.to_config()}
    told: list[float] = []
    results = run_benchmark(build(BenchmarkConfig, settings, name), scores, tmp_path, lambda _, f, __: told.append(f))
    assert {row["agent"] for row in results["rows"]} == {item["name"] for item in agents}
    assert all(row["certified_by"].startswith("sed_eval") for row in results["rows"])
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert told[-1] == 1.0
