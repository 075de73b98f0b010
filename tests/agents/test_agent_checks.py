"""Agents say before any work, and in one sentence, what does not fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import make_set, small_simulation
from event_agents import AGENTS, STACK
from plugin_cases import Onsets, Pooled, Shortest
from rl_postproc.agents import Agent, make_agent
from rl_postproc.agents.benchmark import fold_tasks
from rl_postproc.agents.benchmark import run as benchmark
from rl_postproc.agents.benchmark.config import BenchmarkConfig

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Metric, Tagging
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError

THRESHOLD = STACK[1]
SHARED = [{"stage": "median", "kernel": {"candidates": [0, 0.3, 0.9], "scope": "global"}}, THRESHOLD]
SHARED_THRESHOLD = [STACK[0], {"stage": "threshold", "threshold": {"candidates": [0.1, 0.5], "scope": "global"}}]
OWN = (name for name, kind in Agent.types().items() if kind.__module__.startswith("rl_postproc."))
NAMES = sorted(set(OWN) - {"ray_tune"})  # which starts Ray; it has tests of its own
EVENTS = ("boosted", "network", "exact", "events", "features", "features_on_network", "features_from_constants")
PER_CLASS = (*EVENTS, "tracks", "joint", "vpg_paper")


def settings(name: str) -> dict[str, Any]:
    return AGENTS.get(name, {"agent": name})


def untouched(
    stack: list | Stack = STACK, metric: Metric | None = None, scores: ScoreSet | None = None, objective: Any = None
) -> TuningTask:
    """A task on which any work is a failure."""

    def refuse() -> Any:
        pytest.fail("the table was counted")

    scores = small_simulation(12, 3) if scores is None else scores
    stack = stack if isinstance(stack, Stack) else Stack.from_config(stack)
    return TuningTask(scores, stack, EventBased() if metric is None else metric, refuse, objective)


def assert_refused(agent: Agent, task: TuningTask, message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        agent.check(task)
    sentence = str(refusal.value)
    assert sentence.endswith(".") and "\n" not in sentence and not re.search(r"\. ", sentence), sentence
    assert "decoded" not in task.__dict__


@pytest.mark.parametrize("name", [*NAMES, *AGENTS])
def test_what_fits_is_checked_without_any_work(name: str) -> None:
    task = untouched(Stack.default() if name == "universal" else STACK)
    make_agent(settings(name)).check(task)
    assert "decoded" not in task.__dict__


@pytest.mark.parametrize("name", EVENTS)
def test_event_policies_refuse_what_has_no_events_to_judge(name: str) -> None:
    agent = make_agent(settings(name))
    assert_refused(agent, untouched(metric=Tagging()), r"metric 'tagging'.*use the metric event_based")
    assert_refused(agent, untouched(metric=Onsets()), r"metric 'test_onsets'.*use the metric event_based")
    tags = make_set(torch.rand(12, 2, 1), [("c0", 0.0, 0.1, "k0")])
    assert_refused(agent, untouched(scores=tags), "clips have one frame each")
    boxes = Stack([*Stack.from_config([THRESHOLD]).stages, Shortest()])
    assert_refused(
        agent, untouched(boxes), "the stack places events between them; leave out stages that move boundaries"
    )


@pytest.mark.parametrize("name", PER_CLASS)
@pytest.mark.parametrize("stack", [SHARED, SHARED_THRESHOLD], ids=["kernel", "threshold"])
def test_agents_that_treat_each_class_by_itself_refuse_parameters_of_all(name: str, stack: list) -> None:
    agent = make_agent(settings(name))
    shared = "median.kernel" if stack is SHARED else "threshold.threshold"
    assert_refused(
        agent, untouched(stack), rf"'{agent.name}' .* scope of '{re.escape(shared)}' is global; .*grid_search"
    )
    # One value is no choice, so that nothing is shared.
    fixed = [{"stage": "median", "kernel": {"candidates": [0.3], "scope": "global"}}, THRESHOLD]
    agent.check(untouched(fixed))


@pytest.mark.parametrize(
    ("name", "more", "task", "message"),
    [
        ("grid_search", {}, {"objective": Pooled()}, r"objective 'test_pooled' does not split.*scope: global"),
        ("vpg_paper", {}, {"stack": [{"stage": "test_hysteresis"}]}, r"stage threshold"),
        ("exact_search", {}, {"metric": Onsets()}, r"'exact_search'.*'test_onsets'"),
        ("exact_search", {}, {"stack": [THRESHOLD, {"stage": "test_erosion"}]}, r"ends with"),
    ],
)
def test_others_refuse_what_they_cannot_do(name: str, more: dict, task: dict[str, Any], message: str) -> None:
    assert_refused(make_agent({**settings(name), **more}), untouched(**task), message)


def test_a_global_search_takes_an_objective_that_does_not_split() -> None:
    make_agent({"agent": "grid_search", "scope": "global"}).check(untouched(objective=Pooled()))


def test_a_search_of_an_objective_that_does_not_split_maximises_it() -> None:
    scores = small_simulation(20, 3)
    task = TuningTask(scores, Stack.from_config(STACK), EventBased(), objective=Pooled())
    fit = make_agent({"agent": "random_search", "trials": 60}).fit(task, 0)
    draws = torch.rand(60, 6, generator=torch.Generator().manual_seed(0))
    choices = task.stack.space.candidate((draws * torch.tensor([3, 5] * 3)).long().reshape(60, 3, 2))
    best = max(task.table.score(choice).micro for choice in choices)
    found = EventBased().count(scores.require_references(), fit.post_processor.apply(scores))
    assert EventBased().summarise({name: x.sum(0) for name, x in found.items()}).micro == pytest.approx(best, abs=1e-12)
    assert fit.curve[-1]["train_test_pooled_f1"] == pytest.approx(best, abs=1e-12)


def test_a_benchmark_checks_every_agent_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_tasks, "run_fold", lambda *_: pytest.fail("a fold was run"))
    monkeypatch.setattr(TuningTask, "table", property(lambda _: pytest.fail("the table was counted")))
    values = {"agents": ["default", "grid_search", AGENTS["boosted"]], "stack": SHARED, "folds": 2}
    told: list[str] = []
    with pytest.raises(UserError, match=r"'event_value' .* scope of 'median\.kernel' is global"):
        benchmark.run_benchmark(
            build(BenchmarkConfig, values, "test"),
            small_simulation(12, 3),
            tmp_path / "out",
            lambda *x: told.append(x[0]),
            strict=True,
        )
    assert not told and not (tmp_path / "out").exists()
