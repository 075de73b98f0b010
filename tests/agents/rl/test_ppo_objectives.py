"""PPO and grid search with objectives and metrics of their own: what they maximise is what is asked for."""

from __future__ import annotations

import pytest
import torch
from event_agents import agent, small_task
from plugin_cases import Onsets
from rl_postproc.agents import make_agent

from rl_postproc.metrics import F1AtPrecision, Macro, Micro, Objective, total_counts
from rl_postproc.metrics.base import floating
from rl_postproc.task import TuningTask

LONGER = {"rollouts": 6, "visits": 16, "learning_rate": 1e-2, "fallback": False}


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return small_task()


@pytest.fixture(scope="module")
def easy() -> TuningTask:
    """Clips on which a high precision can be had."""
    return small_task(60, difficulty=0.15)


def reached(task: TuningTask, settings: object) -> tuple[list, float, dict[str, torch.Tensor]]:
    """Returns the curve of a fit, and the objective and counts of what it detects on the clips that it was tuned on."""
    fit = (agent(settings, **LONGER) if settings == "tracks" else make_agent(settings)).fit(task, 0)
    counts = total_counts(task.metric.count(task.scores.require_references(), fit.post_processor.apply(task.scores)))
    return fit.curve, float(task.objective.value(task.metric, floating(counts))), counts


@pytest.mark.parametrize("objective", [Macro(), Micro()], ids=str)
def test_a_metric_with_other_columns_is_reward_of_ppo_and_aim_of_grid_search(
    task: TuningTask, objective: Objective
) -> None:
    own = TuningTask(task.scores, task.stack, Onsets(), objective=objective)
    name = f"train_{objective.called(own.metric)}"
    curve, value, _ = reached(own, "tracks")
    assert name == f"train_{objective.name}_onset_f1"
    assert curve[-1][name] == pytest.approx(value, abs=1e-9)
    assert value > curve[0][name]
    _, best, _ = reached(own, {"agent": "grid_search", "selection": "maximum"})
    _, drawn, _ = reached(own, {"agent": "random_search", "trials": 30})
    assert best >= drawn


def precision(counts: dict[str, torch.Tensor]) -> float:
    return float(counts["true_positives"].sum() / counts["estimated"].sum())


@pytest.mark.parametrize("name", ["boosted", "set", "exact", "features_on_values"])
def test_agents_of_events_follow_a_minimum_precision(easy: TuningTask, name: str) -> None:
    found = []
    for objective in (Macro(), F1AtPrecision(precision=0.9)):
        fit = agent(name).fit(easy.with_objective(objective), 0)
        events = fit.post_processor.apply(easy.scores)
        found.append(precision(total_counts(easy.metric.count(easy.scores.require_references(), events))))
    assert found[1] > found[0] + 0.02, found
