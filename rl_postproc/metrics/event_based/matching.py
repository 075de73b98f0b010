"""Maximum matching for the references that more than one run may match, or that compete for a run.

At one threshold the runs of a track are disjoint and sorted, so the runs that suit a reference follow one another.
Serving the references in the order in which these blocks end, each taking its first free run, is a maximum matching
(an exchange argument on intervals), which is what sed_eval's ``optimal`` computes with a graph.

References that share a possible run form a group, which is worked out on its own frames, those between its earliest
admissible onset and its latest admissible offset:

- A reference alone is matched where any run suits it. The runs through one frame suit it at one interval of thresholds,
  from running minima to either side; the union over the frames is the answer, in O(frames log frames).
- Several references are matched at each level that occurs there: O(frames · levels) booleans a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rl_postproc.metrics.base import Intervals
from rl_postproc.metrics.event_based.windows import Windows
from rl_postproc.utils.tensors import ragged_ranges

CELLS = 1 << 22
"""How many (group, level, frame) booleans are worked on at once."""


@dataclass(frozen=True)
class Contested:
    """Groups of references that are matched together, sorted by clip.

    Attributes:
        clip: int64 ``[group]``.
        track: int64 ``[group]``.
        first: earliest frame that matters, one before the earliest admissible onset, int64 ``[group]``.
        width: number of frames that matter, int64 ``[group]``.
        bounds: first and last onset, first and last offset frame of each reference, int64 ``[4, group, reference]``;
            windows of missing references are empty.
        size: number of references, int64 ``[group]``.
        cut_left: whether onsets are not compared, so that runs may begin before the frames that matter.
        cut_right: whether offsets are not compared, so that runs may end behind them.
    """

    clip: torch.Tensor
    track: torch.Tensor
    first: torch.Tensor
    width: torch.Tensor
    bounds: torch.Tensor
    size: torch.Tensor
    cut_left: bool = False
    cut_right: bool = False

    def __getitem__(self, index: torch.Tensor) -> Contested:
        rest = (self.clip[index], self.track[index], self.first[index], self.width[index])
        size = self.size[index]
        most = int(size.max()) if len(size) else 0
        return Contested(*rest, self.bounds[:, index, :most], size, self.cut_left, self.cut_right)

    def of_clips(self, clips: slice) -> Contested:
        """Returns the groups of consecutive clips."""
        ends = torch.tensor([clips.start, clips.stop], device=self.clip.device)
        a, b = torch.searchsorted(self.clip, ends).tolist()
        return self[torch.arange(a, b, device=self.clip.device)]


def find_contested(
    windows: Windows, evaluate_onset: bool = True, evaluate_offset: bool = True
) -> tuple[torch.Tensor, Contested]:
    """Groups the references that need a matching.

    Args:
        windows: windows of references, sorted by track and onset.
        evaluate_onset: whether onsets are compared.
        evaluate_offset: whether offsets are compared.

    Returns:
        Which references are contested, bool ``[reference]``, and their groups.
    """
    n = len(windows.track)
    index = torch.arange(n, device=windows.track.device)
    contested = windows.last_onset > windows.first_offset
    with_previous = torch.zeros(n + 1, dtype=torch.int64, device=index.device)
    # Sorted by onset, two references whose onset windows are apart share none with later ones either.
    for distance in range(1, n):
        a, b = index[:-distance], index[distance:]
        near = (windows.track[a] == windows.track[b]) & (windows.first_onset[b] <= windows.last_onset[a])
        if not bool(near.any()):
            break
        share = near & (windows.first_offset[a] <= windows.last_offset[b])
        share &= windows.first_offset[b] <= windows.last_offset[a]
        # The references in between join the group too, which keeps groups contiguous and stays exact.
        with_previous.index_add_(0, a[share] + 1, torch.ones_like(a[share]))
        with_previous.index_add_(0, b[share] + 1, -torch.ones_like(b[share]))
    joined = with_previous.cumsum(0)[:n] > 0
    group = torch.where(joined, 0, index).cummax(0).values if n else index
    contested = contested | joined
    in_group = torch.zeros(n, dtype=torch.bool, device=index.device)
    in_group[group[contested]] = True
    contested = in_group[group]
    return contested, _gather_groups(windows, contested, group, not evaluate_onset, not evaluate_offset)


def _gather_groups(
    windows: Windows, contested: torch.Tensor, group: torch.Tensor, cut_left: bool, cut_right: bool
) -> Contested:
    member = contested.nonzero()[:, 0]
    leader, number = torch.unique(group[member], return_inverse=True)
    size = torch.bincount(number, minlength=len(leader))
    place = ragged_ranges(torch.zeros_like(size), size)[1]
    most = int(size.max()) if len(size) else 0
    bounds = torch.zeros(4, len(leader), most, dtype=torch.int64, device=member.device)
    bounds[0] = bounds[2] = 1
    fields = (windows.first_onset, windows.last_onset, windows.first_offset, windows.last_offset)
    for row, values in enumerate(fields):
        bounds[row, number, place] = values[member]
    present = torch.arange(most, device=member.device) < size[:, None]
    far = torch.iinfo(torch.int64).max
    # A boundary that is not compared matters as far as the windows of the other one reach: runs are cut there.
    if cut_right and most:
        bounds[2], bounds[3] = bounds[0], torch.where(present, bounds[1], -1).amax(1, keepdim=True)
    if cut_left and most:
        bounds[0], bounds[1] = torch.where(present, bounds[2], far).amin(1, keepdim=True), bounds[3]
    first = torch.where(present, bounds[0], far).amin(1) - 1 if most else size
    last = torch.where(present, bounds[3], -1).amax(1) + 1 if most else size
    clip, track, width = windows.clip[leader], windows.track[leader], last - first + 1
    return Contested(clip, track, first, width, bounds, size, cut_left, cut_right)


def contested_intervals(values: torch.Tensor, groups: Contested, column: torch.Tensor) -> Intervals:
    """Returns the number of matches of each group as intervals of thresholds.

    Args:
        values: ``[filter, frame, track]``.
        groups: the groups.
        column: where in ``values`` the track of each group stands, int64 ``[group]``.
    """
    n_filters, _, n_tracks = values.shape
    padded = torch.nn.functional.pad(values, (0, 0, 1, 1))
    none = values.new_zeros(0)
    parts: list[Intervals] = [Intervals(none.long(), none, none, none.to(torch.int16))]
    for chosen in _like_groups(groups, n_filters):
        part, place = groups[chosen], column[chosen]
        frames = torch.arange(int(part.width.max()), device=values.device)
        inside = frames < part.width[:, None] - int(groups.cut_right)
        inside &= frames >= int(groups.cut_left)
        index = (part.first[:, None] + frames).clamp(max=padded.shape[1] - 2) + 1
        local = (padded[:, index, place[:, None]] * inside.to(values.dtype)).flatten(0, 1)
        bounds = (part.bounds - part.first[:, None]).repeat(1, n_filters, 1)
        if part.bounds.shape[2] == 1:
            row, low, high = _match_alone(local, bounds[..., 0])
            weight = torch.ones((), dtype=torch.int16, device=values.device).expand(len(row))
        else:
            row, low, high, weight = _match_group(local, bounds)
        parts.append(Intervals(row // len(place) * n_tracks + place[row % len(place)], low, high, weight))
    return Intervals(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _like_groups(groups: Contested, n_filters: int) -> Iterator[torch.Tensor]:
    """Yields groups (int64 indices) of equal size and like width, a bounded number of cells at a time."""
    if not len(groups.size):
        return
    order = torch.argsort(groups.size * (groups.width.max() + 1) + groups.width, descending=True)
    size, width = groups.size[order].tolist(), groups.width[order].tolist()
    position = 0
    while position < len(order):
        cells = n_filters * width[position] * (1 if size[position] == 1 else width[position])
        count, most = 1, max(1, CELLS // cells)
        while (
            count < most
            and position + count < len(order)
            and size[position + count] == size[position]
            and 2 * width[position + count] >= width[position]
        ):
            count += 1
        yield order[position : position + count]
        position += count


def _match_alone(local: torch.Tensor, bounds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Finds where one reference with overlapping windows is matched.

    The run through frame ``p`` begins in the window if every frame from the window's last onset (or ``p``, if earlier)
    to ``p`` is active, and some frame from before the window to before that is not; its end is alike.

    Args:
        local: values of the frames that matter, ``[row, frame]``.
        bounds: first and last onset, first and last offset frame, int64 ``[4, row]``.

    Returns:
        Row, low and high of disjoint intervals of thresholds.
    """
    x = local.T.contiguous()
    first_onset, last_onset, first_offset, last_offset = bounds
    frame = torch.arange(len(x), device=x.device)[:, None]
    most = torch.finfo(x.dtype).max if x.is_floating_point() else torch.iinfo(x.dtype).max
    # Running minima, with frames outside their range left out by the largest value.
    from_left = _running_minimum(x.masked_fill(frame < first_onset - 1, most), 1)
    from_right = _running_minimum(x.masked_fill(frame > last_offset + 1, most), -1)
    before = from_left.gather(0, (frame.minimum(last_onset) - 1).clamp(min=0))
    behind = from_right.gather(0, (frame.maximum(first_offset) + 1).clamp(max=len(x) - 1))
    through = _running_minimum(x.masked_fill(frame < last_onset, most), 1)
    through = through.minimum(_running_minimum(x.masked_fill(frame > first_offset, most), -1)).minimum(x)
    low = before.maximum(behind)
    possible = (low < through) & (frame >= first_onset) & (frame <= last_offset)
    # The union: sorted upwards, an interval is open where more have begun than ended.
    ends = torch.cat([low.masked_fill(~possible, 0), through.masked_fill(~possible, 0)]).T
    value, order = ends.sort(1)
    begins = (order < len(x)) & possible.T.repeat(1, 2).gather(1, order)
    finishes = (order >= len(x)) & possible.T.repeat(1, 2).gather(1, order)
    is_open = (begins.to(torch.int16) - finishes.to(torch.int16)).cumsum(1) > 0
    change = (is_open ^ torch.nn.functional.pad(is_open[:, :-1], (1, 0))).nonzero()
    row, low_at, high_at = change[0::2, 0], change[0::2, 1], change[1::2, 1]
    return row, value[row, low_at], value[row, high_at]


