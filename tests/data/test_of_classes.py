"""Some classes of a score set, its events and its task, in the order that is asked for."""

from __future__ import annotations

import torch
from cases import small_simulation

from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.task import TuningTask


def test_scores_and_references_of_some_classes_are_those_of_these_alone() -> None:
    scores = small_simulation(8, 4)
    chosen = (scores.classes[2], scores.classes[0])
    found = scores.of_classes(chosen)
    assert found.classes == chosen and found.clip_ids == scores.clip_ids
    for i, name in enumerate(chosen):
        assert torch.equal(found.scores[:, i], scores.scores[:, scores.classes.index(name)])
    rows = {row for row in scores.require_references().to_rows() if row[3] in chosen}
    assert set(found.require_references().to_rows()) == rows and len(found.require_references()) == len(rows) > 0
    assert len(rows) < len(scores.require_references())


def test_a_task_keeps_its_grid_and_bounds_through_every_change() -> None:
    grid = FeatureGrid(0.1)
    task = TuningTask.build(small_simulation(8, 4)).on_grid(grid)
    assert task.on_grid(grid) is task
    clips = torch.arange(4)
    for changed in (task.select(clips), task.of_classes(task.scores.classes[1:3]), task.select(clips).of_classes(
            task.scores.classes[:1])):  # fmt: skip
        assert changed.grid == grid and changed.bounds == task.bounds
    part = task.of_classes(task.scores.classes[1:3])
    expected = {name: column[:, 1:3] for name, column in task.table.counts.items()}
    for name, column in part.table.counts.items():
        assert torch.equal(column, expected[name])
