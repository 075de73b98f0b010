"""The best thresholds of all, not only of the grid: exact search over every threshold at which a count changes."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from rl_postproc.count_steps import BestChoice, CountSteps, macro_quality, metric_steps, micro_gain

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent
from .thresholds import choose_filters, filtered_scores, threshold_stack


def best_constants(
    task: TuningTask, settings: torch.Tensor, steps: CountSteps, average: Literal["macro", "micro"]
) -> tuple[torch.Tensor, float]:
    """Returns the constant parameters ``[class, parameter]`` with the highest F1 of all, and that F1.

    Args:
        task: the task whose stack and scores these are.
        settings: settings of the filters ``[setting, parameter]``.
        steps: the metric's counts, columns setting-major, then class.
        average: ``macro`` is found class by class, ``micro`` by Dinkelbach's iteration.
    """

    def propose(lam: float) -> BestChoice:
        return steps.best(macro_quality(steps) if average == "macro" else micro_gain(lam))

    return choose_filters(task, settings, steps.reference[: task.scores.n_classes], propose, average)


class ExactSearch(Agent):
    """The optimum of F1 over constant parameters: every threshold at which a count changes, for each filter setting.

    `grid_search` is the same over the grid's thresholds. On its own data no constant parameters with these filters
    score higher; the threshold lies in the middle between the scores that bound it.
    """

    agent: Literal["exact_search"] = "exact_search"
    average: Literal["macro", "micro"] = "macro"
    description: ClassVar[str] = "exact search over all thresholds, macro or micro F1"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Returns the best thresholds and filters."""
        settings = threshold_stack(task, self.agent)
        steps = metric_steps(task.metric, task.scores, filtered_scores(task))
        values, _ = best_constants(task, settings, steps, self.average)
        return constant_fit(task, values, len(steps.choices.index) // task.scores.n_classes * task.scores.n_clips)
