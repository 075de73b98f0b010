"""An agent: thresholds at a quantile of the scores of each class, without a look at the references."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from rl_postproc.agents.base import Agent, FitResult, ProgressCallback, constant_fit, silent

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError


class Quantile(Agent):
    """The threshold of each class at a quantile of its clips' highest scores; other parameters at their defaults."""

    agent: Literal["quantile"] = "quantile"
    quantile: float = Field(default=0.5, gt=0, lt=1, description="share of clips in which the class stays silent")

    def check(self, task: TuningTask) -> None:
        """Needs a threshold to set."""
        if task.stack.threshold is None:
            raise UserError("The agent 'quantile' sets a threshold, but the stack has none; add the stage 'threshold'.")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the thresholds."""
        highest = task.scores.scores.amax(2)
        values = task.stack.space.defaults.repeat(task.scores.n_classes, 1)
        column = task.stack.space.names.index("threshold.threshold")
        values[:, column] = torch.quantile(highest, self.quantile, 0).clamp(0, 1)
        report(1.0, {})
        return constant_fit(task, values, 0)
