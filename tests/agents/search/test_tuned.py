"""Settings chosen on inner held-out clips: the best trial wins, no trial sees the clips that judge it, budgets are kept."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest
import torch
from cases import small_simulation
from plugin_cases import Pooled
from rl_postproc.agents import Agent, FitResult, make_agent
from rl_postproc.agents.base import ProgressCallback, constant_fit, silent
from rl_postproc.agents.testing import check_agent
from rl_postproc.envs.evaluation import set_aside

from rl_postproc import tune
from rl_postproc.metrics.certify import evaluate
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [
    {"stage": "median", "kernel": [0.0, 0.3]},
    {"stage": "threshold", "threshold": {"low": 0.1, "high": 0.9, "count": 9, "default": 0.5}},
]


class Fixed(Agent):
    """A threshold that its settings name, and a record of the clips that it was fitted on."""

    agent: Literal["test_fixed"] = "test_fixed"
    threshold: float = 0.9
    style: Literal["plain", "fancy"] = "plain"
    cost: int = 1
    seen: ClassVar[list[tuple[float, tuple[str, ...], int]]] = []

    def check(self, task: TuningTask) -> None:
        if self.cost > 10:
            raise UserError("This costs too much; pay less.")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        self.seen.append((self.threshold, task.scores.clip_ids, seed))
        report(1.0, {"cost": float(self.cost)})
        return constant_fit(task, torch.tensor([0.0, self.threshold]), self.cost * task.scores.n_clips)


@pytest.fixture(scope="module")
def task() -> TuningTask:
    return TuningTask.build(small_simulation(n_clips=24), STACK)


def tuned(**settings) -> Agent:
    values = {"of": {"agent": "test_fixed"}, "choices": {"threshold": [0.9, 0.7, 0.4]}, "trials": 3}
    return make_agent({"agent": "tuned", **values, **settings})


def test_the_setting_that_is_best_on_unseen_clips_is_fitted_on_all(task: TuningTask) -> None:
    Fixed.seen.clear()
    fit = tuned().fit(task, 5)
    train, held = set_aside(task, 0.25, 5)
    references = held.scores.require_references()
    expected = {}
    for threshold in (0.9, 0.7, 0.4):
        events = task.stack.events(held.scores, torch.tensor([0.0, threshold]))
        expected[threshold] = evaluate(references, events, task.metric).score.macro  # sed_eval agrees, or it raises
    *trials, chosen = fit.curve
    assert {row["threshold"]: row["inner_macro_f1"] for row in trials} == pytest.approx(expected)
    assert [row["trial"] for row in trials] == [1, 2, 3] and trials[0]["threshold"] == 0.9
    best = max(expected, key=lambda threshold: expected[threshold])
    assert best != 0.9 and expected[best] > expected[0.9] + 0.05
    assert chosen["threshold"] == best and trials[int(chosen["chosen_trial"]) - 1]["threshold"] == best
    assert [clips for _, clips, _ in Fixed.seen] == [train.scores.clip_ids] * 3 + [task.scores.clip_ids]
    assert Fixed.seen[-1][0] == best and {seed for *_, seed in Fixed.seen} == {5}
    assert not set(train.scores.clip_ids) & set(held.scores.clip_ids)
    values = fit.post_processor.choose(task.scores)
    assert torch.equal(values, torch.tensor([0.0, best]).expand(values.shape))


def test_evaluations_of_all_trials_and_of_the_last_fit_count(task: TuningTask) -> None:
    fit = tuned(choices={"cost": [2, 4]}).fit(task, 0)
    # Every trial scores the same, so that the first one is kept.
    assert fit.evaluations == (1 + 2 + 4) * 18 + 1 * 24
    assert fit.curve[-1]["chosen_trial"] == 1


def test_trials_differ_and_seeds_draw_others(task: TuningTask) -> None:
    choices = {"threshold": [0.9, 0.7, 0.5, 0.3], "cost": [1, 2, 3]}
    drawn = {}
    for seed in (0, 0, 1):
        rows = tuned(choices=choices, trials=5).fit(task, seed).curve[:-1]
        pairs = [(row["threshold"], row["cost"]) for row in rows]
        assert pairs[0] == (0.9, 1.0) and len(set(pairs)) == 5
        assert drawn.setdefault(seed, pairs) == pairs
    assert drawn[0] != drawn[1]


def test_where_there_are_fewer_combinations_than_trials_all_are_tried(task: TuningTask) -> None:
    rows = tuned(choices={"threshold": [0.9, 0.9, 0.4]}, trials=50).fit(task, 0).curve[:-1]
    assert [row["threshold"] for row in rows] == [0.9, 0.4]


def test_settings_without_a_number_are_told_by_their_place(task: TuningTask) -> None:
    rows = tuned(choices={"style": ["fancy"]}).fit(task, 0).curve[:-1]
    assert [row["style"] for row in rows] == [-1, 0]


def test_the_objective_of_the_task_decides(task: TuningTask) -> None:
    other = TuningTask(task.scores, task.stack, task.metric, objective=Pooled())
    rows = tuned().fit(other, 0).curve[:-1]
    _, held = set_aside(task, 0.25, 0)
    for row in rows:
        events = task.stack.events(held.scores, torch.tensor([0.0, row["threshold"]]))
        micro = evaluate(held.scores.require_references(), events, task.metric).score.micro
        assert row["inner_test_pooled_f1"] == pytest.approx(micro)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"choices": {"treshold": [0.1]}}, r"agent 'test_fixed': unknown key 'treshold'.*did you mean 'threshold'"),
        ({"choices": {"threshold": [0.1, "high"]}}, r"agent 'test_fixed': 'threshold' is 'high'"),
        ({"choices": {"threshold": []}}, r"the choices of 'threshold' are empty"),
        ({"of": {"agent": "test_fixd"}}, r"unknown agent 'test_fixd'"),
        ({"choices": {"threshold": [0.5] * 200, "cost": list(range(60))}}, r"12000 combinations"),
    ],
)
def test_choices_that_cannot_be_built_are_refused_in_one_sentence(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        tuned(**settings)
    assert "\n" not in str(refusal.value)


def test_a_combination_that_does_not_fit_the_task_is_refused_before_any_work(task: TuningTask) -> None:
    Fixed.seen.clear()
    tuned(choices={"cost": [1, 10]}).check(task)
    with pytest.raises(UserError, match="This costs too much"):
        tuned(choices={"cost": [1, 11]}).check(task)
    assert not Fixed.seen


def test_it_is_an_agent_like_any_other() -> None:
    check_agent({"agent": "tuned", "trials": 3})


def test_a_saved_post_processor_tells_what_was_chosen(task: TuningTask, tmp_path: Path) -> None:
    values = {"of": {"agent": "test_fixed"}, "choices": {"threshold": [0.9, 0.4]}}
    best = tune(task, "tuned", **values)
    best.save(tmp_path)
    about = PostProcessor.load(tmp_path).about
    assert about["chosen"] == {"agent": "test_fixed", "threshold": 0.4, "style": "plain", "cost": 1}
    assert about["trial"] == 2
    assert about["agent"]["agent"] == "tuned" and about["n_clips"] == 24
