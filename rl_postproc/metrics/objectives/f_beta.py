"""F-beta: recall counts beta times as much as precision."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.metrics.objectives.averages import mean_of_known, summed_over_classes
from rl_postproc.metrics.objectives.base import Objective


class FBeta(Objective):
    """F-beta of hits, estimates and references: recall counts beta times as much as precision (van Rijsbergen 1979).

    ``(1 + β²)·TP / (estimated + β²·reference)``, the mean over classes with references, or of all counts together.

    Example:
        >>> import torch
        >>> from rl_postproc.metrics import EventBased, FBeta
        >>> counts = {"true_positives": [4, 1], "estimated": [8, 3], "reference": [4, 2]}  # of two classes
        >>> counts = {name: torch.tensor(column) for name, column in counts.items()}
        >>> round(float(FBeta(beta=2).value(EventBased(), counts)), 3)
        0.644
    """

    objective: Literal["f_beta"] = "f_beta"
    needs: ClassVar[tuple[str, ...]] = DETECTION
    beta: float = Field(default=0.5, gt=0, le=100, description="below 1 precision counts more, above 1 recall")
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")

    @property
    def pooled(self) -> bool:
        """See `Objective.pooled`."""
        return self.average == "micro"

    def called(self, metric: Metric) -> str:
        """Returns such as ``macro_f0.5``."""
        return f"{self.average}_f{self.beta:g}"

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns macro or micro F-beta, 0 where it is not defined."""
        return mean_of_known(self._score(summed_over_classes(counts, DETECTION) if self.pooled else counts))

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor | None:
        """Returns F-beta of each class; None for all counts together."""
        return None if self.pooled else self._score(counts)

    def _score(self, counts: Counts) -> torch.Tensor:
        hits, estimated, reference = (counts[name] for name in DETECTION)
        share = self.beta**2
        total = (estimated + share * reference).clamp(min=1e-9)
        return ((1 + share) * hits / total).masked_fill(reference <= 0, torch.nan)
