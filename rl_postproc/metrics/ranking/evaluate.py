"""Values of rankings, certified by an outside tool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.ranking.base import RankedScore, RankingMetric
from rl_postproc.utils.errors import warn


@dataclass(frozen=True)
class CertifiedRanking:
    """The value of a ranking.

    Attributes:
        classes: class names.
        metric: what was measured.
        score: its value.
        certified_by: name and version of the tool that found the same, and on how many clips where these are not all; or
            why none did.
    """

    classes: tuple[str, ...]
    metric: RankingMetric
    score: RankedScore
    certified_by: str

    def to_json(self) -> dict[str, Any]:
        """Returns the stable JSON form. Values are null where they are not defined or not finite."""
        columns = {self.metric.class_value_name: self.score.by_class, **self.score.rates}
        values = {name: column.tolist() for name, column in columns.items()}
        return {
            self.metric.value_name: _finite(self.score.overall),
            **{name: _finite(value) for name, value in self.score.figures.items()},
            "classes": {
                label: {name: _finite(own[k]) for name, own in values.items()} for k, label in enumerate(self.classes)
            },
            "certified_by": self.certified_by,
        }


def evaluate_ranking(
    references: Events, estimates: Events | ScoreSet, metric: RankingMetric, durations: torch.Tensor | None = None
) -> CertifiedRanking:
    """Finds the value of a ranking, and insists that the metric's outside oracle finds the same.

    Args:
        references: reference events.
        estimates: events with confidences, or frame scores, of the same clips and classes.
        metric: what is measured.
        durations: length of each clip in seconds, float64 ``[clip]``; those of the scores when None.

    Warns:
        DataWarning: all events are equally sure, so that they have no order.

    Raises:
        UserError: the metric does not rank such estimates, or needs durations.
        CertificationError: the oracle found something else.

    Example:
        >>> from rl_postproc import ScoreSet
        >>> from rl_postproc.metrics.ranking.clips import MeanAveragePrecision
        >>> from rl_postproc.metrics.ranking.evaluate import evaluate_ranking
        >>> rows = [("a", 0.0, 1.0, "Dog")]
        >>> arrays = {"a": [[0.2], [0.7]], "b": [[0.8], [0.1]], "c": [[0.1], [0.3]]}
        >>> scores = ScoreSet.from_arrays(arrays, hop=0.5, classes=["Dog"], references=rows)
        >>> evaluate_ranking(scores.references, scores, MeanAveragePrecision()).score.overall
        0.5
    """
    if isinstance(estimates, ScoreSet):
        durations = estimates.durations if durations is None else durations
    elif len(estimates) and bool((estimates.confidence == estimates.confidence[0]).all()):
        warn(
            f"All {len(estimates)} events have the confidence {float(estimates.confidence[0]):g}, so that '{metric.name}' "
            "ranks what was detected before what was not, and nothing else; give events with confidences, or scores."
        )
    score, n_clips = metric.value(references, estimates, durations), len(references.clip_ids)
    if metric.most_certified is None or n_clips <= metric.most_certified:
        certified_by = metric.certify(references, estimates, durations)
    else:
        clips = (
            torch.randperm(n_clips, generator=torch.Generator().manual_seed(0))[: metric.most_certified].sort().values
        )
        lengths = None if durations is None else durations[clips]
        certified_by = metric.certify(references.select(clips), estimates.select(clips), lengths)
        if not certified_by.startswith("none"):
            certified_by += f", on {len(clips)} of {n_clips} clips"
    return CertifiedRanking(references.classes, metric, score, certified_by)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
