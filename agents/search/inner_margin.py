"""Choosing by how much a minimum must be exceeded on the training clips to hold on others: by inner folds.

Of hundreds of candidates the one that just reaches a minimum does so by luck: on other clips it falls short. How far, the
clips say themselves: candidates that exceed the minimum by several margins are chosen on four fifths of them and counted on
the fifth, and each class takes the margin with the highest term there.
"""

from __future__ import annotations

import torch

from rl_postproc.metrics.base import floating, total_counts
from rl_postproc.metrics.objectives import Constrained
from rl_postproc.task import TuningTask

from .inner_folds import FOLDS

MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""What is tried, in standard errors of the rate that has a minimum."""


def best_margins(
    task: TuningTask, objective: Constrained, smoothing: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor] | None]:
    """Returns the candidate of each class, int64 ``[class]``, chosen with the margin and smoothing that hold out best.

    Beside it are the counts ``[class]`` that these have on the clips left out, None where none can be.

    Args:
        task: the training clips; of fewer than two no fold can be left out, and there is no margin.
        objective: with a minimum.
        smoothing: width of the smoothing that is tried besides none.
    """
    options = [(objective.with_margin(z), width) for width in (0.0, smoothing) for z in MARGINS]
    n_folds = min(FOLDS, task.scores.n_clips)
    if n_folds < 2:
        return task.summed.best_per_class(objective), None
    columns, n_classes = task.metric.columns, task.scores.n_classes
    held_out = torch.zeros(len(columns), len(options), n_classes, dtype=torch.int64)
    for train, held in task.folds(n_folds):
        for i, (own, width) in enumerate(options):
            counts = total_counts(held.summed.of_choice(train.summed.best_per_class(own, width)))
            held_out[:, i] += torch.stack([counts[name].cpu() for name in columns])
    counts = floating(dict(zip(columns, held_out, strict=True)))
    chosen = torch.stack([task.summed.best_per_class(own, width) for own, width in options])
    if task.stack.space.shared:
        best = objective.value(task.metric, counts).argmax().expand(n_classes)
    else:
        best = objective.class_terms(task.metric, counts).nan_to_num(0.0).argmax(0)
    own = {name: column.gather(0, best[None])[0] for name, column in counts.items()}
    return chosen.gather(0, best[None].to(chosen.device))[0], own
