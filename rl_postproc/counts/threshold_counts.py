"""Counts at every threshold there is, of each clip, class and filter setting, and the best thresholds of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from rl_postproc.counts.choice import Candidates, Choice, Gain, choose
from rl_postproc.counts.column_counts import ColumnCounts, MergedSteps
from rl_postproc.counts.levels import narrowest
from rl_postproc.counts.table import CountTable
from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.pipeline.space import ParameterSpace
from rl_postproc.stages.base import Parameter
from rl_postproc.utils.tensors import argsort, divide, first_of_equals, flatnonzero, ragged_ranges

BINS = 1 << 10
"""Bins of score values in the search for the best threshold."""


@dataclass(frozen=True)
class ThresholdCounts:
    """True positives and estimates at every threshold, as sums of steps.

    The count of a cell, which is one clip, filter setting and class, at threshold ``θ`` is the sum of the changes of its
    steps with a value above ``θ``. Steps are sorted by cell, then by value. A column is a filter setting and class:
    ``filter * n_classes + class``. Memory is 12 to 20 bytes a step, and a step is where a count changes: a peak or
    valley of the filtered scores, or a border of what matches a reference.

    Attributes:
        cell: ``clip * n_columns + column``, int32 or int64 ``[step]``.
        value: a score, float32 ``[step]``, above 0; with ``peaks_only`` it may be 0.
        true_positives: change of the true positives, int16 or int32 ``[step]``.
        estimated: change of the estimated count, int16 or int32 ``[step]``.
        reference: number of references, int64 ``[clip, class]``.
        metric: what is counted.
        space: the stack's parameters; the last one is the threshold, the others make the filter settings.
        peaks_only: whether every cell has exactly one step, at the highest score of its track.
        levels: thresholds at which the counts hold, where these were counted alone, ascending to 1; None where they hold at
            all. Between two levels they are those of the lower one.
    """

    cell: torch.Tensor
    value: torch.Tensor
    true_positives: torch.Tensor
    estimated: torch.Tensor
    reference: torch.Tensor
    metric: Metric
    space: ParameterSpace
    peaks_only: bool = False
    levels: torch.Tensor | None = None

    def rounded(self, thresholds: torch.Tensor) -> torch.Tensor:
        """Returns the thresholds at which the counts for these hold: the next lower levels, or the lowest one."""
        if self.levels is None:
            return thresholds
        place = torch.searchsorted(self.levels, thresholds.to(self.levels.dtype).contiguous(), right=True) - 1
        return self.levels[place.clamp(min=0)].to(thresholds.dtype)

    @property
    def settings(self) -> torch.Tensor:
        """Parameter values of the filter settings, float32 ``[filter, parameter]``; one empty row without filters."""
        return self.space.values[:: self.space.sizes[-1], :-1]

    @property
    def n_columns(self) -> int:
        """Number of filter settings times number of classes."""
        return len(self.settings) * self.reference.shape[1]

    @property
    def column_reference(self) -> torch.Tensor:
        """Number of references, int64 ``[column]``."""
        return self.reference.sum(0).repeat(len(self.settings))

    def table(self, thresholds: Sequence[float]) -> CountTable:
        """Looks up the counts of a grid of thresholds.

        Args:
            thresholds: increasing values in [0, 1].

        Returns:
            The table that `rl_postproc.counts.grid.sweep` makes with these candidates for the threshold.
        """
        parameter = Parameter.model_validate({"candidates": list(thresholds), "scope": self.space.parameters[-1].scope})
        grid = torch.tensor(parameter.candidates, device=self.value.device)
        (n_clips, n_classes), n_levels = self.reference.shape, len(grid) + 1
        place = self.cell.long() * n_levels + torch.bucketize(self.value, grid)
        counts = {"reference": self.reference}
        for name, change in (("true_positives", self.true_positives), ("estimated", self.estimated)):
            table = torch.zeros(n_clips * self.n_columns * n_levels, dtype=torch.int32, device=grid.device)
            # A step counts at the thresholds below its value.
            table = table.scatter_add_(0, place, change.int()).reshape(n_clips, -1, n_classes, n_levels)
            table = table.flip(-1).cumsum(-1, dtype=torch.int32).flip(-1)[..., 1:]
            counts[name] = narrowest(table.transpose(1, 2).flatten(2))
        space = replace(self.space, parameters=(*self.space.parameters[:-1], parameter))
        return CountTable({name: counts[name] for name in DETECTION}, self.metric, space)

    def at(self, thresholds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns summed true positives and estimates at thresholds ``[..., column]``, int64 of the same shape."""
        return self.by_column.at(thresholds)

    @cached_property
    def by_column(self) -> ColumnCounts:
        """The counts summed over clips, on the CPU: O(steps log steps) to build, once."""
        reference, hits, found = self.column_reference.cpu(), self.true_positives.cpu(), self.estimated.cpu()
        if self.peaks_only and bool((found == 1).all()) and bool((hits >> 1 == 0).all()):
            shape = len(self.reference), self.n_columns
            return ColumnCounts.of_items(self.value.cpu().reshape(shape), hits.bool().reshape(shape))
        return ColumnCounts.of_steps(self._merged, reference)

    @cached_property
    def _merged(self) -> MergedSteps:
        parts = [part.cpu() for part in (self.cell, self.value, self.true_positives, self.estimated)]
        if self.peaks_only:
            kept = flatnonzero(parts[1] > 0)
            parts = [part[kept] for part in parts]
        cell = parts[0].long()
        return MergedSteps.of(cell - divide(cell, self.n_columns) * self.n_columns, *parts[1:])

    @property
    def n_choices(self) -> int:
        """Number of thresholds worth choosing, silence among them, over all columns: O(steps log steps)."""
        return int(self._merged.worth_choosing.sum()) + self.n_columns

    def by_filter(self) -> Iterator[ColumnCounts]:
        """Yields the counts summed over clips of each filter setting, columns are classes."""
        n_classes = self.reference.shape[1]
        for first in range(0, self.n_columns, n_classes):
            yield self.by_column.columns(slice(first, first + n_classes))

    @cached_property
    def _bins(self) -> _Bins:
        return _Bins.of_steps(self)

    def best(self, gain: Gain) -> Choice:
        """Finds the threshold with the highest gain of the summed counts in each column, over all thresholds.

        Bins of values bound what each can reach, so that only few steps are sorted: O(steps + columns · `BINS`).

        Args:
            gain: what is maximised.

        Returns:
            Choices ``[column]`` on the device of the counts; ties as in `choose`.
        """
        if self.peaks_only and self.value.device.type == "cpu":
            return self.by_column.best(gain)  # one step a cell sorts faster than bins are filled
        return choose(self._bins.candidates(self, gain), gain, self._bins.top.amax(1))

    def select(self, clips: torch.Tensor) -> ThresholdCounts:
        """Returns the counts of the given clips (int64 indices), in that order."""
        clips = clips.to(self.cell.device)
        edges = torch.arange(len(self.reference) + 1, device=clips.device) * self.n_columns
        ends = torch.searchsorted(self.cell, edges.to(self.cell.dtype))
        new_clip, index = ragged_ranges(ends[clips], (ends[1:] - ends[:-1])[clips])
        cell = self.cell[index] + ((new_clip - clips[new_clip]) * self.n_columns).to(self.cell.dtype)
        steps = {name: getattr(self, name)[index] for name in ("value", "true_positives", "estimated")}
        return replace(self, cell=cell, **steps, reference=self.reference[clips])

    def to(self, device: torch.device | str) -> ThresholdCounts:
        """Returns the same counts on another device."""
        names = ("cell", "value", "true_positives", "estimated", "reference")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


