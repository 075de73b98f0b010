"""Scores of event lists: by the metric's own count, and by its outside oracle, which certifies every reported figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.formats.clip_names import match_names
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
        certified_by: name and version of the tool that found the same counts, and on how many clips where these are not
            all; or why none did.
        rates: what else the metric tells of the counts, such as precision and recall.
        overall: what the metric tells of all classes together that does not follow from their counts, such as substitutions.
    """

    classes: tuple[str, ...]
    counts: Counts
    score: Score
    score_name: str
    certified_by: str
    rates: Mapping[str, Score] = field(default_factory=dict)
    overall: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the stable JSON form: fractions, and counts by class. The score is null where it is not defined."""
        scores = {**self.rates, self.score_name: self.score}
        by_class = {name: score.by_class.tolist() for name, score in scores.items()}
        rows = {
            name: {column: int(count[k]) for column, count in self.counts.items()}
            | {rate: None if math.isnan(values[k]) else values[k] for rate, values in by_class.items()}
            for k, name in enumerate(self.classes)
        }
        return {
            **{
                f"{average}_{name}": getattr(scores[name], average)
                for name in (self.score_name, *self.rates)
                for average in ("macro", "micro")
            },
            **({"overall": dict(self.overall)} if self.overall else {}),
            "classes": rows,
            "certified_by": self.certified_by,
        }


def evaluate(
    references: Events, estimates: Events, metric: Metric | None = None, tuned: Counts | None = None
) -> CertifiedScores:
    """Scores an event list with the metric's own count and with its outside oracle, and insists that they agree.

    The oracle counts all events; where they are more work than it takes (`Metric.most_certified`), those of a sample of
    clips, the same each time, which must agree on just these clips. ``certified_by`` says so.

    Args:
        references: reference events.
        estimates: detected events, of no other clips; where they are listed over fewer, the others have none. Classes of
            either side count, those that only the other has as without events.
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
    if (references.clip_ids, references.classes) != (estimates.clip_ids, estimates.classes):
        references, estimates = _alike(references, estimates)
    by_clip = metric.count(references, estimates)
    counts = total_counts(by_clip)
    if tuned is not None and not all(torch.equal(tuned[name].cpu(), counts[name]) for name in metric.columns):
        found = {name: column.tolist() for name, column in tuned.items()}
        raise CertificationError(
            f"The sweep counted {found}, the events { ({n: c.tolist() for n, c in counts.items()}) }."
        )
    clips = sampled_clips(metric.work(references, estimates), metric.most_certified)
    if clips is None:
        certified_by = metric.certify(references, estimates, counts)
    else:
        own = {name: column[clips].sum(0) for name, column in by_clip.items()}
        certified_by = metric.certify(references.select(clips), estimates.select(clips), own)
        if not certified_by.startswith("none"):
            certified_by += f", on {_grouped(len(clips))} of {_grouped(len(references.clip_ids))} clips"
    overall, rates = metric.overall(references, estimates), metric.summarise_rates(counts)
    rates = {name: replace(rate, micro=overall.get(name, rate.micro)) for name, rate in rates.items()}
    score = metric.summarise(counts)
    return CertifiedScores(references.classes, counts, score, metric.score_name, certified_by, rates, overall)


def _alike(references: Events, estimates: Events) -> tuple[Events, Events]:
    """Brings both sides to the clips of the references, named with an audio extension or without, and to all classes."""
    known = match_names(estimates.clip_ids, references.clip_ids)
    renamed = replace(estimates, clip_ids=tuple(known.get(name, name) for name in estimates.clip_ids))
    classes = list(dict.fromkeys(references.classes + estimates.classes))
    return references.over(references.clip_ids, classes), renamed.over(references.clip_ids, classes)


def sampled_clips(n_events: torch.Tensor, most: int | None) -> torch.Tensor | None:
    """Chooses the clips that the oracle counts: a quarter of the events from the fullest clips, the rest drawn at random.

    Args:
        n_events: references and estimates of each clip, int64 ``[clip]``.
        most: events that are counted at most; where each clip has more, the one with the fewest is chosen.

    Returns:
        Rising clip indices, the same for equal numbers; None where all clips are counted.
    """
    if most is None or int(n_events.sum()) <= most:
        return None
    busy = (n_events > 0).nonzero()[:, 0]
    fullest = busy[n_events[busy].argsort(descending=True, stable=True)]
    first = fullest[n_events[fullest].cumsum(0) <= most // 4]
    drawn = busy[torch.randperm(len(busy), generator=torch.Generator().manual_seed(0))]
    drawn, rest = drawn[~torch.isin(drawn, first)], most - int(n_events[first].sum())
    drawn = drawn[n_events[drawn] <= rest]
    drawn = drawn[n_events[drawn].cumsum(0) <= rest]
    chosen = torch.cat([first, drawn])
    return chosen.sort().values if len(chosen) else fullest[-1:]


def _grouped(n: int) -> str:
    """Returns a number with its thousands apart."""
    return f"{n:,}".replace(",", " ")