def _running_minimum(x: torch.Tensor, direction: int) -> torch.Tensor:
    """Returns the minima of ``[frame, row]`` from the first frame on, or backwards from the last."""
    x, step = x.clone(), 1
    while step < len(x):
        last = x.clone()
        near, far = (last[step:], last[:-step]) if direction > 0 else (last[:-step], last[step:])
        torch.minimum(near, far, out=x[step:] if direction > 0 else x[:-step])
        step *= 2
    return x


def _match_group(
    local: torch.Tensor, bounds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Counts the matches of several references, between any two neighbouring levels of their frames.

    Args:
        local: values of the frames that matter, ``[row, frame]``.
        bounds: windows relative to the first of them, int64 ``[4, row, reference]``.

    Returns:
        Row, low, high and number of matches of disjoint intervals of thresholds.
    """
    level = local.sort(1).values
    if not level.is_floating_point():
        highest = max(1, int(level.amax()))
        if highest < level.shape[1]:
            level = torch.arange(1, highest + 1, device=level.device, dtype=level.dtype).expand(len(level), -1)
    below = torch.nn.functional.pad(level[:, :-1], (1, 0))
    weight = _match_levels(local, level, bounds)
    row, column = ((weight > 0) & (level > below)).nonzero().unbind(1)
    return row, below[row, column], level[row, column], weight[row, column]


def _match_levels(local: torch.Tensor, level: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """Counts the matches of each group at each of the given levels.

    Args:
        local: values of the group's frames, ``[group, frame]``.
        level: ``[group, level]``.
        bounds: windows relative to the group's first frame, int64 ``[4, group, reference]``.

    Returns:
        Matches when the frames at or above each level are active, int16 ``[group, level]``.
    """
    width, n_levels = local.shape[1], level.shape[1]
    frame = torch.arange(width, dtype=torch.int16, device=local.device)
    active = (local[:, None, :] >= level[:, :, None]) & (level[:, :, None] > 0)
    starts = active & ~torch.nn.functional.pad(active[..., :-1], (1, 0))
    # The end of the run through each frame: one before the next inactive frame.
    next_inactive = torch.where(active, width, frame).flip(-1).cummin(-1).values.flip(-1)
    end = (next_inactive - 1).to(torch.int16)
    windows = bounds.to(torch.int16)

    def suits(w: torch.Tensor) -> torch.Tensor:
        """Runs (by their first frame) that suit windows ``[4, group, level or 1]``."""
        first_onset, last_onset, first_offset, last_offset = w[..., None]
        return starts & (frame >= first_onset) & (frame <= last_onset) & (end >= first_offset) & (end <= last_offset)

    ends = [torch.where(suits(windows[:, :, g : g + 1]), frame, -1).amax(-1) for g in range(windows.shape[2])]
    order = torch.stack(ends, -1).argsort(-1)
    free, matches = starts.clone(), torch.zeros(level.shape, dtype=torch.int16, device=local.device)
    for turn in range(windows.shape[2]):
        served = (
            windows[:, :, None]
            .expand(-1, -1, n_levels, -1)
            .gather(-1, order[None, ..., turn, None].expand(4, -1, -1, 1))
        )
        fits = suits(served[..., 0]) & free
        matches += fits.any(-1)
        taken = torch.nn.functional.one_hot(fits.byte().argmax(-1), width).bool()
        free &= ~(taken & fits)
    return matches
