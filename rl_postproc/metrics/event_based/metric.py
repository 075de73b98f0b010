"""Event-based metric with collars, equal to sed_eval's count for count."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts
from rl_postproc.metrics.event_based.event_lists import match_events
from rl_postproc.metrics.event_based.prepared import PreparedEventBased
from rl_postproc.metrics.event_based.sed_eval import certify
from rl_postproc.metrics.f1 import F1Metric


class EventBased(F1Metric):
    """Events are right when onset and offset lie within their collars (Mesaros et al. 2016).

    A true positive has the reference's class, its onset within ``t_collar`` seconds, and its offset within
    ``max(t_collar, percentage_of_length · reference length)``. Each event matches at most once, and the matching is
    maximum (sed_eval's ``optimal``). The defaults are those of DCASE; sed_eval's own default percentage is 0.5.

    Source: "Metrics for polyphonic sound event detection", Applied Sciences 6 (2016).
    """

    metric: Literal["event_based"] = "event_based"
    t_collar: float = Field(default=0.2, gt=0, description="collar of onsets in seconds, and the least of offsets")
    percentage_of_length: float = Field(default=0.2, ge=0, le=1, description="offset collar as a share of the length")
    comparison: Literal["exact", "tolerant"] = Field(
        default="exact", description="compare doubles as sed_eval does, or round to 6 decimals as sed_scores_eval does"
    )

    def within(self, difference: torch.Tensor, collar: torch.Tensor | float) -> torch.Tensor:
        """Whether differences in seconds (float64) lie within a collar."""
        difference = difference.abs()
        if self.comparison == "tolerant":
            return (difference - collar).round(decimals=6) <= 0
        return difference <= collar

    def offset_collar(self, references: Events) -> torch.Tensor:
        """Returns the offset collar of each reference in seconds, float64 ``[reference]``."""
        length = references.offset - references.onset
        return (self.percentage_of_length * length).clamp(min=self.t_collar)

    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts any event list, overlapping events included."""
        matched = match_events(references, estimates, self)
        return {"true_positives": matched, "estimated": estimates.counts(), "reference": references.counts()}

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        """Has sed_eval count the same events."""
        return certify(references, estimates, self, counts)

    def prepare(self, scores: ScoreSet) -> PreparedEventBased:
        """Finds the windows of admissible frames of each reference."""
        return PreparedEventBased.build(self, scores)
