"""Averages of a metric's score: over classes, over all counts, and over classes by their references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch

from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.metrics.objectives.base import Objective


def mean_of_known(terms: torch.Tensor) -> torch.Tensor:
    """Returns the mean ``[...]`` over the classes that have a term ``[..., class]``, 0 where none has."""
    return terms.nanmean(-1).nan_to_num(0.0)


def summed_over_classes(counts: Mapping[str, torch.Tensor], columns: tuple[str, ...]) -> dict[str, Any]:
    """Returns counts of all classes together, ``[..., 1]``."""
    return {name: counts[name].sum(-1, keepdim=True) for name in columns}


class Macro(Objective):
    """The mean over classes of the metric's score, for F1 metrics macro F1.

    Example:
        >>> import torch
        >>> from rl_postproc.metrics import EventBased, Macro
        >>> counts = {"true_positives": [4, 1], "estimated": [8, 3], "reference": [4, 2]}  # of two classes
        >>> counts = {name: torch.tensor(column) for name, column in counts.items()}
        >>> round(float(Macro().value(EventBased(), counts)), 3)
        0.533
    """

    objective: Literal["macro"] = "macro"

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the mean over the classes whose score is defined, 0 where none is."""
        return mean_of_known(metric.score(counts))

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the score of each class."""
        return metric.score(counts)


class Micro(Objective):
    """The metric's score of the counts of all classes together, for F1 metrics micro F1.

    False alarms of classes without references count. Searches of constants find its maximum where the score is a ratio of
    sums, as F1 is (Dinkelbach 1967).

    Example:
        >>> import torch
        >>> from rl_postproc.metrics import EventBased, Micro
        >>> counts = {"true_positives": [4, 1], "estimated": [8, 3], "reference": [4, 2]}  # of two classes
        >>> counts = {name: torch.tensor(column) for name, column in counts.items()}
        >>> round(float(Micro().value(EventBased(), counts)), 3)
        0.588
    """

    objective: Literal["micro"] = "micro"

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the score of the sums over classes, 0 where it is not defined."""
        return metric.score(summed_over_classes(counts, metric.columns))[..., 0].nan_to_num(0.0)

    @property
    def pooled(self) -> bool:
        """See `Objective.pooled`."""
        return True


class Weighted(Objective):
    """The mean over classes of the metric's score, each class weighted by its references."""

    objective: Literal["weighted"] = "weighted"
    needs: ClassVar[tuple[str, ...]] = ("reference",)

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the weighted mean over the classes whose score is defined, 0 where none is."""
        return mean_of_known(self.class_terms(metric, counts))

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the score of each class, times its references over the mean of those of all classes."""
        score = metric.score(counts)
        unknown = score.isnan()
        weight = counts["reference"].expand(score.shape).masked_fill(unknown, 0.0)
        share = weight * (~unknown).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True).clamp(min=1)
        return (score.masked_fill(unknown, 0.0) * share).masked_fill(unknown, torch.nan)

    def quality(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the score of each class, which its weight does not reorder."""
        return metric.score(counts)
