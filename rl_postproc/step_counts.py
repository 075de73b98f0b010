"""Counts as steps of the threshold for each clip, class and filter setting, and the best threshold of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from rl_postproc.arrays import argsort, divide, places
from rl_postproc.counts import CountTable
from rl_postproc.metrics import f1
from rl_postproc.stack import ParameterSpace
from rl_postproc.stages import Parameter

BINS = 1 << 10
"""Bins of score values in the search for the best threshold."""


@dataclass(frozen=True)
class StepCounts:
    """Counts at every threshold as sums of steps.

    The count of a cell, which is one clip, class and filter setting, at threshold ``θ`` is the sum of the changes of
    its steps with a value above ``θ``. Steps are sorted by cell, then by value.

    Attributes:
        cell: ``(clip * n_classes + class) * n_filters + filter``, int32 or int64 ``[step]``.
        value: a score, float32 ``[step]``, above 0.
        true_positives: change of the true positives, int16 or int32 ``[step]``.
        estimated: change of the estimated count, int16 or int32 ``[step]``.
        reference: number of references, int64 ``[clip, class]``.
        space: the stack's parameters; the last one is the threshold, the others make the filter settings.
    """

    cell: torch.Tensor
    value: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor
    reference: torch.Tensor
    space: ParameterSpace

    @property
    def n_filters(self) -> int:
        """Number of filter settings."""
        return math.prod(self.space.sizes[:-1])

    def at(self, thresholds: Sequence[float]) -> CountTable:
        """Looks up the counts of a grid of thresholds.

        Args:
            thresholds: increasing values in [0, 1].

        Returns:
            The table that `rl_postproc.sweep.sweep` makes with these candidates for the threshold.
        """
        parameter = Parameter.model_validate({"candidates": list(thresholds), "scope": self.space.parameters[-1].scope})
        grid = torch.tensor(parameter.candidates, device=self.value.device)
        n_clips, n_classes = self.reference.shape
        shape = n_clips * n_classes * self.n_filters, len(grid) + 1
        place = self.cell.long() * shape[1] + torch.bucketize(self.value, grid)
        space = ParameterSpace(self.space.names, (*self.space.parameters[:-1], parameter))
        tables = []
        for change in (self.true_positives, self.estimated):
            table = torch.zeros(shape[0] * shape[1], dtype=torch.int32, device=grid.device)
            table.scatter_add_(0, place, change.int())
            # A step counts at the thresholds below its value.
            counts = table.reshape(shape).flip(1).cumsum(1, dtype=torch.int32).flip(1)[:, 1:]
            highest = int(counts.amax()) if counts.numel() else 0
            dtype = torch.uint8 if highest < 1 << 8 else torch.int16 if highest < 1 << 15 else torch.int32
            tables.append(counts.to(dtype).reshape(n_clips, n_classes, -1))
        return CountTable(tables[0], tables[1], self.reference, space)

    def select(self, clips: torch.Tensor) -> StepCounts:
        """Returns the counts of the given clips (int64 indices), in that order."""
        clips = clips.to(self.cell.device)
        per_clip = self.reference.shape[1] * self.n_filters
        edges = torch.arange(len(self.reference) + 1, device=clips.device) * per_clip
        ends = torch.searchsorted(self.cell, edges.to(self.cell.dtype))
        n = (ends[1:] - ends[:-1])[clips]
        new_clip = torch.arange(len(clips), device=clips.device).repeat_interleave(n)
        index = ends[clips][new_clip] + torch.arange(len(new_clip), device=clips.device) - (n.cumsum(0) - n)[new_clip]
        cell = self.cell[index] + ((new_clip - clips[new_clip]) * per_clip).to(self.cell.dtype)
        return replace(
            self,
            cell=cell,
            value=self.value[index],
            true_positives=self.true_positives[index],
            estimated=self.estimated[index],
            reference=self.reference[clips],
        )

    def to(self, device: torch.device | str) -> StepCounts:
        """Returns the same counts on another device."""
        names = ("cell", "value", "true_positives", "estimated", "reference")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def best_thresholds(self) -> BestThresholds:
        """Finds the threshold with the highest F1 of each class and filter setting, over all thresholds.

        F1 is that of the counts summed over clips. Ties go to the widest interval of thresholds. A class without true
        positives at any threshold, for one without references, is best silent: its threshold lies above every score.
        """
        n_classes, n_filters = self.reference.shape[1], self.n_filters
        reference = self.reference.sum(0).repeat_interleave(n_filters)
        bins = _Bins.of_steps(self, n_classes * n_filters)
        value, below, group, true_positives, estimated = bins.steps_that_may_win(self, reference)
        quality = f1(true_positives, estimated, reference[group]).where(below < value, 0)
        best = torch.zeros(len(reference), dtype=quality.dtype, device=value.device)
        best.scatter_reduce_(0, group, quality, "amax")
        tied = ((quality == best[group]) & (quality > 0)).nonzero()[:, 0]
        width = (value - below)[tied]
        widest = value.new_zeros(len(reference)).scatter_reduce_(0, group[tied], width, "amax")
        tied = tied[width == widest[group[tied]]]
        # Row -1 of each column stands for the silent threshold, above every score.
        chosen = torch.full((len(reference),), len(value), device=value.device)
        chosen.scatter_reduce_(0, group[tied], tied, "amin")
        silent = chosen == len(value)
        columns = (torch.nn.functional.pad(c, (0, 1))[chosen] for c in (value, below, true_positives, estimated))
        upper, lower, true_positives, estimated = columns
        lower, upper = lower.where(~silent, bins.top.amax(1)), upper.where(~silent, 1)
        shape = n_classes, n_filters
        return BestThresholds(
            _between(lower, upper).reshape(shape),
            f1(true_positives, estimated, reference).reshape(shape),
            true_positives.reshape(shape),
            estimated.reshape(shape),
            self.reference.sum(0),
            self.space,
        )


@dataclass(frozen=True)
class _Bins:
    """Steps of each group (class and filter setting) by bins of their values: bounds that spare most of the sorting.

    Attributes:
        place: ``group * BINS + bin`` of each step, int64 ``[step]``.
        top: highest value in each bin, float32 ``[group, bin]``.
        above: true positives and estimated count from the steps in higher bins, int64 ``[2, group, bin]``.
        gain: the most by which the bin's own steps may raise the true positives, int64 ``[group, bin]``.
        loss: the most by which they may lower the estimated count, int64 ``[group, bin]``.
    """

    place: torch.Tensor
    top: torch.Tensor
    above: torch.Tensor
    gain: torch.Tensor
    loss: torch.Tensor

    @classmethod
    def of_steps(cls, steps: StepCounts, n_groups: int) -> _Bins:
        # A product with a power of two is exact, so that bins keep the order of the values.
        within = (steps.value * BINS).int().clamp(max=BINS - 1)
        cell = steps.cell.long()
        place = (cell - divide(cell, n_groups) * n_groups) * BINS + within

        def total(change: torch.Tensor) -> torch.Tensor:
            table = torch.zeros(n_groups * BINS, dtype=torch.int32, device=place.device)
            return table.scatter_add_(0, place, change.int()).reshape(n_groups, BINS).long()

        top = steps.value.new_zeros(n_groups * BINS).scatter_reduce_(0, place, steps.value, "amax")
        net = torch.stack([total(steps.true_positives), total(steps.estimated)])
        above = net.flip(2).cumsum(2).flip(2) - net
        gain, loss = total(steps.true_positives.clamp(min=0)), -total(steps.estimated.clamp(max=0))
        return cls(place, top.reshape(n_groups, BINS), above, gain, loss)

    def steps_that_may_win(
        self, steps: StepCounts, reference: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns the steps of the bins that may hold their group's best threshold, sorted by group, values falling.

        Args:
            steps: the steps.
            reference: number of references, int64 ``[group]``.

        Returns:
            Value, next smaller value, group, and the group's true positives and estimated count just below the value.
        """
        reached = f1(self.above[0], self.above[1], reference[:, None]).amax(1, keepdim=True)
        possible = f1(self.above[0] + self.gain, (self.above[1] - self.loss).clamp(min=0), reference[:, None])
        wanted = places(((possible >= reached) & (possible > 0)).flatten().index_select(0, self.place))
        place, value = self.place[wanted], steps.value[wanted]
        # Scores are not negative, so their bits order as they do.
        order = argsort((place // BINS << 32) - value.view(torch.int32))
        wanted, place, value = wanted[order], place[order], value[order]
        first = _first_of_equals(place)
        counts = []
        for change, above in zip((steps.true_positives, steps.estimated), self.above, strict=True):
            total = torch.nn.functional.pad(change[wanted].cumsum(0, dtype=torch.int64), (1, 0))
            counts.append(above.flatten()[place] + total[1:] - total[first])
        lower_bins = torch.nn.functional.pad(self.top[:, :-1], (1, 0)).cummax(1).values.flatten()
        same_bin = torch.nn.functional.pad(place[1:] == place[:-1], (0, 1))
        below = torch.where(same_bin, torch.nn.functional.pad(value[1:], (0, 1)), lower_bins[place])
        return value, below, place // BINS, counts[0], counts[1]


def _first_of_equals(x: torch.Tensor) -> torch.Tensor:
    """Returns for each element the index of the first in its stretch of equals, int64 ``[element]``."""
    index = torch.arange(len(x), device=x.device)
    if not len(x):
        return index
    starts = torch.nn.functional.pad(x[1:] != x[:-1], (1, 0), value=True)
    return torch.where(starts, index, 0).cummax(0).values


@dataclass(frozen=True)
class BestThresholds:
    """The best threshold of each class and filter setting.

    Attributes:
        threshold: the middle of the interval of thresholds that give these counts, float32 ``[class, filter]``.
        f1: F1 of the counts, NaN for a class without references, float64 ``[class, filter]``.
        true_positives: int64 ``[class, filter]``.
        estimated: int64 ``[class, filter]``.
        reference: int64 ``[class]``.
        space: the stack's parameters.
    """

    threshold: torch.Tensor
    f1: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor
    reference: torch.Tensor
    space: ParameterSpace

    def best_filter(self) -> torch.Tensor:
        """Returns the filter setting of each class with the highest F1, the first of equals, int64 ``[class]``."""
        return self.f1.nan_to_num(0).argmax(1)

    def values(self) -> torch.Tensor:
        """Returns the best value of every parameter for each class, float32 ``[class, parameter]``.

        These are what `Stack.decide` takes. Parameters of global scope may come out different for different classes.
        """
        best = self.best_filter()
        sizes = self.space.sizes
        settings = self.space.values[:: sizes[-1], :-1].to(best.device)[best]
        return torch.cat([settings, self.threshold.gather(1, best[:, None])], 1)


def _between(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Returns thresholds in the middle of ``low <= θ < high`` that stay inside after rounding to float32."""
    middle = ((low.double() + high.double()) / 2).float()
    return torch.where(middle < high, middle, low)
