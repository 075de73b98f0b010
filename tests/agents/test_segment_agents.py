"""Every agent rewarded by segments: it works, and its counts are those of its events, or it says before any work why not."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation
from event_agents import AGENTS, STACK
from rl_postproc.agents import Agent, make_agent
from rl_postproc.agents.base import check_agent

from rl_postproc.metrics.certify import evaluate
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

OWN = (name for name, kind in Agent.types().items() if kind.__module__.startswith("rl_postproc."))
NAMES = sorted(set(OWN) - {"ray_tune"})  # which starts Ray; it has tests of its own
QUICK = {"trials": 5, "passes": 2, "hidden": 8, "iterations": 3, "rounds": 3}
JUDGE_EVENTS = ("event_value", "event_set", "exact_gradient", "universal")


@pytest.mark.parametrize("name", sorted({*NAMES, *AGENTS} - {"tuned"}))
def test_an_agent_is_rewarded_by_segments_or_says_why_not(name: str) -> None:
    if name in AGENTS:
        values = {**AGENTS[name], **({"rollouts": 1} if "rollouts" in AGENTS[name] else {})}
    else:
        fields = Agent.types()[name].model_fields
        values = {"agent": name, **{key: value for key, value in QUICK.items() if key in fields}}
    try:
        agent = make_agent(values)
    except UserError as error:
        pytest.skip(str(error))  # an optional package is missing
    scores = small_simulation(16, 3, short=0.5)
    task = TuningTask.build(scores, STACK, {"metric": "segment_based"})
    try:
        check_agent(agent, task)
    except UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error) and "'segment_based'" in str(error)
        return
    assert agent.name not in JUDGE_EVENTS
    fit = agent.fit(task, 0)
    events = fit.post_processor.apply(scores)
    report = evaluate(scores.require_references(), events, task.metric)
    assert report.certified_by.startswith("sed_eval")
    assert 0 < report.score.macro <= 1
    assert torch.isfinite(report.score.by_class[report.counts["reference"] > 0]).all()
