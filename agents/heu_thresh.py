"""heuThresh (dichoThresh in the paper's table): random perturbations of the thresholds, kept when F1 grows.

Source: the baseline of Pellegrini and Masquelier, "Fast threshold optimization for multi-label audio tagging using
surrogate gradient learning" (ICASSP 2021). A trial is a look-up in the counts, and all trials of a round that share a
centre are looked up together, so what took 9 hours on AudioSet takes seconds; the chain of accepted thresholds is that
of one trial after the other.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from rl_postproc.count_steps import CountSteps, metric_steps

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent
from .thresholds import filtered_scores, keep_best_filters, mean_f1, threshold_stack


class HeuThresh(Agent):
    """Random perturbations ``t + r·N(t, spread)`` of all thresholds, with ``r`` falling from ``ratio`` trial by trial.

    ``average: micro`` keeps a trial that raises micro F1, and each round begins anew at ``start``; ``macro`` keeps the
    threshold of each class that raises the F1 of that class, and goes on from there: both as published, with their
    published ``decay``. On stacks with filters the search is made for every setting.
    """

    agent: Literal["heu_thresh"] = "heu_thresh"
    average: Literal["macro", "micro"] = "micro"
    rounds: int = Field(default=80, ge=1)
    trials: int = Field(default=400, ge=1)
    start: float = Field(default=0.3, ge=0, le=1)
    ratio: float = Field(default=0.2, gt=0)
    decay: float | None = Field(None, ge=0, description="fall of r per trial; 1e-3 (micro) or 1e-4 (macro) when None")
    spread: float = Field(default=0.6, gt=0)
    description: ClassVar[str] = "random perturbations of the thresholds, kept when F1 grows (paper baseline)"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Searches the thresholds of every filter setting and keeps the best filters."""
        settings, n_classes = threshold_stack(task, self.agent), task.scores.n_classes
        steps = metric_steps(task.metric, task.scores, filtered_scores(task))
        found = []
        for i in range(len(settings)):
            own = steps.columns(slice(i * n_classes, (i + 1) * n_classes))
            found.append(self.search(own, np.random.default_rng([seed, i])))
            report((i + 1) / len(settings), {})
        values, _ = keep_best_filters(task, settings, steps, torch.cat(found), self.average)
        return constant_fit(task, values, self.rounds * self.trials * len(settings) * task.scores.n_clips)

    def search(self, steps: CountSteps, rng: np.random.Generator | np.random.RandomState) -> torch.Tensor:
        """Returns the thresholds found, float32 ``[class]``."""
        n_classes = len(steps.knots)
        decay = self.decay if self.decay is not None else 1e-3 if self.average == "micro" else 1e-4
        ratio = self.ratio - decay * torch.arange(self.trials, dtype=torch.float64)[:, None]
        start = torch.full((n_classes,), self.start, dtype=torch.float64)
        best, best_f1 = start, self._quality(steps, start[None])[0]
        for _ in range(self.rounds):
            noise = torch.from_numpy(rng.standard_normal((self.trials, n_classes)))
            if self.average == "micro":
                best, best_f1 = self._round(steps, ratio, noise, start, best, best_f1)
            else:
                best, best_f1 = self._round_by_class(steps, ratio, noise, best, best_f1)
        return best.clamp(0, 1).float()

    def _quality(self, steps: CountSteps, t: torch.Tensor) -> torch.Tensor:
        """F1 of thresholds ``[trial, class]``: micro ``[trial]``, or of each class ``[trial, class]``."""
        hits, found = steps.at(t)
        if self.average == "micro":
            return mean_f1(hits, found, steps.reference, "micro")
        return 2 * hits.double() / (found + steps.reference).clamp(min=1)

    def _round(
        self,
        steps: CountSteps,
        ratio: torch.Tensor,
        noise: torch.Tensor,
        centre: torch.Tensor,
        best: torch.Tensor,
        best_f1: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One round of joint trials: up to the first that is better all have the same centre, then the next go on."""
        done = 0
        while done < self.trials:
            tried = centre + ratio[done:] * (centre + self.spread * noise[done:])
            quality = self._quality(steps, tried)
            better = (quality > best_f1).nonzero()[:, 0]
            if not len(better):
                break
            first = int(better[0])
            centre = best = tried[first]
            best_f1 = quality[first]
            done += first + 1
        return best, best_f1

    def _round_by_class(
        self, steps: CountSteps, ratio: torch.Tensor, noise: torch.Tensor, best: torch.Tensor, best_f1: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One round in which every class is a chain of its own, each at its own trial."""
        trial = torch.arange(self.trials)[:, None]
        done = torch.zeros(len(best), dtype=torch.int64)
        while True:
            tried = best + ratio * (best + self.spread * noise)
            quality = self._quality(steps, tried)
            better = (quality > best_f1) & (trial >= done)
            moves = better.any(0)
            if not bool(moves.any()):
                return best, best_f1
            first = better.byte().argmax(0, keepdim=True)
            best = torch.where(moves, tried.gather(0, first)[0], best)
            best_f1 = torch.where(moves, quality.gather(0, first)[0], best_f1)
            done = torch.where(moves, first[0] + 1, self.trials)
