"""PPO that begins as the trained post-processor, adapted to the labels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from event_agents import FEATURES, files_of
from rl_postproc.agents.base import make_agent

from rl_postproc import PostProcessor, evaluate
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

SETTINGS = {**FEATURES, "rollouts": 2, "start": "universal", "fallback": False, "universal": {"inner_folds": 2}}


@pytest.fixture(scope="module", params=[0.04, 0.1])
def task(request: pytest.FixtureRequest) -> TuningTask:
    return TuningTask.build(simulate(SimulationConfig(n_clips=40, n_classes=4, seed=77, hop=request.param)))


@pytest.mark.parametrize("select", ["candidate", "events"])
def test_it_learns_on_top_of_the_adapted_values(task: TuningTask, select: str, tmp_path: Path) -> None:
    train, held = task.select(torch.arange(30)), task.select(torch.arange(30, 40))
    processor = make_agent({**SETTINGS, "select": select}).fit(train, 0).post_processor
    references = held.scores.require_references()

    def f1(own: PostProcessor) -> float:
        return evaluate(references, own.apply(held.scores)).score.macro

    assert f1(processor) > f1(make_agent("default").fit(train, 0).post_processor)
    processor.save(tmp_path)
    assert PostProcessor.load(tmp_path).apply(held.scores).to_rows() == processor.apply(held.scores).to_rows()


def test_without_a_rollout_worth_of_learning_it_is_the_adapted_one(task: TuningTask) -> None:
    still = make_agent({**SETTINGS, "select": "events", "rollouts": 1, "learning_rate": 1e-12, "weight_decay": 0.0})
    found = still.fit(task, 3).post_processor.apply(task.scores)
    adapted = make_agent({"agent": "universal", "inner_folds": 2}).fit(task, 3).post_processor.apply(task.scores)
    assert found.to_rows() == adapted.to_rows()


def test_it_goes_on_where_it_was_stopped(task: TuningTask, tmp_path: Path) -> None:
    learner = make_agent(SETTINGS)
    whole = files_of(learner.fit(task, 1).post_processor, tmp_path / "whole")
    learner.fit_in(task, 1, lambda *_: None, tmp_path / "run")
    assert any((tmp_path / "run" / "parts").iterdir())
    resumed = learner.fit_in(task, 1, lambda *_: None, tmp_path / "run", True)
    assert files_of(resumed.post_processor, tmp_path / "resumed") == whole


def test_what_does_not_go_together_is_refused(task: TuningTask) -> None:
    with pytest.raises(UserError, match="leave out 'labelled_clips'"):
        make_agent({**SETTINGS, "universal": {"labelled_clips": 3}})
    with pytest.raises(UserError, match="leave out 'stack'"):
        make_agent(SETTINGS).check(TuningTask.build(task.scores, stack=[{"stage": "threshold"}]))
    with pytest.raises(UserError, match="needs 'policy: event_features'"):
        make_agent({**SETTINGS, "policy": "events"})
