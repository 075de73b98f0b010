"""Segment-based metric, equal to sed_eval's count for count."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Intervals
from rl_postproc.metrics.f1 import DETECTION, F1Metric
from rl_postproc.metrics.segment_based.prepared import PreparedSegmentBased
from rl_postproc.metrics.segment_based.sed_eval import certify
from rl_postproc.metrics.segment_based.segments import paired, segments_of, stretches
from rl_postproc.utils.tensors import ragged_ranges


class SegmentBased(F1Metric):
    """Segments of equal length are right where references and estimates of a class are both active (Mesaros et al. 2016).

    A segment is active where an event touches it. The counts are numbers of segments: true positives, estimated and
    reference. Beside F1 there is the error rate: deletions (missed segments) and insertions (false alarms) over reference
    segments. Over all classes together, a miss and a false alarm in one segment are one substitution instead, so that the
    overall error rate does not follow from the counts of the classes: `overall` gives it.

    Source: "Metrics for polyphonic sound event detection", Applied Sciences 6 (2016).

    Example:
        >>> from rl_postproc import Events, evaluate
        >>> from rl_postproc.metrics import SegmentBased
        >>> reference = Events.from_rows([("a", 0.0, 4.0, "Dog")], ["a"], ["Dog"])
        >>> estimate = Events.from_rows([("a", 0.0, 3.0, "Dog")], ["a"], ["Dog"])
        >>> found = evaluate(reference, estimate, SegmentBased(segment_length=1.0))
        >>> found.rates["recall"].macro, found.certified_by.split()[0]
        (0.75, 'sed_eval')
    """

    metric: Literal["segment_based"] = "segment_based"
    most_certified: ClassVar[int | None] = 50_000
    segment_length: float = Field(default=1.0, ge=0.001, le=3600, description="length of a segment in seconds")

    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts the segments of any event list, overlapping events included."""
        shape = len(references.clip_ids), len(references.classes)
        tables = (references,), (estimates,), (references, estimates)
        wanted, found, either = (
            stretches(self.segment_length, *own).sizes(shape[0] * shape[1]).reshape(shape) for own in tables
        )
        return {"true_positives": wanted + found - either, "estimated": found, "reference": wanted}

    def rates(self, counts: Counts) -> dict[str, torch.Tensor]:
        """Returns precision, recall and the error rate with its two parts, NaN without references."""
        hits, estimated, reference = (counts[name] for name in DETECTION)
        rates = super().rates(counts)
        for name, errors in (
            ("error_rate", estimated + reference - 2 * hits),
            ("deletion_rate", reference - hits),
            ("insertion_rate", estimated - hits),
        ):
            rates[name] = (errors / reference.clamp(min=1)).masked_fill(reference <= 0, torch.nan)
        return rates

    def overall(self, references: Events, estimates: Events) -> dict[str, float]:
        """Returns substitutions, deletions and insertions of all classes together, and their rates."""
        wanted, found = (stretches(self.segment_length, events) for events in (references, estimates))
        either = stretches(self.segment_length, references, estimates)
        n_wanted, n_found, n_either = (int((own.stop - own.first).sum()) for own in (wanted, found, either))
        n_paired, hits = paired(wanted, found, len(references.classes)), n_wanted + n_found - n_either
        errors = {
            "substitutions": n_paired - hits,
            "deletions": n_wanted - n_paired,
            "insertions": n_found - n_paired,
        }
        rates = {f"{name[:-1]}_rate": n / n_wanted if n_wanted else 0.0 for name, n in errors.items()}
        return {**errors, "error_rate": sum(rates.values()), **rates}

    def level_intervals(self, references: Events, estimates: Events, levels: torch.Tensor) -> dict[str, Intervals]:
        """Counts events that are kept up to a level each, at every level at once: a segment is there below the highest."""
        first, stop = segments_of(estimates.onset, estimates.offset, self.segment_length)
        event, segment = ragged_ranges(first, (stop - first).clamp(min=0))
        wanted = stretches(self.segment_length, references)
        n_classes = len(references.classes)
        span = int(torch.cat([stop, wanted.stop, stop.new_zeros(1)]).max()) + 1
        key, place = torch.unique(estimates.clip[event] * span + segment, return_inverse=True)
        high = levels.new_zeros(len(key)).scatter_reduce_(0, place, levels[event], "amax")
        # Stretches are apart, so that the last one to begin at or before a segment tells whether the segment is in one.
        clip = wanted.cell // n_classes
        last = torch.searchsorted(clip * span + wanted.first, key, right=True)
        stops = torch.nn.functional.pad(clip * span + wanted.stop, (1, 0))
        hit = key < stops[last]
        one = torch.ones((), dtype=torch.int16, device=key.device)

        def below(chosen: torch.Tensor) -> Intervals:
            top = high[chosen]
            return Intervals(key[chosen] // span, torch.zeros_like(top), top, one.expand(len(top)))

        return {"true_positives": below(hit), "estimated": below(torch.ones_like(hit))}

    def work(self, references: Events, estimates: Events) -> torch.Tensor:
        """Returns the events of each clip and a tenth of its segments, by which sed_eval's time goes."""
        segments = torch.zeros(len(references.clip_ids), dtype=torch.int64)
        for events in (references, estimates):
            stop = segments_of(events.onset, events.offset, self.segment_length)[1]
            segments.scatter_reduce_(0, events.clip, stop, "amax")
        return super().work(references, estimates) + segments // 10

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        """Has sed_eval count the same segments."""
        return certify(references, estimates, self, counts)

    def prepare(self, scores: ScoreSet) -> PreparedSegmentBased | None:
        """Finds the frames that touch each segment; None where a clip has too many segments for the tables."""
        return PreparedSegmentBased.build(self.segment_length, scores)
