"""Exact search over all combinations of candidate values."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import Agent, FitResult, ProgressCallback, constant_fit, fit_best_constants, silent


class GridSearch(Agent):
    """The best constant parameters of the grid, read off the count table, each class by itself or one setting for all.

    Macro F1 of constant parameters splits by class, so the per-class search is the true optimum on its data: no other
    constant parameters from the grid score higher there.
    """

    agent: Literal["grid_search"] = "grid_search"
    scope: Literal["class", "global"] = Field(default="class", description="one setting a class, or one for all")

    def check(self, task: TuningTask) -> None:
        """Needs an objective that splits by class, unless one setting is sought for all of them."""
        none = {name: torch.zeros(1, dtype=torch.float64) for name in task.metric.columns}
        if self.scope == "class" and task.objective.class_terms(task.metric, none) is None:
            raise UserError(f"The agent 'grid_search' searches each class by itself, but the objective "
                            f"'{task.objective.name}' does not split by class; set scope: global.")  # fmt: skip

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the best candidate of each class, or of all classes together."""
        if self.scope == "class":
            return fit_best_constants(task)
        table, space = task.table, task.stack.space
        values = space.values[table.best_global(task.objective)].expand(table.n_classes, -1)
        return constant_fit(task, values, space.n_candidates * table.n_clips)
