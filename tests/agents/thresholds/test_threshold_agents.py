"""What all agents that search thresholds of their own refuse, and never do."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from cases import small_simulation
from rl_postproc.agents import make_agent
from threshold_cases import THRESHOLD, Onward, random_tags, tag_task

from rl_postproc.formats.scores.tags import score_set_of_tags
from rl_postproc.metrics import EventBased, Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


def test_thresholds_need_a_stack_that_ends_with_one_of_each_class():
    scores, truth = random_tags(10, 2)
    stack = [{"stage": "threshold", "threshold": {"candidates": [0.2, 0.5], "default": 0.5, "scope": "global"}}]
    task = TuningTask.build(score_set_of_tags(scores, truth), stack, {"metric": "tagging"})
    for name in ("sgl_thresh", "exact_search", "heu_thresh", "num_thresh"):
        with pytest.raises(UserError, match=f"'{name}' learns one threshold a class"):
            make_agent(name).check(task)


@pytest.mark.parametrize("name", ["sgl_thresh", "exact_search", "heu_thresh", "num_thresh"])
def test_what_does_not_fit_is_said_before_any_work(name):
    class NoFastPath(EventBased):
        """For tests: a metric that cannot count all thresholds at once."""

        metric: Literal["test_no_fast_path"] = "test_no_fast_path"

        def prepare(self, scores):
            return None

    class NoMatches(Metric):
        """For tests: a metric without hits."""

        metric: Literal["test_no_matches"] = "test_no_matches"
        columns: ClassVar[tuple[str, ...]] = ("estimated",)

        def count(self, references, estimates):
            return {"estimated": estimates.counts()}

        def score(self, counts):
            return -counts["estimated"].double()

    scores, agent = small_simulation(n_clips=4), make_agent(name)
    agent.check(TuningTask.build(scores, THRESHOLD))
    for metric, reason in ((NoFastPath(), "at all thresholds"), (NoMatches(), "does not count true_positives")):
        with pytest.raises(UserError, match=reason):
            agent.check(TuningTask(scores, Stack.from_config(THRESHOLD), metric))
    with pytest.raises(UserError, match="a stack that ends with one"):
        agent.check(TuningTask(scores, Stack([*Stack.from_config(THRESHOLD).stages, Onward()]), EventBased()))


@pytest.mark.parametrize("name", ["default", "sgl_thresh", "exact_search", "heu_thresh", "num_thresh"])
def test_what_searches_thresholds_of_its_own_never_counts_the_table(name, monkeypatch):
    def refuse(*_):
        raise AssertionError("the table of all candidates was counted")

    monkeypatch.setattr("rl_postproc.task.sweep", refuse)
    task = tag_task(*random_tags())
    assert make_agent(name).fit(task, 0).post_processor.choose(task.scores).isfinite().all()
    with pytest.raises(AssertionError, match="was counted"):
        make_agent("grid_search").fit(task, 0)
