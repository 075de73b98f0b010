"""Objectives: differentiable functions of summed counts, and the reward of a single clip that follows from each.

A search compares the values of an objective. An agent that decides clip by clip needs a reward for each clip at once: the
objective's gradient at the counts that have been reached, times the counts of the clip. For macro F1 that is
``weight_c · (2·TP − λ_c · (estimated + reference))`` with ``λ_c`` the F1 of class c, which the policy maximises that
maximises macro F1 (Dinkelbach 1967); no other objective needs a derivation of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.registry import Registered


class Objective(Registered, ABC):
    """What tuning maximises: a differentiable function of the counts summed over clips."""

    noun: ClassVar[str] = "objective"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.metrics.objectives",)
    needs: ClassVar[tuple[str, ...]] = ()
    """Columns that a metric must count."""

    objective: str

    @abstractmethod
    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the objective ``[...]`` of floating-point counts ``[..., class]``, the more the better."""

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor | None:
        """Returns terms ``[..., class]`` whose mean over the classes is the objective, so that classes may be searched apart.

        NaN marks classes without a term. None where the objective does not split by class.
        """
        return None

    @property
    def pooled(self) -> bool:
        """Whether it is a ratio of sums over classes and counts, so that it splits by class at each value of the ratio."""
        return False

    @property
    def constrained(self) -> bool:
        """Whether there is a minimum that settings of a class must reach; its terms are negative where they do not."""
        return False

    def called(self, metric: Metric) -> str:
        """Returns what results call the objective of a metric, such as ``macro_f1``."""
        return f"{self.name}_{metric.score_name}"

    def columns_needed(self, metric: Metric) -> tuple[str, ...]:
        """Returns the columns that it takes of a metric, by default `needs`."""
        return self.needs

    def check(self, metric: Metric, classes: Sequence[str]) -> None:
        """Says before any work what does not fit.

        Raises:
            UserError: the metric lacks a column, or a setting names a class that is not there.
        """
        needed = self.columns_needed(metric)
        missing = [name for name in needed if name not in metric.columns]
        if missing:
            raise UserError(f"The objective '{self.name}' is made of {_listed(needed)}, but the metric '{metric.name}' "
                            f"does not count {_listed(missing[:1])}; use one for any metric, such as 'macro'.")  # fmt: skip

    def on(self, scores: ScoreSet) -> Objective:
        """Returns the objective that knows the clips: their classes, where settings name some, and their length."""
        return self

    def at(self, labels: torch.Tensor) -> Objective:
        """Returns the objective whose class at each place is the given one, int64 ``[place]``."""
        return self

    def quality(self, metric: Metric, counts: Counts) -> torch.Tensor | None:
        """Returns what orders the settings of a class as `class_terms` does, and needs no other class, ``[..., class]``."""
        return self.class_terms(metric, counts)

    def smoothed_terms(
        self, metric: Metric, counts: Counts, smooth: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor | None:
        """Returns `class_terms` of figures that are smoothed first.

        Args:
            metric: what was counted.
            counts: floating point ``[candidate, class]``.
            smooth: smooths figures ``[candidate, class]`` over the candidates.
        """
        terms = self.class_terms(metric, counts)
        return None if terms is None else smooth(terms)

    def reported(self) -> Objective:
        """Returns what figures on other clips are reported of: the same without what tuning allows for."""
        return self

    def of_minimum(self, metric: Metric, counts: Counts) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns what counts ``[class]`` reach of the minimum, NaN without references, and the minimum, 0 for none."""
        none = torch.zeros_like(counts[metric.columns[0]])
        return none, none

    def missed(self, metric: Metric, counts: Counts, classes: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Returns, for the classes whose counts ``[class]`` miss a minimum, what they reach and the minimum."""
        return {}

    def unmet(self, metric: Metric, counts: Counts, classes: Sequence[str], where: str) -> str | None:
        """Returns a sentence on the classes whose counts ``[class]`` on some clips miss a minimum; None where none do."""
        return None

    def gradient(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the gradient at summed counts ``[class]`` by autograd, float64 ``[column, class]``."""
        return gradient_of(lambda leaves: self.value(metric, leaves), metric.columns, counts)

    def linearise(
        self, metric: Metric, counts: Counts, n_clips: int, before: Linearisation | None = None
    ) -> Linearisation:
        """Returns the linear function of counts that touches the objective at summed counts ``[class]``.

        It is scaled so that its mean over ``n_clips`` clips is, to first order, the objective's gain.

        Args:
            metric: what was counted.
            counts: where it touches.
            n_clips: number of clips.
            before: the one that has led to these counts, from which the prices of a minimum move on.
        """
        return Linearisation.of_gradient(metric.columns, n_clips * self.gradient(metric, counts))


def gradient_of(function: Callable[[Counts], torch.Tensor], columns: Sequence[str], counts: Counts) -> torch.Tensor:
    """Returns the gradient of a function of counts ``[class]``, float64 ``[column, class]``."""
    leaves = {name: counts[name].detach().double().clone().requires_grad_() for name in columns}
    gradients = torch.autograd.grad(function(leaves), list(leaves.values()), allow_unused=True)
    rows = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves.values(), strict=True)]
    return torch.stack(rows)


def _listed(names: Sequence[str]) -> str:
    """Returns names for a sentence."""
    plain = [name.replace("_", " ") for name in names]
    return plain[0] if len(plain) == 1 else f"{', '.join(plain[:-1])} and {plain[-1]}"


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
        price = -self.slope[self.columns.index("estimated")]
        if "true_positives" in self.columns:
            worth = self.slope[self.columns.index("true_positives")] / 2
            price = torch.where(worth > 0, price / torch.where(worth > 0, worth, 1.0), price)
        # `+ 0.0` makes the -0.0 of a class without references a 0.0.
        return price + 0.0

    def priced(self, lam: torch.Tensor) -> Linearisation:
        """Returns the same with other prices λ of an estimate, ``[class]``; classes that are left out stay so."""
        slope, estimated = self.slope.clone(), self.columns.index("estimated")
        worth = slope[self.columns.index("true_positives")] / 2
        slope[estimated] = torch.where(self.scale > 0, -lam.to(slope.dtype) * worth, slope[estimated])
        return replace(self, slope=slope)

    def to(self, device: torch.device | str) -> Linearisation:
        """Returns the same on another device."""
        return Linearisation(self.columns, self.scale.to(device), self.slope.to(device))
