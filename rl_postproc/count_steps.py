"""Counts as exact step functions of the threshold, one a column (a class, or a filter setting and class).

A count of filtered scores changes at finitely many thresholds. Holding all of them makes any threshold a look-up, the
best threshold of all an argmax, and a surrogate gradient a sum over the steps, for every metric alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from rl_postproc.metrics import Metric, Tagging, f1
from rl_postproc.scores import ScoreSet


@dataclass(frozen=True)
class CountSteps:
    """True positives and estimates of every column at every threshold in [0, 1]; active is what lies above it.

    Attributes:
        knots: thresholds at which a count may change, float32 ``[column, knot]``, ascending; infinite where a column
            has fewer than others.
        true_positives: counts between the knots, int32 ``[column, knot + 1]``: index ``i`` holds for the thresholds
            from knot ``i - 1`` (included) to knot ``i``.
        estimated: the same for the estimates.
        reference: int64 ``[column]``.
    """

    knots: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor
    reference: torch.Tensor

    def at(self, thresholds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the true positives and estimates at thresholds ``[..., column]``, int64 of the same shape."""
        flat = thresholds.reshape(-1, len(self.knots)).to(self.knots.dtype).clamp(0, 1)
        index = torch.searchsorted(self.knots, flat.T.contiguous(), right=True)
        return (
            self.true_positives.gather(1, index).T.reshape(thresholds.shape).long(),
            self.estimated.gather(1, index).T.reshape(thresholds.shape).long(),
        )

    def columns(self, part: slice) -> CountSteps:
        """Returns the steps of consecutive columns."""
        return CountSteps(self.knots[part], self.true_positives[part], self.estimated[part], self.reference[part])

    @cached_property
    def choices(self) -> Choices:
        """Everything worth choosing: what neither gains hits nor loses estimates against the next index is left out."""
        hits, found = self.true_positives, self.estimated
        changes = (hits[:, :-1] != hits[:, 1:]) | (found[:, :-1] < found[:, 1:])
        column, index = changes.nonzero().unbind(1)
        # Equal knots are passed together: what counts is the first of them.
        index = _first_of_equals(self.knots, column, index)
        last = (self.knots <= 1).sum(1)
        column = torch.cat([column, torch.arange(len(last))])
        index = torch.cat([index, last])
        padded = torch.nn.functional.pad(self.knots, (1, 1))
        padded[:, -1] = 1
        low, high = padded[column, index], padded[column, index + 1].clamp(max=1)
        # No threshold in [0, 1] lies below a knot at 0. Above the last knot there is always the threshold 1.
        kept = (high > low) | (index == last[column])
        return Choices(*(part[kept] for part in (column, index, low, high)))

    def best(self, gain: Gain) -> BestChoice:
        """Returns the choice with the highest gain in each column; of equals, the one with most room for its threshold.

        Args:
            gain: what is to be highest, see `Gain`.
        """
        choices, n = self.choices, len(self.knots)
        hits = self.true_positives[choices.column, choices.index].long()
        found = self.estimated[choices.column, choices.index].long()
        value = gain(hits, found, choices.column)
        best = value.new_full((n,), -torch.inf).scatter_reduce(0, choices.column, value, "amax")
        among = (value == best[choices.column]).nonzero()[:, 0]
        room = (choices.high - choices.low)[among]
        widest = room.new_full((n,), -1.0).scatter_reduce(0, choices.column[among], room, "amax")
        among = among[room == widest[choices.column[among]]]
        chosen = torch.empty(n, dtype=torch.int64)
        chosen[choices.column[among]] = among
        low, high = choices.low[chosen], choices.high[chosen]
        middle = (low + high) / 2
        # Between neighbouring floats the middle rounds to one of them; only the lower one is inside.
        return BestChoice(torch.where(middle < high, middle, low), hits[chosen], found[chosen])


class Choices(NamedTuple):
    """Indices of count steps, flat over columns: column and index int64, and their bounding thresholds float32."""

    column: torch.Tensor
    index: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


class BestChoice(NamedTuple):
    """The best choice of each column: threshold float32, true positives and estimates int64, all ``[column]``."""

    threshold: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor


