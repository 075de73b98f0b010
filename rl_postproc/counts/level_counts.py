"""Counts at many levels of the threshold, summed over clips: what stands for all thresholds where clips are too many.

Of many clips the scores at which a count changes are too many to keep. The counts at evenly spaced thresholds take no more
memory for more clips, and are exact there: they are those of all thresholds of scores rounded up to the next level.
"""

from __future__ import annotations

import torch

from rl_postproc.counts.divided import Workers, divided_totals
from rl_postproc.counts.grid import Progress
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Parameter


def sweep_levels(
    scores: ScoreSet,
    stack: Stack,
    metric: Metric,
    n_levels: int,
    *,
    floor: float = 0.0,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> ThresholdCounts:
    """Counts every filter setting of the stack at evenly spaced thresholds, summed over clips.

    Args:
        scores: the score set, with references; one that is read in parts is read once.
        stack: ends with a threshold, whose candidates do not matter.
        metric: counts the columns of `rl_postproc.metrics.f1.DETECTION`.
        n_levels: number of levels in [0, 1).
        floor: the lowest threshold, below which there is no level.
        workers: who counts scores that are read in parts; this process when None.
        progress: called after every chunk of clips.

    Returns:
        Counts as of one clip; its thresholds are to be `rounded`.
    """
    steps = torch.arange(n_levels) / n_levels
    levels = torch.cat([torch.tensor([floor]), steps[steps > floor], torch.ones(1)])
    name = str(stack.stages[-1].decides_at)
    last = stack.stages[-1].parameters[name]
    grid = Parameter(candidates=tuple(levels[:-1].tolist()), default=float(levels[0]), scope=last.scope)
    fine = Stack([*stack.stages[:-1], stack.stages[-1].model_copy(update={name: grid})])
    one = torch.zeros(scores.n_clips, dtype=torch.int64)
    totals = divided_totals(scores, fine, metric, one, 1, workers=workers, progress=progress)[0].totals()
    changes = []
    for column in ("true_positives", "estimated"):
        # [filter, class, level]: what is lost from each level to the next; nothing exceeds the last one, 1.
        counts = totals[column].reshape(stack.n_filter_settings, len(levels) - 1, -1).transpose(1, 2)
        changes.append(-torch.nn.functional.pad(counts, (0, 1)).diff(dim=-1).flatten().int())
    kept = ((changes[0] != 0) | (changes[1] != 0)).nonzero()[:, 0]
    cell, place = kept // (len(levels) - 1), kept % (len(levels) - 1)
    return ThresholdCounts(cell, levels[1:][place], changes[0][kept], changes[1][kept], totals["reference"], metric,
                           stack.space, levels=levels)  # fmt: skip
