"""The best of one rate under a minimum of another: F1 at a precision, precision at a recall.

Settings of a class that reach the minimum are ordered by what is aimed at; others come after them, by how much of the
minimum they reach. The term of a class is the one in [0, 1], or what is lacking, below 0: the objective is their mean.

An agent that decides clip by clip takes a price from it. Its reward in a class is ``2·TP − λ·estimated`` as for F1, only that
λ is raised (for a recall lowered) until the minimum is reached: a multiplier μ ≥ 0 on ``TP − minimum · estimated`` beside F1
changes nothing but λ, which grows from F1 at μ = 0 to twice the minimum at μ = ∞, the price at which an event must be right
as probably as the minimum says. So λ stands for the multiplier, and moves after each pass by what is lacking.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import ClassVar, Literal

import torch
from pydantic import Field, PrivateAttr
from typing_extensions import Self

from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.metrics.f1 import DETECTION, f1
from rl_postproc.metrics.objectives.averages import mean_of_known
from rl_postproc.metrics.objectives.base import Linearisation, gradient_of
from rl_postproc.metrics.objectives.per_class import OfClasses, Share

_STEP, _MOST, _BACK = 2.0, 1.9, 0.8
"""How far the price moves for what is lacking, its highest value, and its factor where nothing was detected at all."""

_ROUNDING = 1e-12
"""What is lacking by rounding alone is not lacking."""

_NAMED = 5
"""Classes that a sentence names."""


def lower_bound(right: torch.Tensor, of: torch.Tensor, z: float = 0.0) -> torch.Tensor:
    """Returns the share of what is right, or a lower bound of what it is beyond these clips; 0 of nothing.

    Args:
        right: floating point, any shape.
        of: number of trials, of a shape that broadcasts.
        z: standard errors that the bound lies below; 0 for the share itself.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    n = of.clamp(min=1e-9)
    share = (right / n).clamp(max=1)
    if z:
        # The root of exactly 0 has no gradient.
        spread = (share * (1 - share) / n + z**2 / (4 * n**2)).clamp(min=1e-30).sqrt()
        share = (share + z**2 / (2 * n) - z * spread) / (1 + z**2 / n)
    return torch.where(of > 0, share, 0.0)


