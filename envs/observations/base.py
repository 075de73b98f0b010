"""What an observation is: a space, and a function from items to what is seen of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from gymnasium import spaces

from rl_postproc.task import TuningTask
from rl_postproc.utils.registry import Registered

Observed = torch.Tensor | dict[str, torch.Tensor]
Observer = Callable[[torch.Tensor, torch.Tensor | None], Observed]
"""Returns fresh observations of clips int64 ``[env]`` and, per class, of labels int64 ``[env]``."""


class Observation(Registered, ABC):
    """What an agent sees."""

    noun: ClassVar[str] = "observation"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.envs.observations",)

    observation: str
    splits_by_class: ClassVar[bool] = True
    """Whether the per-class environment can show it."""

    @abstractmethod
    def prepare(self, task: TuningTask, per_class: bool) -> tuple[spaces.Space, Observer]:
        """Returns the space of one environment's observation, and what gathers observations.

        Args:
            task: scores, stack and all that follows from them.
            per_class: whether an item is a clip and one class, or a clip with all its classes.
        """


class PreparedObservation:
    """An observation prepared for a task; copies and pickles prepare it anew, whatever its observer is made of."""

    def __init__(self, observation: Observation, task: TuningTask, per_class: bool):
        self._arguments = observation, task, per_class
        self.space, self._observer = observation.prepare(task, per_class)

    def __call__(self, clip: torch.Tensor, label: torch.Tensor | None) -> Observed:
        """See `Observer`."""
        return self._observer(clip, label)

    def __reduce__(self) -> tuple[type, tuple]:
        """Returns what builds an equal one."""
        return type(self), self._arguments


def unit_box(*shape: int) -> spaces.Box:
    """Returns the space of float32 values in [0, 1]."""
    return spaces.Box(0.0, 1.0, shape, np.float32)


def one_hot(task: TuningTask) -> torch.Tensor:
    """Returns the code of each class, float32 ``[class, class]``."""
    return torch.eye(task.scores.n_classes, device=task.device)
