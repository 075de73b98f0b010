"""PSDS: the area under the PSD-ROC, from counts at every threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.metrics.intersection.ranked_counts import Criteria, RankedCounts

HOUR = 3600.0


@dataclass(frozen=True)
class Scenario:
    """What PSDS measures (Bilen et al. 2020, DCASE 2021 Task 4).

    Attributes:
        criteria: what is right.
        alpha_ct: how much a cross-trigger counts beside a false alarm.
        alpha_st: how much is taken off for classes that differ, in standard deviations.
        max_efpr: effective false positives an hour up to which the area counts.
    """

    criteria: Criteria
    alpha_ct: float = 0.0
    alpha_st: float = 1.0
    max_efpr: float = 100.0


SCENARIOS = {
    1: Scenario(Criteria(0.7, 0.7)),
    2: Scenario(Criteria(0.1, 0.1, 0.3), alpha_ct=0.5),
}
"""Those of DCASE: 1 wants onsets and offsets, 2 wants classes told apart."""


def psds(counts: RankedCounts, scenario: Scenario, weight: torch.Tensor | None = None) -> float:
    """Returns PSDS of counts at every threshold.

    Args:
        counts: as `count_ranked` gives them with the scenario's criteria.
        scenario: how errors and instability count.
        weight: how often each clip counts, ``[clip]``; once when None.
    """
    label, rate, share = roc(counts, scenario, weight)
    if not len(label):
        return 0.0
    n_classes = counts.reference.shape[1]
    order = np.argsort(rate, kind="stable")
    rate, label, share = rate[order], label[order], share[order]
    # Each step is a change of one class's rate of true positives, and of its square.
    mean, square = _changes(label, share)
    mean, square = mean.cumsum() / n_classes, square.cumsum() / n_classes
    spread = np.sqrt(np.clip(square - mean**2, 0, None))
    height = np.clip(mean - scenario.alpha_st * spread, 0, None)
    widths = np.diff(np.append(rate, scenario.max_efpr))
    return float((height * widths).sum() / scenario.max_efpr)


def class_psds(counts: RankedCounts, scenario: Scenario, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Returns the area under the ROC of each class by itself, over its width, float64 ``[class]``; NaN without references."""
    label, rate, share = roc(counts, scenario, weight)
    ends = np.append(rate[1:], scenario.max_efpr)
    ends[np.append(label[1:] != label[:-1], True)[: len(label)]] = scenario.max_efpr
    n_classes = counts.reference.shape[1]
    area = np.bincount(label, share * (ends[: len(rate)] - rate), minlength=n_classes) / scenario.max_efpr
    area[counts.reference.sum(0).numpy() == 0] = np.nan
    return torch.from_numpy(area)


def roc(
    counts: RankedCounts, scenario: Scenario, weight: torch.Tensor | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the steps of the ROC of each class: class, effective false positives an hour, share of references found.

    Rates rise along the steps of a class; at each, the highest share that is reached at this rate or below.
    """
    n_classes = counts.reference.shape[1]
    weight = torch.ones(len(counts.durations), dtype=torch.float64) if weight is None else weight.double()
    hours = float((weight * counts.durations).sum()) / HOUR
    reference = (weight[:, None] * counts.reference).sum(0).clamp(min=1)
    covered = (weight[:, None] * counts.covered).sum(0).clamp(min=1e-12) / HOUR
    own = weight[counts.clip]
    false = own * counts.false_positives / hours
    if scenario.alpha_ct:
        others = scenario.alpha_ct / max(1, n_classes - 1) * own * counts.cross_triggers
        false = false + torch.where(counts.crossed >= 0, others / covered[counts.crossed], 0.0)
    label, value = counts.label.numpy(), counts.value.numpy()
    hits = (own * counts.true_positives / reference[counts.label]).numpy()
    order = np.lexsort((-value, label))
    label, value, hits, false = label[order], value[order], hits[order], false.numpy()[order]
    total_hits, total_false = _running(label, hits), _running(label, false)
    last = np.append((label[1:] != label[:-1]) | (value[1:] != value[:-1]), True)[: len(label)]
    label, share, rate = label[last], total_hits[last], total_false[last]
    # By class and rate, at equal rates the highest share first: of each class, what rises above all before.
    order = np.lexsort((-share, rate, label))
    label, share, rate = label[order], share[order], rate[order]
    highest = np.maximum.accumulate(share + 2 * label) - 2 * label
    rises = np.append(True, (label[1:] != label[:-1]) | (highest[1:] > highest[:-1]))[: len(label)]
    rises &= (rate <= scenario.max_efpr) & (share > 0)
    return label[rises], np.maximum(rate[rises], 0.0), share[rises]


def _running(label: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Returns running sums that begin anew with each class."""
    total = np.append(0.0, change.cumsum())
    first = np.searchsorted(label, label)
    return total[1:] - total[first]


def _changes(label: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns by how much each step of a class changes its share and the square of it."""
    order = np.argsort(label, kind="stable")
    own, found = label[order], share[order]
    before = np.where(np.append(True, own[1:] != own[:-1])[: len(own)], 0.0, np.append(0.0, found[:-1]))
    mean, square = np.empty_like(share), np.empty_like(share)
    mean[order], square[order] = found - before, found**2 - before**2
    return mean, square
