"""What the search baselines share: trials of parameter settings, scored by look-ups in the count table.

A trial sets every parameter of every class and is scored on all clips; the number of trials is the budget, the same for
every search. Macro F1 splits by class, so that each class keeps its own best trial and a search may treat the classes
as separate problems that share their trials; micro F1, and parameters of global scope, tie the classes together.
"""

from __future__ import annotations

import torch

from rl_postproc.metrics import f1

from ..envs import TuningTask
from .base import Fit, constant_fit
from .thresholds import Average, mean_f1


class Trials:
    """Scores actions (indices of values, in the joint layout of `TuningTask.action_sizes`) and remembers the best.

    Attributes:
        sizes: number of values of each action component, int64 ``[component]``.
        separate: whether each class is scored by itself.
        known: whether each class has references, bool ``[class]``.
        done: number of trials so far.
        curve: F1 of the best setting after each batch of trials.
    """

    def __init__(self, task: TuningTask, average: Average):
        self.task = task
        self.average: Average = average
        self.sizes = torch.tensor(task.action_sizes(per_class=False))
        shared = any(p.scope == "global" and len(p.candidates) > 1 for p in task.stack.space.parameters)
        self.separate = average == "macro" and not shared
        self._hits, self._found, self._reference = (part.cpu() for part in task.table.totals())
        self._columns = torch.arange(task.scores.n_classes)
        self.known = self._reference > 0
        self._best = torch.zeros_like(self._reference)
        self._best_score = torch.full((len(self._columns) if self.separate else 1,), -torch.inf, dtype=torch.float64)
        self.done, self.curve = 0, []

    def score(self, actions: torch.Tensor) -> torch.Tensor:
        """Scores trials ``[trial, component]``, in order.

        Returns:
            F1 of each class ``[trial, class]`` where classes are separate, else of the setting ``[trial, 1]``.
        """
        candidate = self.task.candidates(actions, per_class=False)
        hits, found = self._hits[self._columns, candidate], self._found[self._columns, candidate]
        if self.separate:
            # A class without references is best when it estimates least.
            score = torch.where(self._reference > 0, f1(hits, found, self._reference), -found.double())
        else:
            score = mean_f1(hits, found, self._reference, self.average)[:, None]
        value, trial = score.max(0)
        better = value > self._best_score
        self._best_score = torch.where(better, value, self._best_score)
        if self.separate:
            self._best = torch.where(better, candidate[trial, self._columns], self._best)
        elif bool(better):
            self._best = candidate[int(trial)]
        self.done += len(actions)
        steps = float(self.done * self.task.scores.n_clips)
        self.curve.append({"steps": steps, f"train_{self.average}_f1": self.best_f1})
        return score

    @property
    def best_f1(self) -> float:
        """F1 of the best setting so far."""
        best = self._best
        counts = self._hits[self._columns, best], self._found[self._columns, best]
        return float(mean_f1(*counts, self._reference, self.average))

    def fit(self) -> Fit:
        """Returns the best setting as a fit."""
        values = self.task.stack.space.values[self._best]
        return constant_fit(self.task, values, self.done * self.task.scores.n_clips, self.curve)
