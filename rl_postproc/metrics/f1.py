"""F1 from counts of true positives, estimates and references: said here once, used everywhere."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import torch

from rl_postproc.metrics.base import Counts, Metric

DETECTION = ("true_positives", "estimated", "reference")
"""Columns of a metric that matches estimates with references."""


def f1(
    true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor, undefined: float = torch.nan
) -> torch.Tensor:
    """Returns ``2·TP / (estimated + reference)``; with references and no output it is 0 (sed_eval's zero_score).

    Args:
        true_positives: counts of any shape that broadcast; whole numbers give float64, floating point keeps its dtype.
        estimated: number of estimates.
        reference: number of references.
        undefined: what a class without references gets.
    """
    total = estimated + reference
    if not true_positives.is_floating_point():
        true_positives = true_positives.double()
    score = 2 * true_positives / total.clamp(min=1)
    return score.masked_fill(reference <= 0, undefined)


def mean_f1(counts: Counts, average: str) -> torch.Tensor:
    """Returns macro F1 (over classes with references) or micro F1 of counts ``[..., class]``, float64 ``[...]``."""
    hits, found, reference = (counts[name] for name in DETECTION)
    if average == "micro":
        return f1(hits.sum(-1), found.sum(-1), reference.sum(-1), 0.0)
    return f1(hits, found, reference, 0.0).sum(-1) / (reference > 0).sum(-1).clamp(min=1)


class F1Metric(Metric, ABC):
    """A metric that matches estimates with references, scored by F1.

    A class with references and no output scores 0. A class without references is left out of the macro average; its
    false alarms count in the micro average.
    """

    columns: ClassVar[tuple[str, ...]] = DETECTION

    def score(self, counts: Counts) -> torch.Tensor:
        """Returns F1, NaN without references."""
        return f1(counts["true_positives"], counts["estimated"], counts["reference"])

    def rates(self, counts: Counts) -> dict[str, torch.Tensor]:
        """Returns precision and recall, NaN without references; with references and no output both are 0."""
        if not set(DETECTION) <= counts.keys():
            return {}  # a metric with other columns that extends one of these
        hits, estimated, reference = (counts[name] for name in DETECTION)
        silent = reference <= 0
        found = {"precision": hits / estimated.clamp(min=1), "recall": hits / reference.clamp(min=1)}
        return {name: rate.masked_fill(silent, torch.nan) for name, rate in found.items()}

    def output(self, counts: Counts) -> torch.Tensor:
        """Returns the number of estimates."""
        return counts["estimated"]