def _first_of_equals(knots: torch.Tensor, column: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Returns the first of the equal knots ``[column, knot]`` around each index, int64 of the shape of the index."""
    is_first = knots[:, 1:] != knots[:, :-1]
    if bool(is_first.all()):
        return index
    place = torch.arange(knots.shape[1], dtype=torch.int32)
    first = torch.where(torch.nn.functional.pad(is_first, (1, 0), value=True), place, 0).cummax(1).values
    return first[column, index].long()


def tag_steps(x: torch.Tensor, truth: torch.Tensor) -> CountSteps:
    """Counts of ``x > threshold`` against the truth, in time O(items log items) a column.

    Args:
        x: scores in [0, 1], float32 ``[item, column]``.
        truth: bool ``[item, column]``.
    """
    # The bits of non-negative floats sort as the floats do; with the truth in the last bit one integer sort does it
    # all.
    bits = np.ascontiguousarray(x.T.contiguous().numpy()).view(np.int32)
    keys = (np.abs(bits) << 1) | truth.T.numpy()
    keys.sort(axis=1)
    hits, knots = torch.from_numpy(keys & 1), torch.from_numpy((keys >> 1).view(np.float32))
    n_columns, n_items = hits.shape
    reference = hits.sum(1)
    true_positives = torch.empty(n_columns, n_items + 1, dtype=torch.int32)
    true_positives[:, 0] = reference
    torch.sub(reference[:, None], hits.cumsum(1, dtype=torch.int32), out=true_positives[:, 1:])
    estimated = torch.arange(n_items, -1, -1, dtype=torch.int32).expand(n_columns, -1)
    return CountSteps(knots, true_positives, estimated, reference)


def metric_steps(metric: Metric, scores: ScoreSet, filtered: torch.Tensor) -> CountSteps:
    """Counts of a metric at every threshold of filtered scores.

    Args:
        metric: what is counted.
        scores: the score set, with references.
        filtered: scores after the filters, float32 ``[filter, frame, track]`` with tracks clip-major, then class.

    Returns:
        Steps with columns filter-major, then class.
    """
    n_filters, n_classes = len(filtered), scores.n_classes
    prepared = metric.prepare(scores)
    if isinstance(metric, Tagging):
        top = filtered.amax(1).reshape(n_filters, scores.n_clips, n_classes).transpose(0, 1).flatten(1)
        return tag_steps(top, (prepared.reference > 0).repeat(1, n_filters))
    parts = []
    for i in range(n_filters):
        for kind, found in enumerate(prepared.intervals(filtered[i : i + 1], slice(0, scores.n_clips))):
            column = i * n_classes + found.track % n_classes
            parts += [(column, found.low, found.weight, kind), (column, found.high, -found.weight, kind)]
    column, knot = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]).contiguous()
    weight = torch.zeros(2, len(column), dtype=torch.int32)
    first = 0
    for _, knots, change, kind in parts:
        weight[kind, first : first + len(knots)] = change.int()
        first += len(knots)
    steps, place = torch.unique((column << 32) | knot.view(torch.int32).long(), return_inverse=True)
    changes = torch.zeros(2, len(steps), dtype=torch.int32).index_add_(1, place, weight)
    return _from_changes(steps, changes, prepared.reference.sum(0).repeat(n_filters))


def _from_changes(steps: torch.Tensor, changes: torch.Tensor, reference: torch.Tensor) -> CountSteps:
    """Arranges sorted steps (column, then the bits of the knot) with their changes ``[2, step]`` by columns."""
    column, knot = steps >> 32, (steps & 0xFFFFFFFF).int().view(torch.float32)
    size = torch.bincount(column, minlength=len(reference))
    place = torch.arange(len(steps)) - (size.cumsum(0) - size)[column]
    most = int(size.max()) if len(size) else 0
    knots = torch.full((len(reference), most), torch.inf)
    knots[column, place] = knot
    counts = torch.zeros(2, len(reference), most + 1, dtype=torch.int32)
    counts[:, column, place + 1] = changes
    counts = counts.cumsum(-1, dtype=torch.int32)
    return CountSteps(knots, counts[0], counts[1], reference)


Gain = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps true positives, estimates (int64 ``[choice]``) and their columns to gains, float64 ``[choice]``."""


def macro_quality(steps: CountSteps) -> Gain:
    """F1 of each column. Macro F1 splits by column; one without references is best when it estimates least."""

    def quality(hits: torch.Tensor, found: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        reference = steps.reference[column]
        return torch.where(reference > 0, f1(hits, found, reference), -found.double())

    return quality


def micro_gain(lam: float) -> Gain:
    """``2·TP − λ·estimated``, which splits micro F1 by column where λ is its optimum (Dinkelbach 1967)."""
    return lambda hits, found, _: 2 * hits.double() - lam * found.double()
