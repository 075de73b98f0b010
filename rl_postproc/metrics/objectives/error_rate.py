"""The error rate: errors per reference."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.metrics.objectives.averages import mean_of_known, summed_over_classes
from rl_postproc.metrics.objectives.base import Objective

ERRORS = ("substitutions", "deletions", "insertions")


class ErrorRate(Objective):
    """The error rate with its sign turned, since objectives are maximised: errors per reference, 0 at best, without bound.

    Errors are substitutions, deletions and insertions where a metric counts them; else misses and false alarms, which are the
    deletions and insertions of each class by itself (Mesaros et al., "Metrics for Polyphonic Sound Event Detection", 2016).
    """

    objective: Literal["error_rate"] = "error_rate"
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")

    @property
    def pooled(self) -> bool:
        """See `Objective.pooled`."""
        return self.average == "micro"

    def called(self, metric: Metric) -> str:
        """Returns such as ``negative_macro_error_rate``."""
        return f"negative_{self.average}_error_rate"

    def columns_needed(self, metric: Metric) -> tuple[str, ...]:
        """See `Objective.columns_needed`."""
        return (*ERRORS, "reference") if set(ERRORS) <= set(metric.columns) else DETECTION

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns minus the error rate, 0 where it is not defined."""
        return mean_of_known(self._score(summed_over_classes(counts, metric.columns) if self.pooled else counts))

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor | None:
        """Returns minus the error rate of each class; None for all counts together."""
        return None if self.pooled else self._score(counts)

    def _score(self, counts: Counts) -> torch.Tensor:
        reference = counts["reference"]
        if set(ERRORS) <= counts.keys():
            errors = counts["substitutions"] + counts["deletions"] + counts["insertions"]
        else:
            errors = reference + counts["estimated"] - 2 * counts["true_positives"]
        return (-errors / reference.clamp(min=1e-9)).masked_fill(reference <= 0, torch.nan)
