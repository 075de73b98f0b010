"""The segments of a clip in which events are active: stretches of whole numbers, in sed_eval's own arithmetic."""

from __future__ import annotations

from typing import NamedTuple

import torch

from rl_postproc.data.events import Events


class Stretches(NamedTuple):
    """Stretches of active segments, sorted by cell and segment; those of one cell never overlap.

    Attributes:
        cell: clip-major, then class, int64 ``[stretch]``.
        first: first segment, int64 ``[stretch]``.
        stop: one after the last segment, int64 ``[stretch]``.
    """

    cell: torch.Tensor
    first: torch.Tensor
    stop: torch.Tensor

    def sizes(self, n_cells: int) -> torch.Tensor:
        """Returns the number of active segments of each cell, int64 ``[cell]``."""
        sizes = torch.zeros(n_cells, dtype=torch.int64, device=self.cell.device)
        return sizes.index_add_(0, self.cell, self.stop - self.first)


def segments_of(onset: torch.Tensor, offset: torch.Tensor, length: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the first segment that a time span touches, and one after the last, int64 of the shape given.

    A span that ends where it begins, on the border of two segments, touches none.

    Args:
        onset: seconds, float64.
        offset: seconds, float64.
        length: of a segment in seconds.
    """
    # A tensor, because division by a number is a multiplication with its rounded inverse on some devices.
    divisor = torch.tensor(length, dtype=torch.float64, device=onset.device)
    return (onset / divisor).floor().long().clamp(min=0), (offset / divisor).ceil().long().clamp(min=0)


def stretches(length: float, *tables: Events) -> Stretches:
    """Returns the segments in which any event of any of the tables, over the same clips and classes, is active."""
    n_classes = len(tables[0].classes)
    cell = torch.cat([events.clip * n_classes + events.label for events in tables])
    first, stop = segments_of(
        torch.cat([events.onset for events in tables]), torch.cat([events.offset for events in tables]), length
    )
    touched = first < stop
    cell, first, stop = cell[touched], first[touched], stop[touched]
    if not len(cell):
        return Stretches(cell, first, stop)
    # One axis for all cells: a stretch begins where nothing before it in its cell reaches.
    span = int(stop.max()) + 1
    order = (cell * span + first).argsort()
    cell, first, stop = cell[order], first[order], stop[order]
    reached = (cell * span + stop).cummax(0).values
    begins = torch.nn.functional.pad(cell[1:] * span + first[1:] > reached[:-1], (1, 0), value=True)
    ends = torch.nn.functional.pad(begins[1:], (0, 1), value=True)
    return Stretches(cell[begins], first[begins], reached[ends] - cell[ends] * span)


def paired(one: Stretches, other: Stretches, n_classes: int) -> int:
    """Returns, summed over the segments of all clips, the smaller of the numbers of classes that are active in either.

    Args:
        one: active segments.
        other: active segments of the same cells.
        n_classes: by which cells become clips.
    """
    span = int(torch.cat([one.stop, other.stop, one.stop.new_zeros(1)]).max()) + 1
    keys, changes = [], []
    for column, part in enumerate((one, other)):
        for at, change in ((part.first, 1), (part.stop, -1)):
            keys.append(part.cell // n_classes * span + at)
            changes.append(torch.tensor([[change if column == k else 0] for k in (0, 1)]).expand(2, len(at)))
    key, place = torch.unique(torch.cat(keys), return_inverse=True)
    change = torch.cat(changes, 1).to(key.device)
    active = torch.zeros(2, len(key), dtype=torch.int64, device=key.device).index_add_(1, place, change).cumsum(1)
    return int((active.amin(0)[:-1] * key.diff()).sum())
