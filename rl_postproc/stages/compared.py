"""Scores that are compared with a few thresholds alone: filters need to know no more of them than these comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch

from rl_postproc.stages.base import Stage


@dataclass(frozen=True)
class Ranks:
    """What stands for scores, and for the parameter values that they are compared with, where monotone filters come first.

    Attributes:
        thresholds: of each track, float32 ``[threshold, track]``.
        values: of all parameters, ``[track, parameter]``, in which the place of each threshold among them stands for it.
    """

    thresholds: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, stages: Sequence[Stage], values: torch.Tensor) -> Ranks | None:
        """Returns it for stages with values ``[track, parameter]``, None where scores themselves are needed, or no filter."""
        filters = list(takewhile(lambda stage: stage.gives == "scores", stages))
        decides = stages[len(filters)]
        if not filters or not decides.compares or not all(stage.monotone for stage in filters):
            return None
        return cls.of_decision(decides, values, sum(len(stage.parameters) for stage in filters))

    @classmethod
    def of_decision(cls, stage: Stage, values: torch.Tensor, first: int = 0) -> Ranks:
        """Returns it for a stage that compares, whose parameters begin at a column of the values ``[track, parameter]``."""
        columns = [first + i for i, name in enumerate(stage.parameters) if name in stage.compares]
        thresholds, ranked = values[:, columns].float(), values.clone()
        ranked[:, columns] = (thresholds[:, None] < thresholds[:, :, None]).sum(2).to(values.dtype)
        return cls(thresholds.T.contiguous(), ranked)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Returns how many thresholds of its track are below each score, uint8, from float32 ``[frame, track]``."""
        found = torch.zeros(x.shape, dtype=torch.uint8, device=x.device)
        for threshold in self.thresholds:
            found += x > threshold
        return found
