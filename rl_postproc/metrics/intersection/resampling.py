"""PSDS on resampled clips: the steps are sorted once, and every sample only weighs them."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.metrics.intersection.psds import OrderedSteps, Scenario, psds_of_roc
from rl_postproc.metrics.intersection.ranked_counts import RankedCounts


def resampled_psds(counts: RankedCounts, scenario: Scenario, samples: int = 1000, seed: int = 0) -> torch.Tensor:
    """Returns PSDS on all clips first, then on samples of clips that are drawn with replacement.

    Args:
        counts: as `count_ranked` gives them with the scenario's criteria.
        scenario: how errors and instability count.
        samples: bootstrap samples.
        seed: the same seed draws the same clips, which pairs the samples of several sets of events over the same clips.

    Returns:
        float64 ``[1 + samples]``, for `rl_postproc.results.bootstrap.interval`.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap".
    """
    n_clips, n_classes = counts.reference.shape
    rng, steps = np.random.default_rng(seed), OrderedSteps.of(counts, scenario)
    found = [psds_of_roc(*steps.roc(), n_classes, scenario)]
    for _ in range(samples):
        weight = np.bincount(rng.integers(n_clips, size=n_clips), minlength=n_clips).astype(float)
        found.append(psds_of_roc(*steps.roc(weight), n_classes, scenario))
    return torch.tensor(found, dtype=torch.float64)
