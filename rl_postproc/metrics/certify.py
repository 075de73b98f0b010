"""Scores of event lists: by the metric's own count, and by its outside oracle, which certifies every reported figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import CertificationError, Counts, Metric, Score, total_counts
from rl_postproc.metrics.event_based.metric import EventBased

__all__ = ["CertificationError", "CertifiedScores", "evaluate"]


@dataclass(frozen=True)
class CertifiedScores:
    """Counts and scores of an event list.

    Attributes:
        classes: class names.
        counts: the metric's columns, int64 ``[class]``.
        score: the metric's score of them.
        score_name: what the score is called, such as ``f1``.
        certified_by: name and version of the tool that found the same counts, or why none did.
    """

    classes: tuple[str, ...]
    counts: Counts
    score: Score
    score_name: str
    certified_by: str

    def to_json(self) -> dict[str, Any]:
        """Returns the stable JSON form: fractions, and counts by class. The score is null where it is not defined."""
        known = (~self.score.by_class.isnan()).tolist()
        rows = {
            name: {column: int(count[k]) for column, count in self.counts.items()}
            | {self.score_name: float(self.score.by_class[k]) if known[k] else None}
            for k, name in enumerate(self.classes)
        }
        return {
            f"macro_{self.score_name}": self.score.macro,
            f"micro_{self.score_name}": self.score.micro,
            "classes": rows,
            "certified_by": self.certified_by,
        }


def evaluate(
    references: Events, estimates: Events, metric: Metric | None = None, tuned: Counts | None = None
) -> CertifiedScores:
    """Scores an event list with the metric's own count and with its outside oracle, and insists that they agree.

    Args:
        references: reference events.
        estimates: detected events, over the same clips and classes.
        metric: what is counted; event-based with DCASE's collars when None.
        tuned: columns that the core found while tuning, int64 ``[class]``; they too must agree.

    Raises:
        CertificationError: any two of the figures differ.

    Example:
        >>> from rl_postproc import Events, evaluate
        >>> references = Events.from_rows([("a.wav", 1.0, 3.0, "Dog")], ["a.wav"], ["Dog"])
        >>> estimates = Events.from_rows([("a.wav", 1.1, 3.3, "Dog")], ["a.wav"], ["Dog"])
        >>> evaluate(references, estimates).score.macro
        1.0
    """
    metric = EventBased() if metric is None else metric
    counts = total_counts(metric.count(references, estimates))
    if tuned is not None and not all(torch.equal(tuned[name].cpu(), counts[name]) for name in metric.columns):
        found = {name: column.tolist() for name, column in tuned.items()}
        raise CertificationError(
            f"The sweep counted {found}, the events { ({n: c.tolist() for n, c in counts.items()}) }."
        )
    certified_by = metric.certify(references, estimates, counts)
    return CertifiedScores(references.classes, counts, metric.summarise(counts), metric.score_name, certified_by)
