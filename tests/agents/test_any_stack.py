"""Every agent on stacks of every kind: it works, and what it saves applies alike, or it says before any work why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import small_simulation
from event_agents import AGENTS
from rl_postproc.agents import Agent, make_agent
from rl_postproc.agents.base import check_agent
from rl_postproc.envs import PostProcessingEnv, PostProcessingPerClassEnv

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

BOXES = [{"stage": "boxes", "window": [0.2, 0.5]}, {"stage": "confidence", "threshold": [0.1, 0.3, 0.5, 0.7]}]
HYSTERESIS = [
    {"stage": "median", "kernel": [0, 0.3]},
    {"stage": "hysteresis", "onset": [0.4, 0.7], "offset": {"candidates": [0.1, 0.3], "default": 0.1}},
]
STACKS: dict[str, list[dict[str, Any]]] = {
    "boxes": BOXES,
    "hysteresis": HYSTERESIS,
    "events": [
        {"stage": "threshold", "threshold": [0.3, 0.6]},
        {"stage": "gap_fill", "gap": [0, 0.3]},
        {"stage": "duration", "shortest": [0, 0.2]},
    ],
    "shifted": [*BOXES, {"stage": "shift", "onset": [-0.1, 0.0], "offset": 0.1}],
    "choice": [{"stage": "one_of", "stacks": {"hysteresis": HYSTERESIS, "boxes": BOXES}}],
}
OWN = (name for name, kind in Agent.types().items() if kind.__module__.startswith("rl_postproc."))
NAMES = sorted(set(OWN) - {"ray_tune"})  # which starts Ray; it has tests of its own
QUICK = {"trials": 5, "passes": 2, "hidden": 8, "iterations": 3, "rounds": 3}


def settings(name: str) -> dict[str, Any]:
    if name in AGENTS:
        return {**AGENTS[name], **({"rollouts": 1} if "rollouts" in AGENTS[name] else {})}
    fields = Agent.types()[name].model_fields
    return {"agent": name, **{key: value for key, value in QUICK.items() if key in fields}}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    "name", sorted({*NAMES, *AGENTS} - {"ppo", "event_value", "event_set", "event_ranking", "exact_gradient"})
)
def test_an_agent_works_on_any_stack_or_says_why_not(name: str, stack: str, tmp_path: Path) -> None:
    try:
        agent = make_agent(settings(name))
    except UserError as error:
        pytest.skip(str(error))  # an optional package is missing

    def untouched() -> Any:
        pytest.fail("the table was counted")

    scores, built = small_simulation(16, 3, short=0.5), Stack.from_config(STACKS[stack])
    task = TuningTask(scores, built, TuningTask.build(scores).metric)
    try:
        check_agent(agent, TuningTask(scores, built, task.metric, untouched))
    except UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        assert agent.name not in ("default", "grid_search", "random_search", "coordinate_ascent", "beam_search")
        if agent.name in ("event_value", "event_set", "event_ranking", "exact_gradient") or name in (
            "events",
            "features",
        ):
            assert stack == "shifted"
        return
    fit = agent.fit(task, 0)
    events = fit.post_processor.apply(scores)
    fit.post_processor.save(tmp_path / "own")
    again = PostProcessor.load(tmp_path / "own").apply(scores)
    for column in ("clip", "label", "onset", "offset"):
        assert torch.equal(getattr(events, column), getattr(again, column))


def test_a_stack_that_is_not_there_is_refused_where_constants_were_edited(tmp_path: Path) -> None:
    task = TuningTask.build(small_simulation(6, 2), STACKS["choice"])
    path = make_agent("grid_search").fit(task, 0).post_processor.save(tmp_path / "own")
    values = json.loads(path.read_text())
    next(iter(values["policy"]["values"].values()))["one_of.which"] = 2
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"one_of\.which of '.*' is 2, but there are 2 stacks"):
        PostProcessor.load(path)


def test_environments_take_a_choice_of_stacks_and_say_what_they_cannot_show() -> None:
    scores = small_simulation(6, 2)
    env = PostProcessingPerClassEnv(scores, stack=STACKS["choice"], actions="candidate")
    env.reset(seed=0)
    assert env.action_space.n == TuningTask.build(scores, STACKS["choice"]).stack.space.n_candidates
    reward = env.step(env.action_space.sample())[1]
    assert isinstance(reward, float)
    joint = PostProcessingEnv(scores, stack=STACKS["choice"])
    joint.reset(seed=0)
    joint.step(joint.action_space.sample())
    with pytest.raises(UserError, match="numbers candidates by filter and level"):
        PostProcessingPerClassEnv(scores, stack=STACKS["choice"], observation="events")
