"""What errors cost an hour."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PrivateAttr
from typing_extensions import Self

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.metrics.objectives.per_class import OfClasses, Weight


class Cost(OfClasses):
    """What misses and false alarms cost an hour, with its sign turned, since objectives are maximised.

    ``−Σ_class (miss · misses + false_alarm · false alarms) / hours``, the hours being those of all clips; of resampled clips
    as many are taken. A class without references costs its false alarms.
    """

    objective: Literal["cost"] = "cost"
    needs: ClassVar[tuple[str, ...]] = DETECTION
    miss: Weight | dict[str, Weight] = Field(
        default=1.0, description="what a missed event costs: one number, or numbers by class (1 for the others)"
    )
    false_alarm: Weight | dict[str, Weight] = Field(
        default=1.0, description="what a false alarm costs: one number, or numbers by class (1 for the others)"
    )
    _hours: float = PrivateAttr(1.0)

    def called(self, metric: Metric) -> str:
        """Returns ``negative_cost_per_hour``."""
        return "negative_cost_per_hour"

    def on(self, scores: ScoreSet) -> Self:
        """Returns a copy that knows the classes and the hours of the clips."""
        copy = super().on(scores).model_copy()
        copy._hours = max(float(scores.durations.sum()) / 3600, 1e-9)
        return copy

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns minus the cost an hour of all classes together."""
        return self.quality(metric, counts).sum(-1)

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns minus the cost an hour of each class, times the number of classes."""
        terms = self.quality(metric, counts)
        return terms * terms.shape[-1]

    def quality(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns minus the cost an hour of each class."""
        hits, estimated, reference = (counts[name] for name in DETECTION)
        misses = (reference - hits) * self.numbers(self.miss, 1.0, hits)
        false_alarms = (estimated - hits) * self.numbers(self.false_alarm, 1.0, hits)
        return -(misses + false_alarms) / self._hours
