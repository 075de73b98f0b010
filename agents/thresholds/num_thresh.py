"""numThresh: gradient ascent on F1 with numerical gradients of the thresholds.

Source: Kong et al., "Sound Event Detection of Weakly Labelled Data with CNN-Transformer and Automatic Threshold
Optimization" (2020), as used as a baseline by Pellegrini and Masquelier (SGL-Thresh, ICASSP 2021). F1 at a threshold is
a look-up in the counts, and the differences of all classes and widths are taken together.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.metrics.f1 import f1
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, constant_fit, silent
from .filters import Adam, check_thresholds, f1_of, keep_best_filters


class NumThresh(Agent):
    """Gradient ascent on F1 by numerical differences (paper baseline).

    Adam follows forward differences, each widened step by step until F1 moves. The difference of a class is ``delta``
    wide at first and grows by ``delta`` up to ``widest`` times. On stacks with filters the ascent is made for every
    setting.
    """

    streams: ClassVar[bool] = True
    holds: ClassVar[Holds] = "thresholds"

    agent: Literal["num_thresh"] = "num_thresh"
    average: Literal["macro", "micro"] = Field(default="micro", description="mean over classes, or of all counts")
    iterations: int = Field(default=100, ge=1, description="steps of Adam")
    learning_rate: float = Field(default=1e-2, gt=0, description="of Adam")
    start: float = Field(default=0.3, ge=0, le=1, description="first threshold")
    delta: float = Field(default=0.01, gt=0, description="width of the first difference")
    widest: int = Field(default=10, ge=1, description="how many times delta a difference may grow to")

    def check(self, task: TuningTask) -> None:
        """Needs a threshold of each class at the end, and F1 counts at all thresholds."""
        check_thresholds(self, task)

    @property
    def levels(self) -> int:
        """See `Agent.levels`."""
        return 512

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Climbs for every filter setting and keeps the best filters."""
        counts = task.threshold_counts()
        found, n_trials, curve = [], 0, []
        for i, own in enumerate(counts.by_filter()):
            thresholds, trials, curve = self.climb(own)
            found.append(thresholds)
            n_trials += trials
            report((i + 1) / len(counts.settings), {})
        values, _ = keep_best_filters(task, counts, torch.cat(found), self.average)
        rows = [{"iteration": float(i), f"train_{self.average}_f1": value} for i, value in enumerate(curve)]
        return constant_fit(task, values, n_trials * task.scores.n_clips, rows)

    def climb(self, counts: ColumnCounts) -> tuple[torch.Tensor, int, list[float]]:
        """Returns the thresholds found ``[class]``, the number of settings tried, and F1 before each step."""
        t = torch.full((len(counts.knots),), self.start, dtype=torch.float64)
        adam, n_trials, curve = Adam(self.learning_rate), 0, []
        for _ in range(self.iterations):
            gradient, quality, trials = self.gradient(counts, t)
            n_trials += trials
            curve.append(quality)
            t = t + adam.step(gradient)
        return t.clamp(0, 1).float(), n_trials, curve

    def gradient(self, counts: ColumnCounts, t: torch.Tensor) -> tuple[torch.Tensor, float, int]:
        """Returns the numerical gradient of F1 ``[class]``, F1 itself, and the number of settings tried."""
        hits, found = counts.at(t)
        reference = counts.reference
        quality = f1_of(hits, found, reference, self.average)
        width = self.delta * torch.arange(1, self.widest + 1, dtype=torch.float64)[:, None]
        moved_hits, moved_found = counts.at(t + width)
        if self.average == "micro":
            moved_hits, moved_found = hits.sum() + moved_hits - hits, found.sum() + moved_found - found
            moved = f1(moved_hits, moved_found, reference.sum(), 0.0)
        else:
            gain = f1(moved_hits, moved_found, reference, 0.0) - f1(hits, found, reference, 0.0)
            moved = quality + gain / (reference > 0).sum().clamp(min=1)
        changed = moved != quality
        chosen = torch.where(changed.any(0), changed.byte().argmax(0), self.widest - 1)[None]
        gradient = (moved.gather(0, chosen)[0] - quality) / width[:, 0][chosen[0]]
        return gradient, float(quality), 1 + int((chosen + 1).sum())
