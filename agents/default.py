"""No tuning: every parameter at its default, the threshold at 0.5."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent


class Default(Agent):
    """Every parameter of the stack at its declared default; the baseline that costs nothing."""

    agent: Literal["default"] = "default"
    description: ClassVar[str] = "every parameter at its default (threshold 0.5, no filter)"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Returns the defaults."""
        return constant_fit(task, task.stack.space.defaults, 0)
