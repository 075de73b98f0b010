"""Median filters of small whole numbers for many kernels at once, by majority votes.

On a grid of levels a median is a sum of votes: it reaches a level where more than half of its window does. The 0s and 1s
of a level are summed over the windows of all kernels, where one sum serves the next, one comparison a kernel gives the
votes, and the steps between the levels that are voted for add up to the medians. Sums of at most 255 frames and medians
of at most 255 fit bytes, so that bytes are added two at a time, as integers of 16 bits.

The cost grows with the levels that occur in a track, which are few: most tracks are silent most of the time. Tracks are
put in the order of their number, so that those that are worked on together have about as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from rl_postproc.stages.sorting_networks import EdgeMode, pad_edges, power_of_two_below
from rl_postproc.utils.tensors import take_columns

LONGEST = 255
"""The longest window whose sums fit a byte."""
TILE_CELLS = {"cpu": 40 << 10, "cuda": 1 << 22}
"""Frames of the tracks that are worked on together: all buffers together fit a core's cache, or one step fills a GPU."""


class Levels(NamedTuple):
    """The positive levels that occur in each track.

    Attributes:
        count: their number, int64 ``[track]``.
        below: the next lower one of each, or 0, by rising level, uint8 ``[level, track]``; 0 where there are fewer.
        step: the difference between the two, uint8 ``[level, track]``; 0 where there are fewer.
    """

    count: torch.Tensor
    below: torch.Tensor
    step: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor) -> Levels:
        """Finds the levels of tracks, uint8 ``[frame, track]``; there must be one."""
        highest = x.amax(0)
        count = (highest > 0).long()
        # Where no level is above 1 nothing need be searched.
        busy = (highest > 1).nonzero()[:, 0]
        values = x.new_zeros(0, len(busy))
        if len(busy):
            place = take_columns(x, busy).long() * len(busy) + torch.arange(len(busy), device=x.device)
            occurs = torch.zeros((int(highest.amax()) + 1) * len(busy), dtype=torch.bool, device=x.device)
            occurs = occurs.index_fill_(0, place.flatten(), True).reshape(-1, len(busy))[1:]
            level, track = occurs.nonzero().unbind(1)
            number = occurs.cumsum(0)
            count[busy] = number[-1]
            values = x.new_zeros(int(number[-1].amax()), len(busy))
            values[number[level, track] - 1, track] = (level + 1).to(x.dtype)
        found = x.new_zeros(max(1, len(values)), len(highest))
        found[0] = highest
        found[: len(values)].index_copy_(1, busy, values)
        below = torch.nn.functional.pad(found[:-1], (0, 0, 1, 0))
        return cls(count, below, found.maximum(below) - below)


def filter_by_votes(x: torch.Tensor, n_frames: torch.Tensor, kernels: Sequence[int], edge: EdgeMode) -> torch.Tensor:
    """Filters every track with every kernel, see `rl_postproc.stages.median.median_filter`.

    Args:
        x: uint8 ``[frame, track]``.
        n_frames: int64 ``[track]``.
        kernels: odd numbers of frames, at most `LONGEST`, one of them above 1.
        edge: what lies outside a track.
    """
    width, n_tracks = x.shape
    levels = Levels.of(x)
    longer = sorted({kernel for kernel in kernels if kernel > 1})
    order = levels.count.argsort(descending=True)
    ordered, n_frames = take_columns(x, order), n_frames[order]
    size = TILE_CELLS.get(x.device.type, TILE_CELLS["cpu"]) // (width + longer[-1])
    size = min(max(2, size), n_tracks + 1) // 2 * 2
    votes = MajorityVotes(longer, width, size, x.device)
    padded = pad_edges(ordered, n_frames, votes.padding, edge)
    padded, below, step = (
        torch.nn.functional.pad(part, (0, -n_tracks % size)).split(size, 1)
        for part in (padded, take_columns(levels.below, order), take_columns(levels.step, order))
    )
    # All bits are set where a track has a frame.
    inside = (torch.arange(width, device=x.device)[:, None] < n_frames).to(torch.uint8).neg_()
    # The tracks themselves stand before the medians of the longer kernels.
    found = x.new_empty(1 + len(longer), width, n_tracks)
    found[0] = ordered
    for i, count in enumerate(levels.count[order[::size]].tolist()):
        part = slice(i * size, min((i + 1) * size, n_tracks))
        medians = votes.medians(padded[i], below[i][:count], step[i][:count])[..., : part.stop - part.start]
        torch.bitwise_and(medians, inside[:, part], out=found[1:, :, part])
    wanted = [longer.index(kernel) + 1 if kernel > 1 else 0 for kernel in kernels]
    first, last = wanted[0], wanted[-1]
    found = found[first : last + 1] if wanted == [*range(first, last + 1)] else found[wanted]
    return take_columns(found, order.argsort())


