"""Intervals for held-out figures: paired bootstrap over clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.objectives import Objective


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: the estimate on all clips.
        low: 2.5th percentile of the bootstrap.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float


def resampled(metric: Metric, objective: Objective, counts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns the objective on resampled clips, averaged over runs, float64 ``[sample]``.

    Args:
        metric: what was counted.
        objective: what is reported of the counts.
        counts: the metric's columns of each run, ``[run, column, clip, class]``.
        weights: how often each clip is drawn, float64 ``[sample, clip]``.
    """
    n_runs = len(counts)
    drawn = weights @ counts.double().permute(2, 0, 1, 3).flatten(1)
    columns = drawn.reshape(len(weights), n_runs, len(metric.columns), -1).unbind(2)
    return objective.value(metric, dict(zip(metric.columns, columns, strict=True))).mean(1)


def bootstrap(
    metric: Metric,
    objective: Objective,
    counts: torch.Tensor,
    baseline: torch.Tensor | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Returns the objective of an agent's runs, or its gain over a baseline on the same resampled clips.

    Args:
        metric: what was counted.
        objective: what is reported of the counts.
        counts: ``[run, column, clip, class]``.
        baseline: counts of the baseline's runs, ``[run, column, clip, class]``; the interval is then one of differences.
        samples: bootstrap samples.
        seed: of the resampling, the same for every agent, which pairs them.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", percentile intervals.
    """
    n_clips = counts.shape[2]
    generator = torch.Generator().manual_seed(seed)
    weights = torch.zeros(samples + 1, n_clips, dtype=torch.float64)
    weights[0] = 1
    drawn = torch.randint(n_clips, (samples, n_clips), generator=generator)
    weights[1:].scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
    score = resampled(metric, objective, counts, weights)
    if baseline is not None:
        score = score - resampled(metric, objective, baseline, weights)
    low, high = torch.quantile(score[1:], torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Interval(float(score[0]), low, high)
