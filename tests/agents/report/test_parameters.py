"""The parameters of a run: constants by fold, spreads over clips, and folds of both kinds."""

from __future__ import annotations

from pathlib import Path

import torch
from cases import small_simulation
from event_agents import random_tracks
from rl_postproc.agents.report.parameters import chosen_thresholds, parameters_section
from rl_postproc.agents.report.runs import Run

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.report.contents import Table
from rl_postproc.task import TuningTask

STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.3, 0.5, 0.7]}]


def of_folds(task: TuningTask, processors: list[PostProcessor]) -> Run:
    """Returns a run whose folds were made by these."""
    fold = torch.arange(task.scores.n_clips) % len(processors)
    made = [(processor, (fold == k).nonzero()[:, 0]) for k, processor in enumerate(processors)]
    events = task.stack.events(task.scores, task.stack.space.defaults)
    return Run(Path("run"), "benchmark", "run", task, {"mine": events}, made_by={"mine": made})


def rows_of(run: Run) -> dict[str, list]:
    section = parameters_section(run)
    assert section is not None
    (table,) = section.parts
    assert isinstance(table, Table)
    return {str(row[0]): list(row[1:3]) for row in table.rows}


def test_constants_have_their_median_and_range_over_folds() -> None:
    task = TuningTask.build(small_simulation(12), STACK)
    constants = [
        PostProcessor.constant(task.stack, task.scores, torch.tensor([[0.3, level]] * 3)) for level in (0.3, 0.5, 0.7)
    ]
    run = of_folds(task, constants)
    for cells in rows_of(run).values():
        assert cells[0] == torch.tensor(0.3).item() or abs(cells[0] - 0.3) < 1e-6
        value, shown = cells[1]
        assert abs(value - 0.5) < 1e-6
        assert shown == "0.5 (0.3 to 0.7)"
    assert chosen_thresholds(run)["mine"] == {name: [0.3, 0.5, 0.7] for name in task.scores.classes}


def test_a_fold_may_have_ended_at_constants() -> None:
    task = TuningTask.build(small_simulation(12), STACK)
    constant = PostProcessor.constant(task.stack, task.scores, torch.tensor([[0.3, 0.7]] * 3))
    for processors in ([random_tracks(task), constant], [constant, random_tracks(task)]):
        run = of_folds(task, processors)
        table = parameters_section(run)
        assert table is not None
        assert "most frequent over clips" in table.parts[0].caption  # pyright: ignore[reportAttributeAccessIssue]
        for cells in rows_of(run).values():
            for value, shown in cells:
                assert 0 <= value <= 1 and str(shown)


def test_a_choice_of_stacks_is_named() -> None:
    task = TuningTask.build(small_simulation(8), "rich")
    values = task.stack.space.values
    numbers = [int((values[:, 0] == number).nonzero()[0]) for number in (0, 2)]
    constants = [PostProcessor.constant(task.stack, task.scores, values[[i] * 3]) for i in numbers]
    names = list(task.stack.stages[0].stacks)  # pyright: ignore[reportAttributeAccessIssue]
    for cells in rows_of(of_folds(task, constants)).values():
        assert cells[0] == f"{names[0]}, {names[2]}"
