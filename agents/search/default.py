"""No tuning: every parameter at its default, the threshold at 0.5."""

from __future__ import annotations

from typing import ClassVar, Literal

from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, constant_fit, silent


class Default(Agent):
    """Every parameter of the stack at its declared default; the baseline that costs nothing."""

    agent: Literal["default"] = "default"
    enumerates: ClassVar[bool] = False
    holds: ClassVar[Holds] = "nothing"

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the defaults."""
        return constant_fit(task, task.stack.space.defaults, 0)
