"""Random search over the grid: what any cleverer search must beat at the same number of trials."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from ..envs import TuningTask
from .base import Agent, Fit, Report, silent
from .trials import Trials


class RandomSearch(Agent):
    """Draws every parameter of every class uniformly from its candidates, and keeps the best."""

    agent: Literal["random_search"] = "random_search"
    average: Literal["macro", "micro"] = "macro"
    trials: int = Field(default=200, ge=1, description="settings tried on all clips")
    description: ClassVar[str] = "uniform draws from the grid"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Draws and scores, a bounded number of trials at a time."""
        trials = Trials(task, self.average)
        generator = torch.Generator().manual_seed(seed)
        draws = torch.rand(self.trials, len(trials.sizes), generator=generator)
        for part in draws.split(256):
            trials.score((part * trials.sizes).long().minimum(trials.sizes - 1))
            report(trials.done / self.trials, {f"train_{self.average}_f1": trials.best_f1})
        return trials.fit()
