"""Seven statistics of each track."""

from __future__ import annotations

from typing import Literal

import torch
from gymnasium import spaces

from rl_postproc.data.scores import ScoreSet
from rl_postproc.task import TuningTask

from .base import Observation, Observer, unit_box
from .scores import track_observer

N_SUMMARY = 7


class Summary(Observation):
    """Mean, deviation and maximum of a track, its fractions above 0.1, 0.5 and 0.9, and the clip's relative length."""

    observation: Literal["summary"] = "summary"

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        summary, n_classes = summarise(task.scores), task.scores.n_classes
        if per_class:
            return unit_box(N_SUMMARY + n_classes), track_observer(task, summary)
        return unit_box(n_classes * N_SUMMARY), lambda clip, label: summary[clip].flatten(1)


def summarise(scores: ScoreSet) -> torch.Tensor:
    """Returns the summary of every track, float32 ``[clip, class, 7]``."""
    x, n = scores.scores, scores.n_frames[:, None].float()
    mean = x.sum(-1) / n
    deviation = ((x.square().sum(-1) / n) - mean.square()).clamp(min=0).sqrt()
    above = [(x > level).sum(-1) / n for level in (0.1, 0.5, 0.9)]
    length = (n / scores.width).expand_as(mean)
    return torch.stack([mean, deviation, x.amax(-1), *above, length], -1).clamp(0, 1)
