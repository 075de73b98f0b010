"""A metric with counts of its own: was the alarm raised in the right clips, and how often in others?"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics import Counts, Metric


class ClipAlarms(Metric):
    """Clips in which a class was rightly announced, missed, or announced in vain; scored by their Jaccard index."""

    metric: Literal["clip_alarms"] = "clip_alarms"
    columns: ClassVar[tuple[str, ...]] = ("hits", "misses", "false_alarms")
    score_name: ClassVar[str] = "jaccard"

    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts clips of each class."""
        wanted, found = references.counts() > 0, estimates.counts() > 0
        return {
            "hits": (wanted & found).long(),
            "misses": (wanted & ~found).long(),
            "false_alarms": (~wanted & found).long(),
        }

    def score(self, counts: Counts) -> torch.Tensor:
        """Returns ``hits / (hits + misses + false alarms)``, NaN for a class that never occurs."""
        hits, misses, alarms = (counts[name] for name in self.columns)
        score = hits / (hits + misses + alarms).clamp(min=1)
        return torch.where(hits + misses > 0, score, torch.full_like(score, torch.nan))

    def output(self, counts: Counts) -> torch.Tensor:
        """Returns the number of announced clips."""
        return counts["hits"] + counts["false_alarms"]
