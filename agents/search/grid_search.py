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
    constant parameters from the grid score higher there. With ``selection: smoothed`` each class's scores are smoothed
    over neighbouring candidates before the best is taken: a broad hill is worth more on other clips than a sharp peak.
    """

    agent: Literal["grid_search"] = "grid_search"
    scope: Literal["class", "global"] = Field(default="class", description="one setting a class, or one for all")
    selection: Literal["maximum", "smoothed"] = Field(
        default="maximum", description="the best candidate, or the best after smoothing over its neighbours"
    )
    smoothing: float = Field(
        default=0.08, gt=0, le=1, description="for smoothed: width as a fraction of each parameter's number of values"
    )

    def check(self, task: TuningTask) -> None:
        """Needs an objective that splits by class, unless one setting is sought for all of them."""
        none = {name: torch.zeros(1, dtype=torch.float64) for name in task.metric.columns}
        if self.scope == "class" and task.objective.class_terms(task.metric, none) is None:
            raise UserError(f"The agent 'grid_search' searches each class by itself, but the objective "
                            f"'{task.objective.name}' does not split by class; set scope: global.")  # fmt: skip

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the best candidate of each class, or of all classes together."""
        table, space, evaluations = task.summed, task.stack.space, task.stack.space.n_candidates * task.scores.n_clips
        smoothing = self.smoothing if self.selection == "smoothed" else 0.0
        if self.scope == "global":
            values = space.values[table.best_global(task.objective, smoothing)].expand(table.n_classes, -1)
            return constant_fit(task, values, evaluations)
        if not smoothing:
            return fit_best_constants(task)
        best = table.best_per_class(task.objective, smoothing)
        return constant_fit(task, space.values[best.cpu()], evaluations)
