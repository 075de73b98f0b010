"""Event-based counts at all thresholds at once.

Every count is a step function of the threshold. With ``m[t]`` the filtered score of frame ``t``:

- a run of active frames begins at ``t`` for the thresholds between ``m[t-1]`` and ``m[t]``, so the number of estimated
  events needs neighbouring frames only;
- a reference event admits onsets in one window of frames and offsets in another. Where the two do not overlap, only
  one run can match, the one through all frames between them. It exists below the least score in between, and lies
  inside the windows above the least score of each window: one interval of thresholds for each reference, from three
  range minima;
- references that are shorter than their collars, or that compete for the same run, are worked out level by level on
  their own few frames (`rl_postproc.metrics.event_based.matching`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Intervals, PreparedMetric
from rl_postproc.metrics.event_based.collars import CollarMetric
from rl_postproc.metrics.event_based.matching import Contested, contested_intervals, find_contested
from rl_postproc.metrics.event_based.windows import Windows, find_windows
from rl_postproc.utils.pyramid import RangePyramid
from rl_postproc.utils.tensors import divide, flatnonzero, ragged_ranges


@dataclass(frozen=True)
class PreparedEventBased(PreparedMetric):
    """The windows of all references, split into those with one possible run and those that are contested."""

    fixed: Counts
    windows: Windows
    single: Windows
    contested: Contested
    n_classes: int
    columns = ("true_positives", "estimated")
    judges_events = True

    @classmethod
    def build(cls, metric: CollarMetric, scores: ScoreSet) -> PreparedEventBased:
        """Prepares the metric for a score set with references."""
        references = scores.require_references()
        windows = find_windows(metric, scores, references)
        is_contested, contested = find_contested(windows, metric.evaluate_onset, metric.evaluate_offset)
        return cls({"reference": references.counts()}, windows, windows[~is_contested], contested, scores.n_classes)

    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, Intervals]:
        """See `PreparedMetric.intervals`. Time O(frames) for the estimated count, O(frames log frames) a reference."""
        single, contested = self.single.of_clips(clips), self.contested.of_clips(clips)
        column = single.track - clips.start * self.n_classes
        group_column = contested.track - clips.start * self.n_classes
        if tracks is not None:
            chosen, column = _positions(column, tracks)
            single = single[chosen]
            chosen, group_column = _positions(group_column, tracks)
            contested = contested[chosen]
        true_positives = _single_intervals(values, single, column)
        matched = contested_intervals(values, contested, group_column)
        both = Intervals(*(torch.cat(pair) for pair in zip(true_positives, matched, strict=True)))
        return both, _run_intervals(values)

    def matches(self, track: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """See `PreparedMetric.matches`: both boundaries lie in the windows of one reference."""
        # References are sorted by track and onset, and so are the ends of their windows: those around one stand together.
        windows, stride = self.windows, 1 + int(torch.cat([self.windows.last_onset, first, first.new_zeros(1)]).max())
        onset = track * stride + first
        begin = torch.searchsorted(windows.track * stride + windows.last_onset, onset)
        end = torch.searchsorted(windows.track * stride + windows.first_onset, onset, right=True)
        event, reference = ragged_ranges(begin, end - begin)
        last, near = last[event], windows[reference]
        hit = (near.first_offset <= last) & (last <= near.last_offset)
        found = torch.zeros(len(track), dtype=torch.bool, device=track.device)
        found[event[hit]] = True
        return found


def _positions(wanted: torch.Tensor, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns every place at which a value stands in a list that does not fall.

    Returns:
        Which value, and its place in the list, int64 ``[place]`` each, sorted by value where the values are.
    """
    first = torch.searchsorted(tracks, wanted)
    return ragged_ranges(first, torch.searchsorted(tracks, wanted, right=True) - first)


def _run_intervals(values: torch.Tensor) -> Intervals:
    """A run begins with each rise: one more at the thresholds below its upper end, one less below its lower end.

    Where one rise follows another the two cancel, so that only peaks and valleys count.
    """
    _, width, n_tracks = values.shape
    rise = torch.empty_like(values, dtype=torch.bool)
    torch.gt(values[:, :1], 0, out=rise[:, :1])
    torch.gt(values[:, 1:], values[:, :-1], out=rise[:, 1:])
    turns = rise.clone()
    turns[:, :-1] ^= rise[:, 1:]
    turn = flatnonzero(turns)
    # The track of [filter, frame, track], counted on over the filters.
    row = divide(turn, n_tracks)
    track = turn + (divide(row, width) - row) * n_tracks
    weight = rise.flatten().index_select(0, turn).to(torch.int16) * 2 - 1
    high = values.flatten().index_select(0, turn)
    return Intervals(track, torch.zeros_like(high), high, weight)


def _single_intervals(values: torch.Tensor, windows: Windows, column: torch.Tensor) -> Intervals:
    """One interval a reference and filter: above the least score of either border, below the least in between."""
    n_filters, _, n_tracks = values.shape
    tracks, place = torch.unique_consecutive(column, return_inverse=True)
    # One frame of 0 on either side: beyond the clip every frame is inactive.
    minimum = RangePyramid(torch.nn.functional.pad(values.index_select(2, tracks), (0, 0, 1, 1)), torch.minimum)
    inner = minimum.of_columns(windows.last_onset + 1, windows.first_offset + 1, place)
    # A run begins inside its window if the frame before it, within [first - 1, last - 1], is inactive.
    left = minimum.of_columns(windows.first_onset, windows.last_onset, place)
    right = minimum.of_columns(windows.first_offset + 2, windows.last_offset + 2, place)
    low = torch.maximum(left, right)
    possible = low < inner
    track = (torch.arange(n_filters, device=values.device)[:, None] * n_tracks + column)[possible]
    weight = torch.ones((), dtype=torch.int16, device=values.device).expand(len(track))
    return Intervals(track, low[possible], inner[possible], weight)
