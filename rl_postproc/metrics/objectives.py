"""Objectives: differentiable functions of summed counts, and the reward of a single clip that follows from each.

A search compares the values of an objective. An agent that decides clip by clip needs a reward for each clip at once: the
objective's gradient at the counts that have been reached, times the counts of the clip. For macro F1 that is
``weight_c · (2·TP − λ_c · (estimated + reference))`` with ``λ_c`` the F1 of class c, which the policy maximises that
maximises macro F1 (Dinkelbach 1967); no other objective needs a derivation of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch

from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.utils.registry import Registered


class Objective(Registered, ABC):
    """What tuning maximises: a differentiable function of the counts summed over clips."""

    noun: ClassVar[str] = "objective"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.metrics.objectives",)

    objective: str

    @abstractmethod
    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the objective ``[...]`` of floating-point counts ``[..., class]``."""

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor | None:
        """Returns terms ``[..., class]`` whose mean over the classes is the objective, so that classes may be searched apart.

        NaN marks classes without a term. None where the objective does not split by class.
        """
        return None

    def linearise(self, metric: Metric, counts: Counts, n_clips: int) -> Linearisation:
        """Returns the linear function of counts that touches the objective at summed counts ``[class]``, by autograd.

        It is scaled so that its mean over ``n_clips`` clips is, to first order, the objective's gain.
        """
        leaves = {name: counts[name].double().requires_grad_() for name in metric.columns}
        gradients = torch.autograd.grad(self.value(metric, leaves), list(leaves.values()), allow_unused=True)
        rows = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves.values(), strict=True)]
        return Linearisation.of_gradient(metric.columns, n_clips * torch.stack(rows))


class Macro(Objective):
    """The mean over classes of the metric's score, for F1 metrics macro F1."""

    objective: Literal["macro"] = "macro"

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the mean over the classes whose score is defined, 0 where none is."""
        return metric.score(counts).nanmean(-1).nan_to_num(0.0)

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the score of each class."""
        return metric.score(counts)


@dataclass(frozen=True)
class Linearisation:
    """A reward that is linear in the counts of a clip: ``Σ_class scale · Σ_column slope · count``.

    Attributes:
        columns: names of the counts.
        scale: how much each class matters, float32 ``[class]``; 0 for classes that the objective leaves out.
        slope: float32 ``[column, class]``, the largest in size of each class ±2: for F1 true positives have slope 2,
            estimates and references −λ.
    """

    columns: tuple[str, ...]
    scale: torch.Tensor
    slope: torch.Tensor

    @classmethod
    def of_gradient(cls, columns: tuple[str, ...], gradient: torch.Tensor) -> Linearisation:
        """Takes a gradient, float64 ``[column, class]``."""
        scale = gradient.abs().amax(0) / 2
        slope = torch.where(scale > 0, gradient / torch.where(scale > 0, scale, 1.0), 0.0)
        return cls(tuple(columns), scale.float(), slope.float())

    def reward(self, counts: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the reward of each class, float32 ``[..., class]``.

        Args:
            counts: ``[..., column, class]``, or ``[env, column, 1]`` with ``labels``.
            labels: the class that each row of counts belongs to, int64 ``[env]``.
        """
        total = None
        for slope, columns in self._groups:
            # Columns of equal slope are added first, as whole numbers without rounding.
            count = counts[..., columns[0], :]
            for column in columns[1:]:
                count = count + counts[..., column, :]
            term = (slope if labels is None else slope[labels, None]) * count
            total = term if total is None else total + term
        assert total is not None
        return (self.scale if labels is None else self.scale[labels, None]) * total

    @cached_property
    def _groups(self) -> list[tuple[torch.Tensor, list[int]]]:
        groups: list[tuple[torch.Tensor, list[int]]] = []
        for column, slope in enumerate(self.slope):
            same = next((members for known, members in groups if torch.equal(known, slope)), None)
            if same is None:
                groups.append((slope, [column]))
            else:
                same.append(column)
        return groups

    @property
    def lam(self) -> torch.Tensor:
        """The price λ of one estimate where a true positive is worth 2, float32 ``[class]``: for F1 the F1 reached."""
        # `+ 0.0` makes the -0.0 of a class without references a 0.0.
        return -self.slope[self.columns.index("estimated")] + 0.0

    def to(self, device: torch.device | str) -> Linearisation:
        """Returns the same on another device."""
        return Linearisation(self.columns, self.scale.to(device), self.slope.to(device))
