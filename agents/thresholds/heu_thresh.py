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

from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.metrics.f1 import f1
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, constant_fit, silent
from .filters import check_thresholds, f1_of, keep_best_filters


class HeuThresh(Agent):
    """Random perturbations of the thresholds, kept when F1 grows (paper baseline).

    A trial is ``t + r·N(t, spread)`` for all thresholds, with ``r`` falling from ``ratio`` trial by trial.
    ``average: micro`` keeps a trial that raises micro F1, and each round begins anew at ``start``; ``macro`` keeps the
    threshold of each class that raises the F1 of that class, and goes on from there: both as published, with their
    published ``decay``. On stacks with filters the search is made for every setting.
    """

    streams: ClassVar[bool] = True
    holds: ClassVar[Holds] = "thresholds"

    agent: Literal["heu_thresh"] = "heu_thresh"
    average: Literal["macro", "micro"] = Field(default="micro", description="mean over classes, or of all counts")
    rounds: int = Field(default=80, ge=1, description="rounds of trials")
    trials: int = Field(default=400, ge=1, description="trials of a round")
    start: float = Field(default=0.3, ge=0, le=1, description="first threshold")
    ratio: float = Field(default=0.2, gt=0, description="first r, the size of the perturbations")
    decay: float | None = Field(None, ge=0, description="fall of r per trial; 1e-3 (micro) or 1e-4 (macro) when None")
    spread: float = Field(default=0.6, gt=0, description="standard deviation of the noise")

    def check(self, task: TuningTask) -> None:
        """Needs a threshold of each class at the end, and F1 counts at all thresholds."""
        check_thresholds(self, task)

    @property
    def levels(self) -> int:
        """See `Agent.levels`."""
        return 512

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Searches the thresholds of every filter setting and keeps the best filters."""
        counts = task.threshold_counts()
        found, n_settings = [], len(counts.settings)
        for i, own in enumerate(counts.by_filter()):
            found.append(self.search(own, np.random.default_rng([seed, i])))
            report((i + 1) / n_settings, {})
        values, _ = keep_best_filters(task, counts, torch.cat(found), self.average)
        return constant_fit(task, values, self.rounds * self.trials * n_settings * task.scores.n_clips)

    def search(self, counts: ColumnCounts, rng: np.random.Generator | np.random.RandomState) -> torch.Tensor:
        """Returns the thresholds found, float32 ``[class]``."""
        n_classes = len(counts.knots)
        decay = self.decay if self.decay is not None else 1e-3 if self.average == "micro" else 1e-4
        ratio = self.ratio - decay * torch.arange(self.trials, dtype=torch.float64)[:, None]
        start = torch.full((n_classes,), self.start, dtype=torch.float64)
        best, best_f1 = start, self._quality(counts, start[None])[0]
        for _ in range(self.rounds):
            noise = torch.from_numpy(rng.standard_normal((self.trials, n_classes)))
            if self.average == "micro":
                best, best_f1 = self._round(counts, ratio, noise, start, best, best_f1)
            else:
                best, best_f1 = self._round_by_class(counts, ratio, noise, best, best_f1)
        return best.clamp(0, 1).float()

    def _quality(self, counts: ColumnCounts, t: torch.Tensor) -> torch.Tensor:
        """F1 of thresholds ``[trial, class]``: micro ``[trial]``, or of each class ``[trial, class]``."""
        hits, found = counts.at(t)
        if self.average == "micro":
            return f1_of(hits, found, counts.reference, "micro")
        return f1(hits, found, counts.reference, 0.0)

    def _round(
        self,
        counts: ColumnCounts,
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
            quality = self._quality(counts, tried)
            better = (quality > best_f1).nonzero()[:, 0]
            if not len(better):
                break
            first = int(better[0])
            centre = best = tried[first]
            best_f1 = quality[first]
            done += first + 1
        return best, best_f1

    def _round_by_class(
        self, counts: ColumnCounts, ratio: torch.Tensor, noise: torch.Tensor, best: torch.Tensor, best_f1: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One round in which every class is a chain of its own, each at its own trial."""
        trial = torch.arange(self.trials)[:, None]
        done = torch.zeros(len(best), dtype=torch.int64)
        while True:
            tried = best + ratio * (best + self.spread * noise)
            quality = self._quality(counts, tried)
            better = (quality > best_f1) & (trial >= done)
            moves = better.any(0)
            if not bool(moves.any()):
                return best, best_f1
            first = better.byte().argmax(0, keepdim=True)
            best = torch.where(moves, tried.gather(0, first)[0], best)
            best_f1 = torch.where(moves, quality.gather(0, first)[0], best_f1)
            done = torch.where(moves, first[0] + 1, self.trials)
