"""Intervals for held-out figures: paired bootstrap over clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch


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


def resampled_macro_f1(counts: torch.Tensor, reference: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns the macro F1 of resampled clips, averaged over runs.

    Args:
        counts: true positives and estimated counts of each run, ``[run, 2, clip, class]``.
        reference: ``[clip, class]``.
        weights: how often each clip is drawn, float64 ``[sample, clip]``.

    Returns:
        float64 ``[sample]``. Classes without references in a sample are left out of its average.
    """
    n_runs = len(counts)
    drawn = weights @ counts.double().permute(2, 0, 1, 3).flatten(1)
    tp, estimated = drawn.reshape(len(weights), n_runs, 2, -1).unbind(2)
    present = (weights @ reference.double())[:, None]
    known = present > 0
    f1 = torch.where(known, 2 * tp / (estimated + present).clamp(min=1), 0.0)
    return (f1.sum(-1) / known.sum(-1).clamp(min=1)).mean(1)


def bootstrap(
    counts: torch.Tensor,
    reference: torch.Tensor,
    baseline: torch.Tensor | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Returns the macro F1 of an agent's runs, or its gain over a baseline on the same resampled clips.

    Args:
        counts: ``[run, 2, clip, class]``.
        reference: ``[clip, class]``.
        baseline: counts of the baseline's runs, ``[run, 2, clip, class]``; the interval is then one of differences.
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
    score = resampled_macro_f1(counts, reference, weights)
    if baseline is not None:
        score = score - resampled_macro_f1(baseline, reference, weights)
    low, high = torch.quantile(score[1:], torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Interval(float(score[0]), low, high)
