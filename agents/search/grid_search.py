"""Exact search over all combinations of candidate values."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from rl_postproc.metrics.base import Counts, total_counts
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import Agent, FitResult, ProgressCallback, constant_fit, silent
from .inner_folds import FOLDS, best_width

Selection = Literal["maximum", "smoothed", "inner_folds"]


class GridSearch(Agent):
    """The best constant parameters of the grid, read off the count table, each class by itself or one setting for all.

    Macro F1 of constant parameters splits by class, so that with ``selection: maximum`` the per-class search is the true
    optimum on its data: no other constant parameters from the grid score higher there. On other clips a broad hill is
    worth more than a sharp peak: with ``smoothed`` each class's scores are smoothed over neighbouring candidates before
    the best is taken, which holds out better by half a point on average where events are scored, and worse by as much where
    tags are. With ``inner_folds`` the clips say how strongly: by the width, unless none, half of it or twice it holds out
    clearly better on five inner folds.
    """

    agent: Literal["grid_search"] = "grid_search"
    scope: Literal["class", "global"] = Field(default="class", description="one setting a class, or one for all")
    selection: Selection = Field(
        default="inner_folds",
        description="maximum: the best candidate; smoothed: the best after smoothing over its neighbours; inner_folds: "
        "as strongly as holds out best",
    )
    smoothing: float = Field(
        default=0.08, gt=0, le=1, description="width as a fraction of each parameter's number of values"
    )

    def check(self, task: TuningTask) -> None:
        """Needs an objective that splits by class, unless one setting is sought for all of them."""
        none = {name: torch.zeros(1, dtype=torch.float64) for name in task.metric.columns}
        if self.scope == "class" and task.objective.class_terms(task.metric, none) is None:
            raise UserError(f"The agent 'grid_search' searches each class by itself, but the objective "
                            f"'{task.objective.name}' does not split by class; set scope: global.")  # fmt: skip

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the best candidate of each class, or of all classes together."""
        space, evaluations = task.stack.space, task.stack.space.n_candidates * task.scores.n_clips
        width = {"maximum": 0.0, "smoothed": 1.0}.get(self.selection)
        if width is None:
            width = best_width(task, self._counts)
            evaluations *= 1 + FOLDS
        return constant_fit(task, space.values[self._best(task, width).cpu()], evaluations)

    def _best(self, task: TuningTask, width: float) -> torch.Tensor:
        """Returns the best candidate of each class, int64 ``[class]``, smoothed by so many times the usual width."""
        table, smoothing = task.summed, width * self.smoothing
        if self.scope == "global":
            return torch.full((table.n_classes,), table.best_global(task.objective, smoothing))
        return table.best_per_class(task.objective, smoothing) if smoothing else task.best_constants

    def _counts(self, train: TuningTask, held: TuningTask, width: float) -> Counts:
        """Returns what the best candidates of one task count on another, ``[class]``."""
        return total_counts(held.summed.of_choice(self._best(train, width)))
