"""The number of what is decided, for policies that hold features of their own for each item."""

from __future__ import annotations

from typing import Literal

import numpy as np
from gymnasium import spaces

from rl_postproc.task import TuningTask

from .base import Observation, Observer


class Item(Observation):
    """The number of the clip (times the classes, plus the class), for policies that keep features of their own."""

    observation: Literal["item"] = "item"

    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """See `Observation.prepare`."""
        n_classes = task.scores.n_classes
        space = spaces.Box(0, task.scores.n_clips * (n_classes if per_class else 1) - 1, (1,), np.int64)
        return space, lambda clip, label: (clip if label is None else clip * n_classes + label)[:, None].clone()
