"""Clip-level tagging: a clip has a tag if any of its frames is active.

A tag score set has one frame a clip (`rl_postproc.formats.scores.tags`). On frame scores the metric counts the
clips in which the decoded events of a class and its reference events both occur, wherever they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Intervals, PreparedMetric
from rl_postproc.metrics.f1 import F1Metric
from rl_postproc.metrics.tagging.scikit_learn import certify


class Tagging(F1Metric):
    """Tags of whole clips: at most one true positive, one estimate and one reference for each clip and class.

    Micro F1 of the summed counts equals scikit-learn's ``f1_score(average="micro")`` on the ``[clip, tag]`` matrices,
    and F1 of each class with references equals ``f1_score(average=None)``; macro F1 leaves out classes without
    references, where scikit-learn counts them as 0.

    Example:
        >>> from rl_postproc import Events
        >>> from rl_postproc.metrics import Tagging
        >>> reference = Events.from_rows([("a", 0.0, 4.0, "Dog")], ["a", "b"], ["Dog"])
        >>> elsewhere = Events.from_rows([("a", 7.0, 8.0, "Dog"), ("b", 0.0, 1.0, "Dog")], ["a", "b"], ["Dog"])
        >>> {name: count.tolist() for name, count in Tagging().count(reference, elsewhere).items()}  # [clip, class]
        {'true_positives': [[1], [0]], 'estimated': [[1], [1]], 'reference': [[1], [0]]}
    """

    metric: Literal["tagging"] = "tagging"

    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts the tags that events stand for."""
        wanted, found = references.counts().clamp(max=1), estimates.counts().clamp(max=1)
        return {"true_positives": wanted * found, "estimated": found, "reference": wanted}

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        """Has scikit-learn score the same tags."""
        return certify(references, estimates, self, counts)

    def prepare(self, scores: ScoreSet) -> PreparedTagging:
        """Finds the reference tags."""
        return PreparedTagging({"reference": scores.require_references().counts().clamp(max=1)})


@dataclass(frozen=True)
class PreparedTagging(PreparedMetric):
    """The reference tags, 0 or 1, int64 ``[clip, class]``."""

    fixed: Counts
    columns = ("true_positives", "estimated")
    peaks_only = True

    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, Intervals]:
        """See `PreparedMetric.intervals`: a tag is estimated at every threshold below the track's highest value."""
        top = values.amax(1)
        wanted = self.fixed["reference"][clips].reshape(-1) > 0
        wanted = wanted if tracks is None else wanted[tracks]
        estimated = (top > 0).flatten().nonzero()[:, 0]
        hits = ((top > 0) & wanted).flatten().nonzero()[:, 0]
        return _from_zero(top, hits), _from_zero(top, estimated)


def _from_zero(top: torch.Tensor, rows: torch.Tensor) -> Intervals:
    """One interval a row, from threshold 0 to the row's highest value."""
    high = top.flatten()[rows]
    weight = torch.ones((), dtype=torch.int16, device=top.device).expand(len(rows))
    return Intervals(rows, torch.zeros_like(high), high, weight)
