"""Exact search over all combinations of candidate values."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent


class GridSearch(Agent):
    """The best constant parameters, read off the count table.

    Macro F1 of constant parameters splits by class, so the per-class search is the true optimum on its data: no other
    constant parameters from the grid score higher there.
    """

    agent: Literal["grid_search"] = "grid_search"
    scope: Literal["class", "global"] = "class"
    description: ClassVar[str] = (
        "exact search of the grid, each class by itself (or scope: global, one setting for all)"
    )

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Returns the best candidate of each class, or of all classes together."""
        table, space = task.table, task.stack.space
        if self.scope == "class":
            best = table.best_per_class()
        else:
            best = torch.full((table.n_classes,), table.best_global())
        return constant_fit(task, space.values[best.cpu()], space.n_candidates * table.n_clips)
