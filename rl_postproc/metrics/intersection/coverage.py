"""How much of a stretch of time the references of a class cover, by running sums."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.data.events import Events

_MICRO = 1_000_000


@dataclass(frozen=True)
class Coverage:
    """Running sums of the references of each clip and class; those that overlap one another count each.

    Attributes:
        n_classes: number of classes.
        span: microseconds that lie between the times of two cells (clip-major, then class).
        onset: cell and onset of each reference, ascending int64 ``[reference]``.
        offset: cell and offset of each reference, ascending int64 ``[reference]``.
        onsets: running sum of onsets in seconds, float64 ``[reference + 1]``, restarted in each cell.
        offsets: running sum of offsets.
        first: index of each cell's first reference, int64 ``[cell + 1]``.
    """

    n_classes: int
    span: int
    onset: torch.Tensor
    offset: torch.Tensor
    onsets: torch.Tensor
    offsets: torch.Tensor
    first: torch.Tensor

    @classmethod
    def of(cls, references: Events, latest: float) -> Coverage:
        """Sums references up.

        Args:
            references: the references.
            latest: seconds that no time asked for passes.
        """
        n_classes, n_cells = len(references.classes), len(references.clip_ids) * len(references.classes)
        cell = references.clip * n_classes + references.label
        latest = max(latest, float(references.offset.max()) if len(references) else 0.0)
        span = int(latest * _MICRO) + 2
        first = torch.nn.functional.pad(torch.bincount(cell, minlength=n_cells).cumsum(0), (1, 0))
        keys, sums = [], []
        for time in (references.onset, references.offset):
            key, order = (cell * span + _micro(time)).sort()
            keys.append(key)
            sums.append(torch.nn.functional.pad(time[order].cumsum(0), (1, 0)))
        return cls(n_classes, span, keys[0], keys[1], sums[0], sums[1], first)

    def between(
        self, clip: torch.Tensor, label: torch.Tensor, onset: torch.Tensor, offset: torch.Tensor
    ) -> torch.Tensor:
        """Returns the seconds of stretches that references of a class cover, rounded to microseconds.

        Args:
            clip: int64 ``[stretch]``.
            label: the class, int64 ``[stretch]``.
            onset: seconds, float64 ``[stretch]``.
            offset: seconds.
        """
        cell = clip * self.n_classes + label
        return (self._until(cell, offset) - self._until(cell, onset)).round(decimals=6)

    def _until(self, cell: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Returns the seconds covered before a time."""
        key, first = cell * self.span + _micro(time), self.first[cell]
        begun = torch.searchsorted(self.onset, key, right=True)
        ended = torch.searchsorted(self.offset, key, right=True)
        begun_sum, ended_sum = self.onsets[begun] - self.onsets[first], self.offsets[ended] - self.offsets[first]
        return (begun - ended) * time - (begun_sum - ended_sum)


def _micro(time: torch.Tensor) -> torch.Tensor:
    return (time * _MICRO).round().long()
