"""A paired test: whether two event lists of the same clips could as well be each other's."""

from __future__ import annotations

import torch

from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.objectives import Objective
from rl_postproc.results.bootstrap import resampled

_CHUNK = 1 << 22
"""Numbers that a step holds at once."""


def permutation_p(
    metric: Metric, objective: Objective, first: torch.Tensor, second: torch.Tensor, samples: int = 2000, seed: int = 0
) -> float:
    """Returns how often a difference as large comes about where each clip's counts are swapped at random, two-sided.

    Were there no difference between the two, swapping them in any clip would change nothing but by chance. O(samples ·
    clips · classes).

    Args:
        metric: what was counted.
        objective: what is compared.
        first: counts of one, ``[column, clip, class]``.
        second: counts of the other.
        samples: random swaps; the smallest p is ``1 / (samples + 1)``.
        seed: of the swaps.

    Source: Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses"; the estimate with the observed case among the
    samples is Phipson and Smyth's, 2010.
    """
    n_clips = first.shape[1]
    both = torch.cat([first, second], 1)[None]
    generator, one = torch.Generator().manual_seed(seed), torch.ones(1, n_clips, dtype=torch.float64)

    def difference(swapped: torch.Tensor) -> torch.Tensor:
        mine, theirs = torch.cat([1 - swapped, swapped], 1), torch.cat([swapped, 1 - swapped], 1)
        return (resampled(metric, objective, both, theirs) - resampled(metric, objective, both, mine))[:, 0]

    observed = difference(0 * one).abs()
    extreme = 1
    for part in torch.arange(samples).split(max(1, _CHUNK // max(2 * n_clips, first[:, 0].numel()))):
        swapped = torch.randint(2, (len(part), n_clips), generator=generator).double()
        # Differences that are equal but for rounding are as large.
        extreme += int((difference(swapped).abs() >= observed - 1e-12).sum())
    return extreme / (samples + 1)
