"""Counts of each column, summed over clips, as step functions of the threshold in which any threshold is a look-up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from rl_postproc.counts.choice import Candidates, Choice, Gain, choose
from rl_postproc.utils.tensors import argsort, divide, flatnonzero


class MergedSteps(NamedTuple):
    """Steps sorted by column, then by value, those of equal values as one.

    Attributes:
        column: int64 ``[step]``.
        value: float32 ``[step]``.
        true_positives: change of the true positives at all thresholds below the value, int64 ``[step]``.
        estimated: the same for the estimates.
    """

    column: torch.Tensor
    value: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor

    @classmethod
    def of(cls, column: torch.Tensor, value: torch.Tensor, *changes: torch.Tensor) -> MergedSteps:
        """Sorts and merges: O(steps log steps), in memory of about 60 bytes a step.

        Args:
            column: int64 ``[step]``.
            value: at least 0, float32 ``[step]``.
            changes: of true positives and of estimates, integers ``[step]``.
        """
        # Values are not negative, so their 31 bits order as they do.
        key, bits = (column << 31) | value.view(torch.int32), max(1, len(column) - 1).bit_length()
        if len(column) and 31 + int(column.max()).bit_length() + bits < 64:
            # With its index in the last bits each key is sorted alone, several times as fast as their order is found.
            key = torch.from_numpy(np.sort(((key << bits) | torch.arange(len(key))).numpy()))
            order, key = key & ((1 << bits) - 1), key >> bits
        else:
            order = argsort(key)
            key = key[order]
        last = flatnonzero(torch.nn.functional.pad(key[1:] != key[:-1], (0, 1), value=True)[: len(key)])
        totals = (change[order].cumsum(0, dtype=torch.int64)[last] for change in changes)
        net = (torch.nn.functional.pad(total, (1, 0)).diff() for total in totals)
        key = key[last]
        return cls(key >> 31, (key & ((1 << 31) - 1)).int().view(torch.float32), *net)

    @property
    def worth_choosing(self) -> torch.Tensor:
        """Whether something is lost, a hit or an estimate fewer, when the threshold rises to the value."""
        return (self.true_positives != 0) | (self.estimated < 0)


@dataclass(frozen=True)
class ColumnCounts:
    """True positives and estimates of every column at every threshold in [0, 1]; active is what lies above it.

    It lives on the CPU, where searches look up a few thresholds at a time, and takes 12 bytes a column and knot of the
    column with the most knots.

    Attributes:
        knots: thresholds at which a count may change, float32 ``[column, knot]``, not falling; infinite where a column
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

    @classmethod
    def of_items(cls, x: torch.Tensor, truth: torch.Tensor) -> ColumnCounts:
        """Counts items, such as the tags of clips, with ``x > threshold``: O(items log items) a column.

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
        return cls(knots, true_positives, estimated, reference)

    @classmethod
    def of_steps(cls, steps: MergedSteps, reference: torch.Tensor) -> ColumnCounts:
        """Sums steps; below 0, where there is no threshold, counts are 0.

        Args:
            steps: with values above 0.
            reference: int64 ``[column]``.
        """
        size = torch.bincount(steps.column, minlength=len(reference))
        end = size.cumsum(0)
        width = int(size.max()) + 1 if len(steps.column) else 0
        # Every column with steps begins with a knot at 0.
        place = torch.arange(1, len(steps.column) + 1) + (torch.arange(len(size)) * width - end + size)[steps.column]
        knots = torch.full((len(size), width), torch.inf)
        knots.view(-1)[place] = steps.value
        knots[size > 0, :1] = 0
        counts = torch.zeros(2, len(size), width + 1, dtype=torch.int32)
        for table, change in zip(counts, (steps.true_positives, steps.estimated), strict=True):
            total = torch.nn.functional.pad(change.cumsum(0), (1, 0))
            whole = total[end]  # up to the end of each column
            table.view(-1)[place + steps.column + 1] = (whole[steps.column] - total[1:]).int()
            table[:, 1:2] = whole.diff(prepend=whole.new_zeros(1)).int()[:, None]
        return cls(knots, counts[0], counts[1], reference)

    def at(self, thresholds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the true positives and estimates at thresholds ``[..., column]``, int64 of the same shape."""
        flat = thresholds.reshape(-1, len(self.knots)).to(self.knots.dtype).clamp(0, 1)
        index = torch.searchsorted(self.knots, flat.T.contiguous(), right=True)
        return (
            self.true_positives.gather(1, index).T.reshape(thresholds.shape).long(),
            self.estimated.gather(1, index).T.reshape(thresholds.shape).long(),
        )

    def columns(self, part: slice) -> ColumnCounts:
        """Returns the counts of consecutive columns."""
        return ColumnCounts(self.knots[part], self.true_positives[part], self.estimated[part], self.reference[part])

    @cached_property
    def candidates(self) -> Candidates:
        """All choices but silence that lose something, a hit or an estimate fewer, when the threshold rises further."""
        hits, found = self.true_positives, self.estimated
        changes = (hits[:, :-1] != hits[:, 1:]) | (found[:, :-1] < found[:, 1:])
        flat, width = flatnonzero(changes), self.knots.shape[1]
        column = divide(flat, width) if width else flat
        index = flat - column * width
        # Equal knots are passed together, so that they are one choice, at the first of them.
        is_first = self.knots[:, 1:] > self.knots[:, :-1]
        if not bool((is_first | self.knots[:, 1:].isinf()).all()):
            place = torch.arange(width, dtype=torch.int32)
            first = torch.where(torch.nn.functional.pad(is_first, (1, 0), value=True), place, 0).cummax(1).values
            index = first[column, index].long()
            new = torch.nn.functional.pad((index.diff() != 0) | (column.diff() != 0), (1, 0), value=True)[: len(index)]
            column, index = column[new], index[new]
        padded = torch.nn.functional.pad(self.knots, (1, 0))
        low, high = padded[column, index], self.knots[column, index]
        kept = high > low  # no threshold lies below a knot at 0
        column, index = column[kept], index[kept]
        return Candidates(column, low[kept], high[kept], hits[column, index].long(), found[column, index].long())

    @cached_property
    def top(self) -> torch.Tensor:
        """The last knot of each column, above which all is silent; 0 where there is none, float32 ``[column]``."""
        if not self.knots.shape[1]:
            return torch.zeros(len(self.knots))
        last = (self.knots <= 1).sum(1, keepdim=True) - 1
        return torch.where(last < 0, 0.0, self.knots.gather(1, last.clamp(min=0)))[:, 0]

    def best(self, gain: Gain) -> Choice:
        """Returns the choice with the highest gain in each column, see `choose`."""
        return choose(self.candidates, gain, self.top)