def sums_of_windows(sizes: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Returns how sums over windows follow from shorter ones: each size, after the two that it is made of.

    Args:
        sizes: numbers of frames; those in between that are needed come with them. A window of 1 is made of nothing.
    """
    made: dict[int, tuple[int, int]] = {}

    def make(size: int) -> None:
        known = [1, *made]
        if size in known:
            return
        halves = [part for part in known if size - part in known]
        part = max(halves or [part for part in known if part < size])
        part = part if 2 * part >= size else power_of_two_below(size)
        make(part)
        make(size - part)
        made[size] = part, size - part

    for size in sorted(sizes):
        make(size)
    return made


def votes_a_level(kernels: Sequence[int]) -> int:
    """Returns how many elementwise steps a level takes."""
    longer = {kernel for kernel in kernels if kernel > 1}
    return 1 + len(sums_of_windows([*longer])) + 3 * len(longer)


class MajorityVotes:
    """Medians of some tracks, in buffers that serve for as many tracks again."""

    def __init__(self, kernels: Sequence[int], width: int, n_tracks: int, device: torch.device):
        """Makes room.

        Args:
            kernels: different odd numbers of frames above 1, at most `LONGEST`.
            width: number of frames.
            n_tracks: number of tracks, even.
            device: where the work is done.
        """
        self.padding, n = max(kernels) // 2, len(kernels)
        made = sums_of_windows(kernels)
        sizes = [*kernels, *({1, *made} - {*kernels})]
        length = width + 2 * self.padding
        rooms = torch.empty(len(sizes), length, n_tracks, dtype=torch.uint8, device=device)
        # A sum stands at the middle of its window, so that those of all kernels stand side by side.
        sums = {size: room[size // 2 :][: length + 1 - size] for size, room in zip(sizes, rooms, strict=True)}
        self._reaches = sums[1]
        pairs = {size: found.view(torch.int16) for size, found in sums.items()}
        self._additions = [
            (pairs[a][: length + 1 - size], pairs[b][a:][: length + 1 - size], pairs[size])
            for size, (a, b) in made.items()
        ]
        self._sums = rooms[:n, self.padding : self.padding + width]
        self._half = torch.tensor(kernels, dtype=torch.uint8, device=device)[:, None, None] // 2
        self._votes, self._medians = torch.empty_like(self._sums), torch.empty_like(self._sums)

    def medians(self, padded: torch.Tensor, below: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """Returns the medians of all kernels, uint8 ``[kernel, frame, track]``, valid until the next call.

        Args:
            padded: tracks extended by `padding` frames on both sides, uint8 ``[frame, track]``.
            below: see `Levels`.
            step: see `Levels`.
        """
        votes, medians = self._votes.view(torch.int16), self._medians.zero_().view(torch.int16)
        for under, weight in zip(below.unbind(), step.unbind(), strict=True):
            torch.gt(padded, under, out=self._reaches)
            for first, second, both in self._additions:
                torch.add(first, second, out=both)
            torch.gt(self._sums, self._half, out=self._votes)
            torch.mul(self._votes, weight, out=self._votes)
            medians.add_(votes)
        return self._medians
