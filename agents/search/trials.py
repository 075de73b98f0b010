"""What the search baselines share: trials of parameter settings, scored by look-ups in the count table.

A trial sets every parameter of every class and is scored on all clips; the number of trials is the budget, the same for
every search. Macro F1 splits by class, so that each class keeps its own best trial and a search may treat the classes
as separate problems that share their trials; micro F1, an objective that does not split, and parameters of global scope
tie the classes together.
"""

from __future__ import annotations

import torch

from rl_postproc.metrics import Micro
from rl_postproc.metrics.base import Counts, floating
from rl_postproc.task import TuningTask

from ..base import Average, FitResult, constant_fit


class Trials:
    """Scores actions (indices of values, in the joint layout of `ParameterSpace.action_sizes`) and remembers the best.

    Attributes:
        sizes: number of values of each action component, int64 ``[component]``.
        separate: whether each class is scored by itself.
        known: whether each class has a score at all (references), bool ``[class]``.
        done: number of trials so far.
        curve: score of the best setting after each batch of trials.
    """

    def __init__(self, task: TuningTask, average: Average):
        self.task, self._metric = task, task.metric
        self._objective = Micro() if average == "micro" else task.objective
        self.sizes = torch.tensor(task.stack.space.action_sizes(task.scores.n_classes))
        self._totals = floating({name: column.cpu() for name, column in task.summed.totals().items()})
        self._classes = torch.arange(task.scores.n_classes)
        terms = self._objective.class_terms(self._metric, self._totals)
        self.separate = terms is not None and not task.stack.space.shared
        self.known = ~(self._metric.score(self._totals) if terms is None else terms).isnan().all(0)
        self._best = torch.zeros_like(self._classes)
        self._best_score = torch.full((len(self._classes) if self.separate else 1,), -torch.inf, dtype=torch.float64)
        self.done, self.curve = 0, []

    def score(self, actions: torch.Tensor) -> torch.Tensor:
        """Scores trials ``[trial, component]``, in order.

        Returns:
            Score of each class ``[trial, class]`` where classes are separate, else of the setting ``[trial, 1]``.
        """
        candidate = self.task.stack.space.of_actions(actions, len(self._classes))
        counts = self._counts(candidate)
        if self.separate:
            score = self._objective.class_terms(self._metric, counts)
            assert score is not None
            # A class without references is best when it estimates least.
            score = torch.where(score.isnan(), -self._metric.output(counts).double(), score)
        else:
            score = self._mean(counts)[:, None]
        value, trial = score.max(0)
        better = value > self._best_score
        self._best_score = torch.where(better, value, self._best_score)
        if self.separate:
            self._best = torch.where(better, candidate[trial, self._classes], self._best)
        elif bool(better):
            self._best = candidate[int(trial)]
        self.done += len(actions)
        steps = self.done * self.task.scores.n_clips
        self.curve.append({"steps": steps, self.figure: self.best_score})
        return score

    def _counts(self, candidate: torch.Tensor) -> Counts:
        """Returns the counts, summed over clips, of candidates int64 ``[..., class]``."""
        return {
            name: (column[candidate, self._classes] if len(column) > 1 else column[0].expand(candidate.shape))
            for name, column in self._totals.items()
        }

    def _mean(self, counts: Counts) -> torch.Tensor:
        """Returns the objective of counts ``[..., class]``, float64 ``[...]``."""
        return self._objective.value(self._metric, counts)

    @property
    def figure(self) -> str:
        """What the curve calls the score, such as ``train_macro_f1``."""
        return f"train_{self._objective.called(self._metric)}"

    @property
    def best_score(self) -> float:
        """Score of the best setting so far."""
        return float(self._mean(self._counts(self._best)))

    def fit(self) -> FitResult:
        """Returns the best setting as a fit."""
        values = self.task.stack.space.values[self._best]
        return constant_fit(self.task, values, self.done * self.task.scores.n_clips, self.curve)
