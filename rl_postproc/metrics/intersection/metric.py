"""Intersection-based F1: an event is right where references cover it, a reference is found where right events cover it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Intervals, Metric, PreparedMetric
from rl_postproc.metrics.intersection.oracle import certify
from rl_postproc.metrics.intersection.ranked_counts import (
    Criteria,
    RankedCounts,
    Stretches,
    count_ranked,
    right_alone,
    with_length,
)
from rl_postproc.utils.level_runs import level_runs
from rl_postproc.utils.tensors import ragged_ranges

COLUMNS = ("true_positives", "false_positives", "reference")


class IntersectionBased(Metric):
    """F1 of the intersection-based evaluation, as psds_eval and sed_scores_eval have it (Bilen et al. 2020).

    An event is relevant where references of its class cover at least ``dtc`` of it, else it is a false positive. A reference
    is a true positive where relevant events cover at least ``gtc`` of it: several may share one, and one may find several.

    Source: "A framework for the robust evaluation of sound event detection", ICASSP 2020 (arXiv 1910.08440).

    Example:
        >>> from rl_postproc import Events
        >>> from rl_postproc.metrics import IntersectionBased
        >>> reference = Events.from_rows([("a", 0.0, 4.0, "Dog")], ["a"], ["Dog"])
        >>> halves = Events.from_rows([("a", 0.0, 1.5, "Dog"), ("a", 2.0, 4.0, "Dog")], ["a"], ["Dog"])
        >>> {name: count.tolist() for name, count in IntersectionBased().count(reference, halves).items()}  # [clip, class]
        {'true_positives': [[1]], 'false_positives': [[0]], 'reference': [[1]]}
    """

    metric: Literal["intersection_based"] = "intersection_based"
    dtc: float = Field(0.5, gt=0, le=1, description="share of an event that references must cover")
    gtc: float = Field(0.5, gt=0, le=1, description="share of a reference that relevant events must cover")

    columns: ClassVar[tuple[str, ...]] = COLUMNS
    most_certified: ClassVar[int | None] = 100_000

    @property
    def criteria(self) -> Criteria:
        """When an event is relevant and a reference found."""
        return Criteria(self.dtc, self.gtc)

    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts any event list; events without length are none."""
        return _summed(_ranked(references, Stretches.of_events(estimates), self.criteria))

    def score(self, counts: Counts) -> torch.Tensor:
        """Returns F1, ``2·TP / (TP + FP + reference)``, NaN without references."""
        hits, false, reference = (counts[name] for name in COLUMNS)
        return (2 * hits / (hits + false + reference).clamp(min=1)).masked_fill(reference <= 0, torch.nan)

    def rates(self, counts: Counts) -> dict[str, torch.Tensor]:
        """Returns precision, ``TP / (TP + FP)``, and recall, NaN without references."""
        hits, false, reference = (counts[name] for name in COLUMNS)
        found = {"precision": hits / (hits + false).clamp(min=1), "recall": hits / reference.clamp(min=1)}
        return {name: rate.masked_fill(reference <= 0, torch.nan) for name, rate in found.items()}

    def output(self, counts: Counts) -> torch.Tensor:
        """Returns the number of false positives."""
        return counts["false_positives"]

    def right(self, references: Events, estimates: Events) -> torch.Tensor:
        """Returns which events are relevant and cover enough of a reference by themselves."""
        high = estimates.confidence
        whole = Stretches(estimates.clip, estimates.label, estimates.onset, estimates.offset, high, high)
        return right_alone(references, whole, self.criteria)[1]

    def level_intervals(self, references: Events, estimates: Events, levels: torch.Tensor) -> dict[str, Intervals]:
        """Counts events that are kept up to a level each, at every level at once."""
        high = levels.double()
        whole = Stretches(estimates.clip, estimates.label, estimates.onset, estimates.offset, high * 0 - 1, high)
        counts = _ranked(references, whole.select(estimates.offset > estimates.onset), self.criteria)
        return {name: _from_zero(counts.clip, counts.value.long(), change)
                for name, change in _changes(counts).items()}  # fmt: skip

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        """Has sed_scores_eval or psds_eval count the same events, where one is installed."""
        return certify(references, estimates, self.criteria, counts)

    def prepare(self, scores: ScoreSet) -> PreparedIntersection:
        """Takes the references."""
        references = scores.require_references()
        own = with_length(references)
        return PreparedIntersection({"reference": own.counts()}, scores, own, self.criteria)


@dataclass(frozen=True)
class PreparedIntersection(PreparedMetric):
    """The references, and the frames on which runs lie."""

    fixed: Counts
    scores: ScoreSet
    references: Events
    criteria: Criteria
    columns = ("true_positives", "false_positives")

    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, Intervals]:
        """See `PreparedMetric.intervals`: every run at any level is an event between two thresholds."""
        n_classes = self.scores.n_classes
        frames = self.scores.frames_of(clips)
        found = level_runs(values)
        n_tracks = values.shape[2]
        own = found.track if tracks is None else tracks[found.track]
        onset, offset = frames.onset_times(own, found.first), frames.offset_times(own, found.last)
        # Each filtered track is a clip by itself, with the references of its clip and class.
        row = found.filter * n_tracks + found.track
        cells = torch.arange(n_tracks, device=values.device) if tracks is None else tracks
        references = _of_cells(self.references, clips, n_classes, cells.repeat(len(values)))
        stretches = Stretches(row, torch.zeros_like(row), onset, offset, found.low.double(), found.high.double())
        longer = offset > onset
        counts = _ranked(references, stretches.select(longer), self.criteria)
        dtype = values.dtype
        return tuple(_from_zero(counts.clip, counts.value.to(dtype), change) for change in _changes(counts).values())  # type: ignore[return-value]


def _of_cells(references: Events, clips: slice, n_classes: int, cells: torch.Tensor) -> Events:
    """Returns the references of tracks of consecutive clips as those of one class in as many clips."""
    key = references.clip * n_classes + references.label
    wanted = cells + clips.start * n_classes
    first = torch.searchsorted(key, wanted)
    row, index = ragged_ranges(first, torch.searchsorted(key, wanted, right=True) - first)
    columns = (
        row,
        torch.zeros_like(row),
        references.onset[index],
        references.offset[index],
        references.confidence[index],
    )
    return Events(("",) * len(cells), ("",), *columns)


def _ranked(references: Events, stretches: Stretches, criteria: Criteria) -> RankedCounts:
    """Counts at every threshold, where rates by time are not asked for."""
    return count_ranked(references, stretches, torch.zeros(len(references.clip_ids)), criteria)


def _changes(counts: RankedCounts) -> dict[str, torch.Tensor]:
    return {"true_positives": counts.true_positives, "false_positives": counts.false_positives}


def _from_zero(track: torch.Tensor, value: torch.Tensor, change: torch.Tensor) -> Intervals:
    """Returns changes as intervals of thresholds from 0 on."""
    some = change != 0
    return Intervals(track[some], torch.zeros_like(value[some]), value[some], change[some].to(torch.int16))


def _summed(counts: RankedCounts) -> Counts:
    """Returns the counts at a threshold below all, ``[clip, class]``."""
    n_classes = counts.reference.shape[1]
    cell = counts.clip * n_classes + counts.label
    found = {}
    for name, change in _changes(counts).items():
        total = torch.zeros(counts.reference.numel(), dtype=torch.int64, device=cell.device)
        found[name] = total.index_add_(0, cell, change.long()).reshape(counts.reference.shape)
    return {**found, "reference": counts.reference}
