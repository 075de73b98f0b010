"""Rankings of items with ties, and what follows from them: precision, areas under curves."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Ranks(NamedTuple):
    """Items in falling order of their scores, ``[row, item]`` each.

    Attributes:
        order: which item stands there, int64.
        truth: whether it is a positive, bool.
        above: positives with a higher score, int64.
        hits: positives with a score at least as high, int64.
        through: items with a score at least as high, int64.
    """

    order: torch.Tensor
    truth: torch.Tensor
    above: torch.Tensor
    hits: torch.Tensor
    through: torch.Tensor


def rank(scores: torch.Tensor, truth: torch.Tensor) -> Ranks:
    """Ranks the items of each row; equal scores share their place.

    Args:
        scores: ``[row, item]``.
        truth: which items are positives, bool ``[row, item]``.
    """
    value, order = scores.sort(-1, descending=True)
    truth = truth.gather(-1, order)
    hits, place = truth.cumsum(-1), torch.arange(scores.shape[-1], device=scores.device).expand_as(order)
    changes = value[:, 1:] != value[:, :-1]
    begins = torch.nn.functional.pad(changes, (1, 0), value=True)
    ends = torch.nn.functional.pad(changes, (0, 1), value=True)
    first = torch.where(begins, place, 0).cummax(-1).values
    last = torch.where(ends, place, scores.shape[-1]).flip(-1).cummin(-1).values.flip(-1)
    above = hits.gather(-1, first) - truth.gather(-1, first).long()
    return Ranks(order, truth, above, hits.gather(-1, last), last + 1)


def average_precision(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Returns the average precision of each column, NaN without positives, float64 ``[class]``.

    The mean over positives of the precision among the items that score at least as high, not interpolated.

    Args:
        scores: ``[item, class]``.
        truth: bool ``[item, class]``.
    """
    ranks = rank(scores.T, truth.T)
    precision = ranks.truth * (ranks.hits.double() / ranks.through)
    return precision.sum(-1) / ranks.truth.sum(-1)


def auroc(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Returns the area under each column's ROC curve, ties counted half, NaN without positives or without negatives.

    Args:
        scores: ``[item, class]``.
        truth: bool ``[item, class]``.

    Returns:
        float64 ``[class]``.
    """
    ranks = rank(scores.T, truth.T)
    positives, negatives = ranks.truth.sum(-1), (~ranks.truth).sum(-1)
    higher = (~ranks.truth * (ranks.above + ranks.hits)).sum(-1).double() / 2
    return higher / (positives * negatives)


def partial_auroc(scores: torch.Tensor, truth: torch.Tensor, max_fpr: float) -> torch.Tensor:
    """Returns the area under each column's ROC curve up to a false-positive rate, over that rate, float64 ``[class]``.

    The curve is a staircase, as in sed_scores_eval: between two operating points it stays at the lower one's true-positive
    rate, so that ties count as if the negatives came first. NaN without positives or without negatives.

    Args:
        scores: ``[item, class]``.
        truth: bool ``[item, class]``.
        max_fpr: in (0, 1].
    """
    ranks = rank(scores.T, truth.T)
    positives, negatives = ranks.truth.sum(-1), (~ranks.truth).sum(-1)
    before = (~ranks.truth).cumsum(-1) - 1
    # Of each negative, how much of its step along the false-positive rate lies before the limit.
    width = (max_fpr * negatives.double()[:, None] - before).clamp(0, 1) * ~ranks.truth
    return (width * ranks.above).sum(-1) / (positives * (max_fpr * negatives.double()))


def label_precision(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Returns for each tag of each clip the precision among the clip's tags that score at least as high.

    Args:
        scores: ``[clip, class]``.
        truth: bool ``[clip, class]``.

    Returns:
        float64 ``[clip, class]``, 0 for tags that are not there.
    """
    ranks = rank(scores, truth)
    precision = ranks.truth * (ranks.hits.double() / ranks.through)
    return torch.empty_like(precision).scatter_(-1, ranks.order, precision)
