"""What a metric is: additive counts per clip and class, and a score from their sums."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict

from rl_postproc.scores import ScoreSet


class Intervals(NamedTuple):
    """Where along the threshold a count changes.

    Row ``i`` adds ``weight[i]`` to the count of a filtered track at every threshold ``θ`` with
    ``low[i] <= θ < high[i]``: a frame is active where its value is above the threshold.

    Attributes:
        track: index of the filtered track, int64 ``[row]``.
        low: ``[row]`` in the dtype of the values.
        high: ``[row]``.
        weight: int16 ``[row]``.
    """

    track: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True)
class Scored:
    """F1 from summed counts.

    Attributes:
        macro_f1: mean over the classes that have references.
        micro_f1: F1 of the counts summed over all classes.
        class_f1: F1 of each class, NaN where it has no references, float64 ``[class]``.
    """

    macro_f1: float
    micro_f1: float
    class_f1: torch.Tensor


def f1(true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Returns ``2·TP / (estimated + reference)``, NaN where there are no references (as sed_eval's zero_score)."""
    total = (estimated + reference).double()
    score = 2 * true_positives.double() / total.clamp(min=1)
    return torch.where(reference > 0, score, torch.full_like(score, torch.nan))


def score_counts(true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor) -> Scored:
    """Scores counts ``[class]`` that have been summed over clips.

    A class with references and no output scores 0. A class without references is left out of the macro average; its
    false alarms count in the micro average.
    """
    per_class = f1(true_positives, estimated, reference)
    known = reference > 0
    macro = float(per_class[known].mean()) if bool(known.any()) else 0.0
    total = int(estimated.sum() + reference.sum())
    return Scored(macro, 2 * int(true_positives.sum()) / total if total else 0.0, per_class)


class PreparedMetric(ABC):
    """A metric with everything computed that depends on the references and not on the scores' values."""

    reference: torch.Tensor
    """Number of references, int64 ``[clip, class]``."""

    @abstractmethod
    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, Intervals]:
        """Counts true positives and estimates of filtered tracks at every threshold at once.

        Args:
            values: ``[filter, frame, track]`` non-negative values of the clips' tracks (clip-major, then class): a
                frame is active at threshold ``θ >= 0`` where its value is above ``θ``.
            clips: the consecutive clips that the tracks belong to.
            tracks: which of the clips' tracks are there, ascending int64 ``[track]``; all when None. The others are 0
                throughout.

        Returns:
            Intervals of the true positives and of the estimated count; their ``track`` is ``filter * tracks + track``.
        """


class Metric(BaseModel, ABC):
    """A rule that gives additive counts per clip and class."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str
    oracle: ClassVar[str] = ""

    @abstractmethod
    def prepare(self, scores: ScoreSet) -> PreparedMetric:
        """Computes what depends on the references and the frame grid alone."""
