"""Surrogate gradients of counts: thresholds that follow the gradient of F1.

Source: Pellegrini and Masquelier, "Fast threshold optimization for multi-label audio tagging using surrogate gradient
learning" (ICASSP 2021, arXiv:2103.00833). The decision ``x > t`` passes the gradient ``σ·s(σ(x−t))·s(−σ(x−t))``, with
``s`` the logistic function; threshold and steepness of each class follow the gradient of F1.

A count of events is a sum of such decisions too: each threshold at which it falls or rises is an ``x`` of weight +1 or
−1. So the same surrogate serves every metric that counts all thresholds, without a stand-in on frames.
"""

from __future__ import annotations

from typing import Any

import torch

from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.metrics.f1 import f1

from .filters import Adam

EXACT_STEPS = 1 << 20
"""Up to so many steps over all columns each is taken as it is, as published; beyond, they are binned."""


class SurrogateSteps:
    """The steps of counts, each or in bins, as what the surrogate gradient sums over.

    Attributes:
        x: position of each step, float32 ``[column, step]``.
        weight: by how much the true positives and estimates fall there, float32 ``[2, column, step]``.
    """

    def __init__(self, columns: ColumnCounts, bins: int):
        """Takes every step as it is where there are few, else bins them by threshold, at their mean positions."""
        counts, knots = torch.stack([columns.true_positives, columns.estimated]), columns.knots
        if knots.numel() <= EXACT_STEPS:
            self.x = knots.clamp(max=2)
            self.weight = -counts.diff(dim=-1).float()
            return
        edges = (torch.arange(bins + 1) / bins).expand(len(knots), -1).contiguous()
        border = torch.searchsorted(knots, edges)
        border[:, -1] = (knots <= 1).sum(1)
        self.weight = -counts.gather(2, border.expand(2, -1, -1)).diff(dim=-1).float()
        below = torch.nn.functional.pad(knots.clamp(max=2).cumsum(1, dtype=torch.float64), (1, 0))
        number = border.diff(dim=1)
        mean = below.gather(1, border).diff(dim=1) / number
        self.x = torch.where(number > 0, mean, 0.0).float()


class SurrogateCounts(torch.autograd.Function):
    """Exact counts above the thresholds forward; the derivative of ``Σ weight·s(σ(x−t))`` backward."""

    @staticmethod
    def forward(
        ctx: Any, t: torch.Tensor, sigma: torch.Tensor, counts: ColumnCounts, steps: SurrogateSteps
    ) -> torch.Tensor:
        """Returns true positives and estimates at thresholds ``[column]``, float32 ``[2, column]``."""
        ctx.save_for_backward(t, sigma)
        ctx.steps = steps
        return torch.stack(counts.at(t)).float()

    @staticmethod
    def backward(ctx: Any, *grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Returns the gradients with respect to the thresholds and their steepness."""
        t, sigma = ctx.saved_tensors
        distance = ctx.steps.x - t[:, None]
        logistic = (sigma[:, None] * distance).sigmoid_()
        slope = torch.addcmul(logistic, logistic, logistic, value=-1)
        slope *= (grad[0][0, :, None] * ctx.steps.weight[0]).addcmul_(grad[0][1, :, None], ctx.steps.weight[1])
        return -sigma * slope.sum(1), distance.mul_(slope).sum(1), None, None


def learn_thresholds(
    counts: ColumnCounts,
    *,
    groups: int = 1,
    average: str = "micro",
    epochs: int = 100,
    learning_rate: float = 1e-2,
    sigma: float = 50.0,
    start: float = 0.3,
    bins: int = 1024,
) -> tuple[torch.Tensor, list[float]]:
    """Learns a threshold and a steepness for each column by full-batch Adam on −F1.

    Args:
        counts: counts of each column.
        groups: number of equal groups of columns, such as filter settings, whose F1 are maximised side by side.
        average: ``micro`` or ``macro`` F1 over the columns of a group.
        epochs: steps of Adam.
        learning_rate: of Adam.
        sigma: first steepness.
        start: first threshold.
        bins: in how many steps are summed where there are too many to take each.

    Returns:
        Thresholds float32 ``[column]`` within [0, 1], and the mean F1 of the groups before each step.
    """
    n = len(counts.knots)
    t = torch.full((n,), start, requires_grad=True)
    s = torch.full((n,), sigma, requires_grad=True)
    adam, steps, curve = Adam(learning_rate), SurrogateSteps(counts, bins), []
    reference = counts.reference.float().reshape(groups, -1)
    for _ in range(epochs):
        hits, found = SurrogateCounts.apply(t, s, counts, steps).reshape(2, groups, -1)  # pyright: ignore
        if average == "micro":
            quality = f1(hits.sum(1), found.sum(1), reference.sum(1), 0.0)
        else:
            quality = f1(hits, found, reference, 0.0).sum(1) / (reference > 0).sum(1).clamp(min=1)
        gradients = torch.autograd.grad(quality.sum(), [t, s])
        with torch.no_grad():
            moves = adam.step(torch.stack(gradients))
            t += moves[0]
            s += moves[1]
        curve.append(float(quality.detach().mean()))
    return t.detach().clamp(0, 1), curve
