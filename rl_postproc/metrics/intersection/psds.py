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
    return psds_of_roc(*roc(counts, scenario, weight), counts.reference.shape[1], scenario)


def psds_of_roc(label: np.ndarray, rate: np.ndarray, share: np.ndarray, n_classes: int, scenario: Scenario) -> float:
    """Returns PSDS of the steps that `roc` gives."""
    if not len(label):
        return 0.0
    order = np.argsort(rate, kind="stable")
    rate, label, share = rate[order], label[order], share[order]
    # Each step is a change of one class's rate of true positives, and of its square.
    mean, square = _changes(label, share)
    mean, square = mean.cumsum() / n_classes, square.cumsum() / n_classes
    spread = np.sqrt(np.clip(square - mean**2, 0, None))
    height = np.clip(mean - scenario.alpha_st * spread, 0, None)
    widths = np.diff(np.append(rate, scenario.max_efpr))
    return float((height * widths).sum() / scenario.max_efpr)


def roc(
    counts: RankedCounts, scenario: Scenario, weight: torch.Tensor | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the steps of the ROC of each class: class, effective false positives an hour, share of references found.

    Rates rise along the steps of a class; at each, the highest share that is reached at this rate or below.
    """
    return OrderedSteps.of(counts, scenario).roc(None if weight is None else weight.double().numpy())


@dataclass(frozen=True)
class OrderedSteps:
    """The steps of ranked counts by class and falling value, so that they can be weighed again and again.

    Attributes:
        counts: the counts.
        scenario: how errors count.
        clip: int64 ``[step]``.
        label: int64 ``[step]``.
        hits: change of the references that are found, float64 ``[step]``.
        false: change of the false positives, float64 ``[step]``.
        triggers: steps that change the number of cross-triggers, the class that is crossed, and the change, ``[trigger]``.
        last: the last step of each class and value, int64 ``[value]``.
        first: where the steps of each step's class begin, int64 ``[value]``.
    """

    counts: RankedCounts
    scenario: Scenario
    clip: np.ndarray
    label: np.ndarray
    hits: np.ndarray
    false: np.ndarray
    triggers: tuple[np.ndarray, np.ndarray, np.ndarray]
    last: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, counts: RankedCounts, scenario: Scenario) -> OrderedSteps:
        """Sorts the steps of counts."""
        label, value = counts.label.numpy(), counts.value.numpy()
        # The bits of floats that are not negative rise as they do: one whole number sorts by class and falling value.
        order = np.argsort(label << 32 | (0x7FFFFFFF - value.view(np.int32).astype(np.int64)))
        label, value = label[order], value[order]
        ends = np.append((label[1:] != label[:-1]) | (value[1:] != value[:-1]), True)[: len(label)]
        last = np.flatnonzero(ends)
        crossed = counts.crossed.numpy()[order]
        own = np.flatnonzero(crossed >= 0) if scenario.alpha_ct else np.zeros(0, np.int64)
        triggers = own, crossed[own], counts.cross_triggers.numpy()[order][own].astype(float)
        hits, false = (x.numpy()[order].astype(float) for x in (counts.true_positives, counts.false_positives))
        return cls(counts, scenario, counts.clip.numpy()[order], label, hits, false, triggers, last,
                   np.searchsorted(label, label[last]))  # fmt: skip

    def roc(self, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns what `roc` does, for a weight of each clip, float64 ``[clip]``."""
        counts, scenario = self.counts, self.scenario
        weight = np.ones(len(counts.durations)) if weight is None else weight
        hours = float(weight @ counts.durations.numpy()) / HOUR
        reference = np.maximum(weight @ counts.reference.numpy(), 1)
        own = weight[self.clip]
        false = own * self.false / hours
        step, crossed, change = self.triggers
        if len(step):
            covered = np.maximum(weight @ counts.covered.numpy(), 1e-12) / HOUR
            false[step] += scenario.alpha_ct / max(1, len(reference) - 1) * own[step] * change / covered[crossed]
        label = self.label[self.last]
        share = self._running(own * self.hits) / reference[label]
        rate = self._running(false)
        # What lies beyond the greatest rate cannot raise what lies below.
        some = np.flatnonzero((rate <= scenario.max_efpr) & (share > 0))
        label, share, rate = label[some], share[some], rate[some]
        same = label[1:] == label[:-1]
        if bool((same & ((rate[1:] < rate[:-1]) | (share[1:] < share[:-1]))).any()):
            # By class and rate, at equal rates the highest share first: of each class, what rises above all before.
            order = np.lexsort((-share, rate, label))
            label, share, rate = label[order], share[order], rate[order]
        highest = np.maximum.accumulate(share + 2 * label) - 2 * label
        rises = np.append(True, (label[1:] != label[:-1]) | (highest[1:] > highest[:-1]))[: len(label)]
        return label[rises], np.maximum(rate[rises], 0.0), share[rises]

    def _running(self, change: np.ndarray) -> np.ndarray:
        """Returns sums up to each value that begin anew with each class."""
        total = np.append(0.0, change.cumsum())
        return total[self.last + 1] - total[self.first]


def class_areas(counts: RankedCounts, scenario: Scenario, weight: torch.Tensor | None = None) -> np.ndarray:
    """Returns the area under the ROC of each class by itself, in [0, 1], ``[class]``; arguments as those of `psds`."""
    return areas_of_roc(*roc(counts, scenario, weight), counts.reference.shape[1], scenario)


def areas_of_roc(
    label: np.ndarray, rate: np.ndarray, share: np.ndarray, n_classes: int, scenario: Scenario
) -> np.ndarray:
    """Returns the area under the ROC of each class from the steps that `roc` gives, in [0, 1], ``[class]``."""
    ends = np.append(np.where(label[1:] == label[:-1], rate[1:], scenario.max_efpr), scenario.max_efpr)[: len(label)]
    return np.bincount(label, weights=share * (ends - rate), minlength=n_classes) / scenario.max_efpr


def _changes(label: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns by how much each step of a class changes its share and the square of it."""
    order = np.argsort(label, kind="stable")
    own, found = label[order], share[order]
    before = np.where(np.append(True, own[1:] != own[:-1])[: len(own)], 0.0, np.append(0.0, found[:-1]))
    mean, square = np.empty_like(share), np.empty_like(share)
    mean[order], square[order] = found - before, found**2 - before**2
    return mean, square
