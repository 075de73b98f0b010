"""What kinds of errors make the difference between two event lists."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.diary.counts import Diary
from rl_postproc.diary.kinds import KINDS

_NODES = 32
"""Points of the quadrature, which is exact to rounding for what it integrates here."""


def contributions(before: Diary, after: Diary) -> torch.Tensor:
    """Returns how much of the difference in F1 each kind of error makes, in each class, float64 ``[kind, class]``.

    F1 is a function of missed references and false alarms, ``2 (R - m) / (2 R - m + a)``. From the counts of one list to
    those of the other on a straight line, each kind moves F1 by the gradient times its own change; the parts, integrated
    along the line, add up to the difference exactly (Aumann and Shapley 1974). NaN in classes without references.

    Args:
        before: of the one list.
        after: of the other, against the same references.

    Raises:
        ValueError: the references are others.

    Example:
        >>> from rl_postproc import Events
        >>> from rl_postproc.diary import KINDS, contributions, diary
        >>> from rl_postproc.metrics import EventBased
        >>> rows = [("a", 1.0, 4.0, "Dog"), ("a", 6.0, 7.0, "Dog")]
        >>> references, one = (Events.from_rows(some, ["a"], ["Dog"]) for some in (rows, rows[:1]))
        >>> parts = contributions(*(diary(references, own, EventBased()) for own in (one, references)))  # [kind, class]
        >>> {kind: round(float(part), 3) for kind, part in zip(KINDS, parts) if part}
        {'missed': 0.333}
    """
    if before.classes != after.classes or not torch.equal(before.reference, after.reference):
        raise ValueError("the two diaries are of other references")
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(_NODES))
    share, weights = ((nodes + 1) / 2)[:, None], (weights / 2)[:, None]
    wanted = before.reference.double()
    m, a = (
        (1 - share) * old.sum(0).double() + share * new.sum(0).double()
        for old, new in ((before.missed, after.missed), (before.false, after.false))
    )
    total = (2 * wanted - m + a).clamp(min=1e-9)
    # The derivatives of F1 by m and by a.
    by_missed = (-2 / total + 2 * (wanted - m) / total**2) * weights
    by_false = -2 * (wanted - m) / total**2 * weights
    found = by_missed.sum(0) * (after.missed - before.missed) + by_false.sum(0) * (after.false - before.false)
    assert len(found) == len(KINDS)
    return found.masked_fill(before.reference <= 0, torch.nan)