class Constrained(OfClasses):
    """The best of one rate under a minimum of another, in each class."""

    needs: ClassVar[tuple[str, ...]] = DETECTION
    rate: ClassVar[str]
    """What has a minimum."""
    confidence: float | None = Field(
        default=None,
        gt=0.5,
        lt=1,
        description="reach the minimum by a lower bound (Wilson) of what as many other clips give, which is so sure",
    )
    _margin: float | None = PrivateAttr(None)

    @abstractmethod
    def minimum(self, like: torch.Tensor) -> torch.Tensor | float:
        """Returns the minimum of each class, ``[class]``, or the one of all; 0 asks for nothing."""

    @abstractmethod
    def aim(self, counts: Counts) -> torch.Tensor:
        """Returns what is maximised where the minimum is reached, ``[..., class]`` in [0, 1], NaN without references."""

    @abstractmethod
    def reached(self, counts: Counts) -> torch.Tensor:
        """Returns what must reach the minimum, ``[..., class]``."""

    @abstractmethod
    def _moved(self, lam: torch.Tensor, lacking: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        """Returns the next prices λ ``[class]``, from those that have led to what is lacking, and those of the aim alone."""

    def with_margin(self, z: float) -> Self:
        """Returns the same with a minimum that must be exceeded by so many standard errors, in place of its confidence."""
        copy = self.model_copy()
        copy._margin = z
        return copy

    @property
    def margin(self) -> float:
        """Standard errors by which the minimum must be exceeded."""
        if self._margin is not None:
            return self._margin
        # Other clips, as many, err as much again.
        return 0.0 if self.confidence is None else 2**0.5 * NormalDist().inv_cdf(self.confidence)

    @property
    def constrained(self) -> bool:
        """See `Objective.constrained`."""
        return True

    def value(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the mean of the terms over the classes with references, 0 where there are none."""
        return mean_of_known(self.class_terms(metric, counts))

    def class_terms(self, metric: Metric, counts: Counts) -> torch.Tensor:
        """Returns the aim of each class where the minimum is reached, else what is lacking, below 0."""
        return self._terms(self.aim(counts), self.lacking(counts))

    def smoothed_terms(
        self, metric: Metric, counts: Counts, smooth: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Returns terms of the smoothed aim; what lacks the minimum before smoothing or after comes after what does not."""
        lacking, aim = self.lacking(counts), self.aim(counts)
        # What reaches the minimum on a slope that does not comes last of what reaches it, and before all that does not.
        terms = self._terms(smooth(aim), smooth(lacking))
        return torch.where((lacking > _ROUNDING) & ~aim.isnan(), -1 - lacking, terms)

    def lacking(self, counts: Counts) -> torch.Tensor:
        """Returns how much the counts lack of the minimum, ``[..., class]``, at most 0 where they reach it."""
        return self.minimum(counts["estimated"]) - self.reached(counts)

    def reported(self) -> Constrained:
        """Returns the same without a confidence."""
        if self.confidence is None:
            return self
        return self.model_copy(update={"confidence": None})

    def of_minimum(self, metric: Metric, counts: Counts) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Objective.of_minimum`."""
        counts = {name: counts[name].double() for name in DETECTION}
        reached = self.reached(counts)
        minimum = torch.as_tensor(self.minimum(reached), dtype=reached.dtype).expand(len(reached))
        return reached.masked_fill(counts["reference"] <= 0, torch.nan), minimum

    def missed(self, metric: Metric, counts: Counts, classes: Sequence[str]) -> dict[str, tuple[float, float]]:
        """See `Objective.missed`."""
        reached, minimum = self.of_minimum(metric, counts)
        lacking = (minimum - reached > _ROUNDING).nonzero()[:, 0].tolist()
        return {str(classes[k]): (float(reached[k]), float(minimum[k])) for k in lacking}

    def unmet(self, metric: Metric, counts: Counts, classes: Sequence[str], where: str) -> str | None:
        """See `Objective.unmet`."""
        found = self.missed(metric, counts, classes)
        if not found:
            return None
        named = [f"'{name}' reaches {got:.3f} of {least:g}" for name, (got, least) in list(found.items())[:_NAMED]]
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        sure = f" with confidence {self.confidence:g}" if self.confidence is not None else ""
        n = int((counts["reference"] > 0).sum())
        return (f"The minimum {self.rate}{sure} is not met on {where} for {len(found)} of {n} classes with "
                f"references: {', '.join(named)}{more}.")  # fmt: skip

    def linearise(
        self, metric: Metric, counts: Counts, n_clips: int, before: Linearisation | None = None
    ) -> Linearisation:
        """See `Objective.linearise`; without one before, the price suits evenly spread probabilities."""
        plain = {name: counts[name].double() for name in metric.columns}
        gradient = gradient_of(lambda own: mean_of_known(_f1_of(own)), metric.columns, plain)
        point = Linearisation.of_gradient(metric.columns, n_clips * gradient)
        lacking = self.lacking(plain)
        if before is None:
            return point.priced(self._first(plain, point.lam.double()))
        moved = self._moved(before.lam.double(), lacking, point.lam.double())
        silent = (plain["estimated"] <= 0) & (plain["reference"] > 0)
        return point.priced(torch.where(silent, _BACK * before.lam.double(), moved))

    @abstractmethod
    def _first(self, counts: Counts, free: torch.Tensor) -> torch.Tensor:
        """Returns the prices λ ``[class]`` to begin with, given those of the aim alone."""

    @staticmethod
    def _terms(aim: torch.Tensor, lacking: torch.Tensor) -> torch.Tensor:
        # NaN of a class without references stays.
        return torch.where((lacking > _ROUNDING) & ~aim.isnan(), -lacking, aim)


def _f1_of(counts: Counts) -> torch.Tensor:
    return f1(counts["true_positives"], counts["estimated"], counts["reference"])


class F1AtPrecision(Constrained):
    """F1 under a minimum precision: of the settings of a class that reach it the one with the highest F1.

    Where none does, the highest precision is taken, and a note says so. Silence has precision 0.
    """

    objective: Literal["f1_at_precision"] = "f1_at_precision"
    rate: ClassVar[str] = "precision"
    precision: Share | dict[str, Share] = Field(
        default=0.8, description="the least precision: one number, or numbers by class (none for the others)"
    )

    def called(self, metric: Metric) -> str:
        """Returns ``macro_f1_at_precision``."""
        return "macro_f1_at_precision"

    def minimum(self, like: torch.Tensor) -> torch.Tensor | float:
        """See `Constrained.minimum`."""
        return self.numbers(self.precision, 0.0, like)

    def aim(self, counts: Counts) -> torch.Tensor:
        """Returns F1."""
        return _f1_of(counts)

    def reached(self, counts: Counts) -> torch.Tensor:
        """Returns precision, or its lower bound."""
        return lower_bound(counts["true_positives"], counts["estimated"], self.margin)

    def _first(self, counts: Counts, free: torch.Tensor) -> torch.Tensor:
        # Of probabilities spread evenly above λ/2 the mean is the minimum at this λ.
        return torch.maximum(free, torch.as_tensor(4 * self.minimum(free) - 2)).clamp(max=_MOST)

    def _moved(self, lam: torch.Tensor, lacking: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        return torch.maximum(free, lam + _STEP * lacking).clamp(max=_MOST)


class PrecisionAtRecall(Constrained):
    """Precision under a minimum recall: of the settings of a class that reach it the one with the highest precision.

    Where none does, the highest recall is taken, and a note says so. Silence has precision 0.
    """

    objective: Literal["precision_at_recall"] = "precision_at_recall"
    rate: ClassVar[str] = "recall"
    recall: Share | dict[str, Share] = Field(
        default=0.5, description="the least recall: one number, or numbers by class (none for the others)"
    )

    def called(self, metric: Metric) -> str:
        """Returns ``macro_precision_at_recall``."""
        return "macro_precision_at_recall"

    def minimum(self, like: torch.Tensor) -> torch.Tensor | float:
        """See `Constrained.minimum`."""
        return self.numbers(self.recall, 0.0, like)

    def aim(self, counts: Counts) -> torch.Tensor:
        """Returns precision."""
        hits, estimated, reference = (counts[name] for name in DETECTION)
        return lower_bound(hits, estimated).masked_fill(reference <= 0, torch.nan)

    def reached(self, counts: Counts) -> torch.Tensor:
        """Returns recall, or its lower bound."""
        return lower_bound(counts["true_positives"], counts["reference"], self.margin)

    def _first(self, counts: Counts, free: torch.Tensor) -> torch.Tensor:
        return free

    def _moved(self, lam: torch.Tensor, lacking: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        return (lam - _STEP * lacking).clamp(0.0, _MOST)
