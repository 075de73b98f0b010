"""Random search over the grid: what any cleverer search must beat at the same number of trials."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, silent
from .trials import Trials


class RandomSearch(Agent):
    """Draws every parameter of every class uniformly from its candidates, and keeps the best."""

    holds: ClassVar[Holds] = "sums"

    agent: Literal["random_search"] = "random_search"
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")
    trials: int = Field(default=200, ge=1, description="settings tried on all clips")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Draws and scores, a bounded number of trials at a time."""
        trials = Trials(task, self.average)
        generator = torch.Generator().manual_seed(seed)
        draws = torch.rand(self.trials, len(trials.sizes), generator=generator)
        for part in draws.split(256):
            trials.score((part * trials.sizes).long().minimum(trials.sizes - 1))
            report(trials.done / self.trials, {trials.figure: trials.best_score})
        return trials.fit()
