"""What a reward is: a pure function of what a step of all environments has decided."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.objectives import Linearisation
from rl_postproc.utils.registry import Registered


@dataclass(frozen=True)
class Decided:
    """What one step of all environments has decided.

    Attributes:
        metric: what is counted.
        counts: the metric's columns of the step, int32 ``[env, column, class]``, or ``[env, column, 1]`` per class.
        label: the class decided per class, int64 ``[env]``, or None.
        point: the objective's linearisation, over all classes.
        objective: objective over the clips of the pass so far, float32 ``[env]``.
        pass_over: whether the pass has ended, bool ``[env]``.
        n_clips: number of clips of a pass.
    """

    metric: Metric
    counts: torch.Tensor
    label: torch.Tensor | None
    point: Linearisation
    objective: torch.Tensor
    pass_over: torch.Tensor
    n_clips: int


class Reward(Registered, ABC):
    """What a step is paid."""

    noun: ClassVar[str] = "reward"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.envs.rewards",)

    reward: str
    pays_at_end: ClassVar[bool] = False
    """Whether it is 0 until a pass over the clips ends, so that an episode must be a pass."""
    splits_by_class: ClassVar[bool] = True
    """Whether the rewards of a clip's classes, decided one by one, add up to the reward of deciding them together."""

    @abstractmethod
    def __call__(self, decided: Decided) -> torch.Tensor:
        """Returns the rewards, float32 ``[env]``."""
