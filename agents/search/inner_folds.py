"""Choosing how strongly to smooth before the best is taken: by what holds out on inner folds of the training clips."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rl_postproc.metrics.base import Counts
from rl_postproc.task import TuningTask

WIDTHS = (0.0, 0.5, 1.0, 2.0)
"""What is tried, as multiples of the usual width; 0 takes the maximum."""

MARGIN = 0.004
"""By how much another width must hold out better than the usual one: differences below are noise more often than not."""

FOLDS = 5


def best_width(
    task: TuningTask, counts_of: Callable[[TuningTask, TuningTask, float], Counts], sums: bool = True
) -> float:
    """Returns the one of `WIDTHS` whose constants reach the highest objective on inner folds, pooled.

    The usual width stays unless another is better by `MARGIN`.

    Args:
        task: the training clips; of fewer than two no fold can be left out, and the usual width is taken.
        counts_of: tunes on the first task with a width, and returns the counts ``[class]`` on the second.
        sums: whether it takes their sums over clips.
    """
    n_folds = min(FOLDS, task.scores.n_clips)
    if n_folds < 2:
        return 1.0
    totals: list[dict[str, torch.Tensor]] = [{} for _ in WIDTHS]
    for train, held in task.folds(n_folds, sums):
        for total, width in zip(totals, WIDTHS, strict=True):
            for name, column in counts_of(train, held, width).items():
                total[name] = total.get(name, torch.zeros_like(column)) + column
    value = [float(task.objective.value(task.metric, {k: v.double() for k, v in total.items()})) for total in totals]
    best = max(range(len(WIDTHS)), key=value.__getitem__)
    return WIDTHS[best] if value[best] > value[WIDTHS.index(1.0)] + MARGIN else 1.0
