"""Event-based metric with collars, equal to sed_eval's count for count."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Intervals
from rl_postproc.metrics.event_based.collars import CollarMetric
from rl_postproc.metrics.event_based.event_lists import events_within_collars, match_events, match_levels
from rl_postproc.metrics.event_based.prepared import PreparedEventBased
from rl_postproc.metrics.event_based.sed_eval import certify


class EventBased(CollarMetric):
    """Events are right when onset and offset lie within their collars (Mesaros et al. 2016).

    A true positive has the reference's class, its onset within ``t_collar`` seconds, and its offset within
    ``max(t_collar, percentage_of_length · reference length)``. Each event matches at most once, and the matching is
    maximum (sed_eval's ``optimal``). The defaults are those of DCASE; sed_eval's own default percentage is 0.5. Without
    ``evaluate_offset`` onsets alone are compared, without ``evaluate_onset`` offsets alone.

    Source: "Metrics for polyphonic sound event detection", Applied Sciences 6 (2016).

    Example:
        >>> from rl_postproc import Events
        >>> from rl_postproc.metrics import EventBased
        >>> reference = Events.from_rows([("a", 1.0, 2.0, "Dog")], ["a"], ["Dog"])
        >>> late = Events.from_rows([("a", 1.3, 2.0, "Dog")], ["a"], ["Dog"])
        >>> {name: count.tolist() for name, count in EventBased().count(reference, late).items()}  # [clip, class]
        {'true_positives': [[0]], 'estimated': [[1]], 'reference': [[1]]}
        >>> EventBased(t_collar=0.5).count(reference, late)["true_positives"].tolist()
        [[1]]
    """

    metric: Literal["event_based"] = "event_based"
    most_certified: ClassVar[int | None] = 100_000

    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts any event list, overlapping events included."""
        matched = match_events(references, estimates, self)
        return {"true_positives": matched, "estimated": estimates.counts(), "reference": references.counts()}

    def right(self, references: Events, estimates: Events) -> torch.Tensor:
        """Returns which events lie within the collars of any reference."""
        return events_within_collars(references, estimates, self)

    def level_intervals(self, references: Events, estimates: Events, levels: torch.Tensor) -> dict[str, Intervals]:
        """Counts events that are kept up to a level each, at every level at once."""
        one = torch.ones(len(estimates), dtype=torch.int16, device=levels.device)
        estimated = Intervals(estimates.clip, torch.zeros_like(levels), levels, one)
        return {"true_positives": match_levels(references, estimates, levels, self), "estimated": estimated}

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        """Has sed_eval count the same events."""
        return certify(references, estimates, self, counts)

    def prepare(self, scores: ScoreSet) -> PreparedEventBased:
        """Finds the windows of admissible frames of each reference."""
        return PreparedEventBased.build(self, scores)
