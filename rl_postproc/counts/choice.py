"""The best threshold of each column: what is maximised, and how ties are broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.f1 import DETECTION, f1
from rl_postproc.metrics.objectives import Objective
from rl_postproc.utils.tensors import flatnonzero

Gain = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps true positives and estimates (int64 ``[choice]``) of columns (int64 ``[choice]``) to what is maximised, float64
``[choice]``. It must not fall with more true positives and not rise with more estimates."""


def macro_gain(reference: torch.Tensor) -> Gain:
    """F1 of each column. Macro F1 splits by column; one without references is best when it estimates least.

    Args:
        reference: number of references, int64 ``[column]``.
    """

    def gain(hits: torch.Tensor, found: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        wanted = reference[column]
        return torch.where(wanted > 0, f1(hits, found, wanted), -found.double())

    return gain


def objective_gain(objective: Objective, metric: Metric, reference: torch.Tensor, n_classes: int) -> Gain:
    """What orders the settings of a class by an objective that splits by class; one without a term estimates the least.

    Args:
        objective: what is maximised; it must not fall with more true positives and not rise with more estimates.
        metric: what was counted, of the columns `DETECTION`.
        reference: number of references, int64 ``[column]``.
        n_classes: columns follow one another class by class, filter setting by filter setting.
    """

    def gain(hits: torch.Tensor, found: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        columns = (hits.double(), found.double(), reference[column].double())
        quality = objective.at(column % n_classes).quality(metric, dict(zip(DETECTION, columns, strict=True)))
        assert quality is not None
        return torch.where(quality.isnan(), -columns[1], quality)

    return gain


def micro_gain(lam: float) -> Gain:
    """``2·TP − λ·estimated``, which splits micro F1 by column where λ is its optimum (Dinkelbach 1967)."""
    return lambda hits, found, _: 2 * hits.double() - lam * found.double()


class Candidates(NamedTuple):
    """Intervals of thresholds among which a best one is, those of one column by rising thresholds.

    Attributes:
        column: int64 ``[candidate]``.
        low: lowest threshold, float32 ``[candidate]``.
        high: where the interval ends, itself outside, float32 ``[candidate]``.
        true_positives: counts at these thresholds, int64 ``[candidate]``.
        estimated: the same for the estimates.
    """

    column: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor


class Choice(NamedTuple):
    """A threshold of each column, and its counts: float32 and twice int64 ``[column]``."""

    threshold: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor


def choose(candidates: Candidates, gain: Gain, top: torch.Tensor) -> Choice:
    """Chooses the candidate with the highest gain in each column, and the threshold in the middle of its interval.

    Of equals the widest interval is taken, and of these the highest. Where none gains more than silence, the threshold
    lies above every score.

    Args:
        candidates: at least all that may be best.
        gain: what is maximised.
        top: highest score of each column, float32 ``[column]``.
    """
    columns, column = torch.arange(len(top), device=top.device), candidates.column
    silence = gain(torch.zeros_like(columns), torch.zeros_like(columns), columns)
    value = gain(candidates.true_positives, candidates.estimated, column)
    best = silence.scatter_reduce(0, column, value, "amax")
    among = flatnonzero((value == best[column]) & (value > silence[column]))
    room = (candidates.high - candidates.low)[among]
    widest = torch.zeros_like(top).scatter_reduce(0, column[among], room, "amax")
    among = among[room == widest[column[among]]]
    # Index -1 of what is padded stands for silence.
    chosen = torch.full_like(columns, -1).scatter_reduce(0, column[among], among, "amax")
    low, high, hits, found = (torch.nn.functional.pad(part, (0, 1))[chosen] for part in candidates[1:])
    low, high = torch.where(chosen < 0, top, low), torch.where(chosen < 0, 1.0, high)
    middle = (low + high) / 2
    # Between neighbouring floats the middle rounds to one of them; only the lower one is inside.
    return Choice(torch.where(middle < high, middle, low), hits, found)
