"""The best thresholds of all, not only of the grid: exact search over every threshold at which a count changes."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import Choice, Gain, micro_gain, objective_gain
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.metrics.base import Counts, total_counts
from rl_postproc.metrics.objectives import Micro, Objective
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, constant_fit, require_classes_apart, silent
from ..thresholds.filters import check_thresholds, choose_filters
from .grid_search import Selection
from .inner_folds import best_width

SPAN, STEPS = 8.0, 1024
"""Thresholds between which a smoothed optimum is sought, in log-odds to either side of 0.5, and their number."""


def best_constants(
    task: TuningTask, counts: ThresholdCounts, objective: Objective, smoothing: float = 0.0
) -> tuple[torch.Tensor, float]:
    """Returns the constant parameters ``[class, parameter]`` with the highest objective of all, and that objective.

    Args:
        task: the task that the counts are of.
        counts: its counts at all thresholds.
        objective: where it splits by class, found class by class; a ratio of sums, such as micro F1, by Dinkelbach's
            iteration.
        smoothing: width in log-odds of the Gaussian by which what is maximised is smoothed over the threshold first.
    """
    n_classes = task.scores.n_classes
    apart = None if objective.pooled else objective_gain(objective, task.metric, counts.column_reference, n_classes)

    def propose(lam: float) -> Choice:
        gain = apart or micro_gain(lam)
        return smoothed_best(counts, gain, smoothing, objective.constrained) if smoothing else counts.best(gain)

    return choose_filters(task, counts, propose, objective)


def smoothed_best(counts: ThresholdCounts, gain: Gain, smoothing: float, constrained: bool = False) -> Choice:
    """Returns the threshold of each column at which the smoothed gain is highest, silence where none gains more.

    Args:
        counts: at all thresholds.
        gain: what is maximised.
        smoothing: standard deviation of the Gaussian, in log-odds of the threshold.
        constrained: whether a gain below 0 misses a minimum, which is then chosen only where all do.
    """
    from scipy.ndimage import gaussian_filter1d

    levels, column = torch.linspace(-SPAN, SPAN, STEPS).sigmoid(), torch.arange(counts.n_columns)
    hits, found = counts.at(levels[:, None].expand(STEPS, counts.n_columns).contiguous())
    value = gain(hits.flatten(), found.flatten(), column.repeat(STEPS)).reshape(STEPS, -1)
    missing = value < 0
    width = smoothing * (STEPS - 1) / (2 * SPAN)
    value = torch.from_numpy(gaussian_filter1d(value.numpy(), width, axis=0, mode="nearest").round(12))
    if constrained:
        value = torch.where(missing & ~missing.all(0), -torch.inf, value)
    silence = gain(torch.zeros_like(column), torch.zeros_like(column), column)
    best, index = value.max(0)
    threshold = torch.where(best > silence, levels[index], 1.0)
    return Choice(threshold, *counts.at(threshold))


class ExactSearch(Agent):
    """Exact search over all thresholds, of scores or of events' confidences, and all filters.

    `grid_search` is the same over the grid's thresholds. With ``selection: maximum`` no constant parameters with these
    filters score higher on its own data; the threshold lies in the middle between the scores that bound it. With
    ``smoothed`` what is maximised is smoothed over the log-odds of the threshold first, since a sharp peak does not hold
    on other clips; with ``inner_folds`` the clips say how strongly.
    """

    holds: ClassVar[Holds] = "thresholds"

    agent: Literal["exact_search"] = "exact_search"
    average: Literal["macro", "micro"] = Field(
        default="macro", description="macro: the task's objective, by default macro F1; micro: micro F1, whatever it is"
    )
    selection: Selection = Field(
        default="smoothed",
        description="maximum: the best thresholds; smoothed: the best after smoothing; inner_folds: smoothed as strongly as "
        "holds out best",
    )
    smoothing: float = Field(default=0.4, gt=0, le=SPAN, description="width in log-odds of the threshold")

    def check(self, task: TuningTask) -> None:
        """Needs a threshold of each class at the end, and F1 counts at all thresholds."""
        check_thresholds(self, task, of_events=True)
        if not self._objective(task).pooled:
            require_classes_apart(self, task, "use 'grid_search' with scope: global")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the best thresholds and filters."""
        width = {"maximum": 0.0, "smoothed": 1.0}.get(self.selection)
        if width is None:
            width = best_width(task, self._counts, sums=False)
        values, choices = self._best(task, width)
        return constant_fit(task, values, choices // task.scores.n_classes * task.scores.n_clips)

    def _objective(self, task: TuningTask) -> Objective:
        """Returns what is maximised."""
        return Micro() if self.average == "micro" else task.objective

    def _best(self, task: TuningTask, width: float) -> tuple[torch.Tensor, int]:
        """Returns the best values ``[class, parameter]``, and the number of choices over all columns."""
        counts = sweep_all_thresholds(task.scores, task.stack, task.metric)
        return best_constants(task, counts, self._objective(task), width * self.smoothing)[0], counts.n_choices

    def _counts(self, train: TuningTask, held: TuningTask, width: float) -> Counts:
        """Returns what the best values of one task count on another, ``[class]``."""
        events = held.stack.events(held.scores, self._best(train, width)[0])
        return total_counts(held.metric.count(held.scores.require_references(), events))