@dataclass(frozen=True)
class _Bins:
    """Steps of each column by bins of their values: bounds that spare most of the sorting.

    Attributes:
        place: ``column * BINS + bin`` of each step, int64 ``[step]``.
        top: highest value in each bin, float32 ``[column, bin]``.
        above: true positives and estimated count from the steps in higher bins, int64 ``[2, column, bin]``.
        rise: the most by which the bin's own steps may raise the true positives, int64 ``[column, bin]``.
        fall: the most by which they may lower the estimated count, int64 ``[column, bin]``.
    """

    place: torch.Tensor
    top: torch.Tensor
    above: torch.Tensor
    rise: torch.Tensor
    fall: torch.Tensor

    @classmethod
    def of_steps(cls, steps: ThresholdCounts) -> _Bins:
        # A product with a power of two is exact, so that bins keep the order of the values.
        within = (steps.value * BINS).int().clamp(max=BINS - 1)
        cell, n = steps.cell.long(), steps.n_columns
        place = (cell - divide(cell, n) * n) * BINS + within

        def total(change: torch.Tensor) -> torch.Tensor:
            table = torch.zeros(n * BINS, dtype=torch.int32, device=place.device)
            return table.scatter_add_(0, place, change.int()).reshape(n, BINS).long()

        top = steps.value.new_zeros(n * BINS).scatter_reduce_(0, place, steps.value, "amax")
        net = torch.stack([total(steps.true_positives), total(steps.estimated)])
        above = net.flip(2).cumsum(2).flip(2) - net
        rise, fall = total(steps.true_positives.clamp(min=0)), -total(steps.estimated.clamp(max=0))
        return cls(place, top.reshape(n, BINS), above, rise, fall)

    def candidates(self, steps: ThresholdCounts, gain: Gain) -> Candidates:
        """Returns the choices in the bins that may hold their column's best one, of those that lose something higher up."""
        columns = torch.arange(len(self.top), device=self.top.device)
        of_bin = columns.repeat_interleave(BINS)
        reached = gain(self.above[0].flatten(), self.above[1].flatten(), of_bin).reshape(-1, BINS).amax(1)
        nothing = torch.zeros_like(columns)
        most = gain((self.above[0] + self.rise).flatten(), (self.above[1] - self.fall).clamp(min=0).flatten(), of_bin)
        possible = (most >= reached[of_bin]) & (most > gain(nothing, nothing, columns)[of_bin])
        wanted = flatnonzero(possible.index_select(0, self.place))
        place, value = self.place[wanted], steps.value[wanted]
        # By column and falling values. Scores are not negative, so their bits order as they do.
        key = (place // BINS << 32) - value.view(torch.int32)
        order = argsort(key)
        wanted, place, value, key = wanted[order], place[order], value[order], key[order]
        first_of_bin, first_of_value = first_of_equals(place), first_of_equals(key)
        counts, gone = [], []
        for change, above in zip((steps.true_positives, steps.estimated), self.above, strict=True):
            total = torch.nn.functional.pad(change[wanted].cumsum(0, dtype=torch.int64), (1, 0))
            counts.append(above.flatten()[place] + total[1:] - total[first_of_bin])
            gone.append(total[1:] - total[first_of_value])
        lower_bins = torch.nn.functional.pad(self.top[:, :-1], (1, 0)).cummax(1).values.flatten()
        same_bin = torch.nn.functional.pad(place[1:] == place[:-1], (0, 1))
        below = torch.where(same_bin, torch.nn.functional.pad(value[1:], (0, 1)), lower_bins[place])
        # The last step of a value counts them all; a choice above it must have lost a hit, or gained an estimate.
        kept = flatnonzero((below < value) & ((gone[0] != 0) | (gone[1] < 0))).flip(0)
        return Candidates(place[kept] // BINS, below[kept], value[kept], counts[0][kept], counts[1][kept])
