"""The best thresholds of all, not only of the grid: exact search over every threshold at which a count changes."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import Choice, macro_gain, micro_gain
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.task import TuningTask

from ..base import Agent, Average, FitResult, ProgressCallback, constant_fit, silent
from ..thresholds.filters import check_thresholds, choose_filters


def best_constants(task: TuningTask, counts: ThresholdCounts, average: Average) -> tuple[torch.Tensor, float]:
    """Returns the constant parameters ``[class, parameter]`` with the highest F1 of all, and that F1.

    Args:
        task: the task that the counts are of.
        counts: its counts at all thresholds.
        average: ``macro`` is found class by class, ``micro`` by Dinkelbach's iteration.
    """
    macro = macro_gain(counts.column_reference)

    def propose(lam: float) -> Choice:
        return counts.best(macro if average == "macro" else micro_gain(lam))

    return choose_filters(task, counts, propose, average)


class ExactSearch(Agent):
    """Exact search over all thresholds and filters, for macro or micro F1.

    `grid_search` is the same over the grid's thresholds. On its own data no constant parameters with these filters
    score higher; the threshold lies in the middle between the scores that bound it.
    """

    agent: Literal["exact_search"] = "exact_search"
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")

    def check(self, task: TuningTask) -> None:
        """Needs a threshold of each class at the end, and F1 counts at all thresholds."""
        check_thresholds(self, task)

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the best thresholds and filters."""
        counts = sweep_all_thresholds(task.scores, task.stack, task.metric)
        values, _ = best_constants(task, counts, self.average)
        return constant_fit(task, values, counts.n_choices // task.scores.n_classes * task.scores.n_clips)
