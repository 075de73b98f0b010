"""The score of the single clip: a mean of ratios, which is not what is reported."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from .base import Decided, Reward


class ClipF1(Reward):
    """Mean score (F1) of the clip over the classes that occur in references or output; 1 where none does.

    A mean of ratios: what it optimises is not the F1 that is reported.
    """

    reward: Literal["clip_f1"] = "clip_f1"
    splits_by_class: ClassVar[bool] = False

    def __call__(self, decided: Decided) -> torch.Tensor:
        """Returns the mean of the clip's own scores."""
        counts = {name: decided.counts[:, i].float() for i, name in enumerate(decided.metric.columns)}
        score = decided.metric.score(counts)
        # A class without references has no score, but false alarms make it occur.
        occurs = ~score.isnan() | (decided.metric.output(counts) > 0)
        n = occurs.sum(-1)
        return torch.where(n > 0, score.nan_to_num(0.0).sum(-1) / n.clamp(min=1), 1.0)
