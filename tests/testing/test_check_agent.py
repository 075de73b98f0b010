"""The conformance check of agents passes on the quick ones, and fails on agents that break a promise."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from rl_postproc.agents.base import Agent, constant_fit, silent
from rl_postproc.agents.testing import check_agent

from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.testing import NonConformant

QUICK = {"default": {}, "grid_search": {}, "sgl_thresh": {}}


@pytest.mark.parametrize("name", QUICK)
def test_quick_agents_conform(name):
    check_agent({"agent": name, **QUICK[name]})


def test_every_quick_agent_is_known():
    assert set(QUICK) <= set(Agent.types())


class Peeking(Agent):
    """Moves the task's linearisation."""

    agent: Literal["test_peeking"] = "test_peeking"

    def fit(self, task, seed, report=silent):
        task.linearisation.slope.add_(1.0)
        return constant_fit(task, task.stack.space.defaults, 0)


class Restless(Agent):
    """Its result depends on the global random state."""

    agent: Literal["test_restless"] = "test_restless"

    def fit(self, task, seed, report=silent):
        values = task.stack.space.values[torch.randint(len(task.stack.space.values), (task.scores.n_classes,))]
        return constant_fit(task, values, 1)


class Backwards(Agent):
    """Reports progress that falls."""

    agent: Literal["test_backwards"] = "test_backwards"

    def fit(self, task, seed, report=silent):
        report(0.9, {})
        report(0.1, {})
        return constant_fit(task, task.stack.space.defaults, 0)


class Oracle(Policy):
    """Chooses by the references."""

    kind = "test_oracle"

    def choose(self, scores, stack):
        wanted = 0.0 if scores.references is None else scores.references.counts().clamp(max=1)[..., None]
        return stack.space.defaults * torch.ones(scores.n_clips, scores.n_classes, 1) * (1 - 0.5 * wanted)

    def state(self):
        return {}, {}

    @classmethod
    def from_state(cls, values, tensors):
        return cls()


class Cheating(Agent):
    """Its policy looks at the references."""

    agent: Literal["test_cheating"] = "test_cheating"

    def fit(self, task, seed, report=silent):
        fit = constant_fit(task, task.stack.space.defaults, 0)
        fit.post_processor = PostProcessor(task.stack, task.scores.classes, Oracle(), task.scores.hop)
        return fit


class Undescribed(Agent):
    agent: Literal["test_undescribed"] = "test_undescribed"

    def fit(self, task: TuningTask, seed: int, report: Any = silent):
        return constant_fit(task, task.stack.space.defaults, 0)


Undescribed.__doc__ = ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_peeking", "changes the task"),
        ("test_restless", "two different post-processors"),
        ("test_backwards", "progress that does not rise"),
        ("test_cheating", "looks at the references"),
        ("test_undescribed", "no description"),
    ],
)
def test_a_broken_agent_is_refused(name, message):
    with pytest.raises(NonConformant, match=message):
        check_agent(name)
