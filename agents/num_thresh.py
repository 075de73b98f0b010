"""numThresh: gradient ascent on F1 with numerical gradients of the thresholds.

Source: Kong et al., "Sound Event Detection of Weakly Labelled Data with CNN-Transformer and Automatic Threshold
Optimization" (2020), as used as a baseline by Pellegrini and Masquelier (SGL-Thresh, ICASSP 2021). F1 at a threshold is
a look-up in the counts, and the differences of all classes and widths are taken together.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.count_steps import CountSteps, metric_steps

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent
from .thresholds import Adam, filtered_scores, keep_best_filters, mean_f1, threshold_stack


class NumThresh(Agent):
    """Adam on forward differences of F1, each widened step by step until F1 moves.

    The difference of a class is ``delta`` wide at first and grows by ``delta`` up to ``widest`` times. On stacks with
    filters the ascent is made for every setting.
    """

    agent: Literal["num_thresh"] = "num_thresh"
    average: Literal["macro", "micro"] = "micro"
    iterations: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    start: float = Field(default=0.3, ge=0, le=1)
    delta: float = Field(default=0.01, gt=0)
    widest: int = Field(default=10, ge=1)
    description: ClassVar[str] = "gradient ascent on F1 by numerical differences (paper baseline)"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Climbs for every filter setting and keeps the best filters."""
        settings, n_classes = threshold_stack(task, self.agent), task.scores.n_classes
        steps = metric_steps(task.metric, task.scores, filtered_scores(task))
        found, n_trials, curve = [], 0, []
        for i in range(len(settings)):
            own = steps.columns(slice(i * n_classes, (i + 1) * n_classes))
            thresholds, trials, curve = self.climb(own)
            found.append(thresholds)
            n_trials += trials
            report((i + 1) / len(settings), {})
        values, _ = keep_best_filters(task, settings, steps, torch.cat(found), self.average)
        rows = [{"iteration": float(i), f"train_{self.average}_f1": value} for i, value in enumerate(curve)]
        return constant_fit(task, values, n_trials * task.scores.n_clips, rows)

    def climb(self, steps: CountSteps) -> tuple[torch.Tensor, int, list[float]]:
        """Returns the thresholds found ``[class]``, the number of settings tried, and F1 before each step."""
        t = torch.full((len(steps.knots),), self.start, dtype=torch.float64)
        adam, n_trials, curve = Adam(self.learning_rate), 0, []
        for _ in range(self.iterations):
            gradient, quality, trials = self.gradient(steps, t)
            n_trials += trials
            curve.append(quality)
            t = t + adam.step(gradient)
        return t.clamp(0, 1).float(), n_trials, curve

    def gradient(self, steps: CountSteps, t: torch.Tensor) -> tuple[torch.Tensor, float, int]:
        """Returns the numerical gradient of F1 ``[class]``, F1 itself, and the number of settings tried."""
        hits, found = steps.at(t)
        quality = mean_f1(hits, found, steps.reference, self.average)
        width = self.delta * torch.arange(1, self.widest + 1, dtype=torch.float64)[:, None]
        moved_hits, moved_found = steps.at(t + width)
        if self.average == "micro":
            total = (found.sum() + steps.reference.sum() + moved_found - found).clamp(min=1)
            moved = 2 * (hits.sum() + moved_hits - hits).double() / total
        else:
            known = steps.reference > 0
            gain = moved_hits.double() / (moved_found + steps.reference).clamp(min=1)
            gain -= hits.double() / (found + steps.reference).clamp(min=1)
            moved = quality + torch.where(known, 2 * gain, 0.0) / known.sum().clamp(min=1)
        changed = moved != quality
        chosen = torch.where(changed.any(0), changed.byte().argmax(0), self.widest - 1)[None]
        gradient = (moved.gather(0, chosen)[0] - quality) / width[:, 0][chosen[0]]
        return gradient, float(quality), 1 + int((chosen + 1).sum())
