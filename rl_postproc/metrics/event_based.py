"""Event-based metric with collars, equal to sed_eval's count for count.

Every count is a step function of the threshold. With ``m[t]`` the filtered score of frame ``t``:

- a run of active frames begins at ``t`` for the thresholds between ``m[t-1]`` and ``m[t]``, so the number of estimated
  events needs neighbouring frames only;
- a reference event admits onsets in one window of frames and offsets in another. Where the two do not overlap, only
  one run can match, the one through all frames between them. It exists below the least score in between, and lies
  inside the windows above the least score of each window: one interval of thresholds for each reference, from three
  range minima;
- references that are shorter than their collars, or that compete for the same run, are worked out level by level on
  their own few frames (`rl_postproc.metrics.matching`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.arrays import divide, places
from rl_postproc.events import Events
from rl_postproc.metrics.base import Intervals, Metric, PreparedMetric
from rl_postproc.metrics.matching import Contested, contested_intervals, find_contested
from rl_postproc.scores import ScoreSet


class EventBased(Metric):
    """Event-based counts (Mesaros et al. 2016, "Metrics for polyphonic sound event detection").

    A true positive has the reference's class, its onset within ``t_collar`` seconds, and its offset within
    ``max(t_collar, percentage_of_length · reference length)``. Each event matches at most once, and the matching is
    maximum (sed_eval's ``optimal``). The defaults are those of DCASE; sed_eval's own default percentage is 0.5.
    """

    metric: Literal["event_based"] = "event_based"
    t_collar: float = Field(default=0.2, gt=0)
    percentage_of_length: float = Field(default=0.2, ge=0, le=1)
    comparison: Literal["exact", "tolerant"] = "exact"
    """``exact`` compares doubles as sed_eval does; ``tolerant`` first rounds to 6 decimals as sed_scores_eval does."""

    oracle: ClassVar[str] = "sed_eval"

    def within(self, difference: torch.Tensor, collar: torch.Tensor | float) -> torch.Tensor:
        """Whether differences in seconds (float64) lie within a collar."""
        difference = difference.abs()
        if self.comparison == "tolerant":
            return (difference - collar).round(decimals=6) <= 0
        return difference <= collar

    def offset_collar(self, references: Events) -> torch.Tensor:
        """Returns the offset collar of each reference in seconds, float64 ``[reference]``."""
        length = references.offset - references.onset
        return (self.percentage_of_length * length).clamp(min=self.t_collar)

    def prepare(self, scores: ScoreSet) -> PreparedEventBased:
        """Finds the windows of admissible frames of each reference."""
        return PreparedEventBased.build(self, scores)


@dataclass(frozen=True)
class Windows:
    """Admissible frames of references: an event's first frame in the one window, its last frame in the other.

    All are int64 ``[reference]``; the last frames are inclusive.
    """

    clip: torch.Tensor
    track: torch.Tensor
    first_onset: torch.Tensor
    last_onset: torch.Tensor
    first_offset: torch.Tensor
    last_offset: torch.Tensor

    def __getitem__(self, index: torch.Tensor | slice) -> Windows:
        return Windows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def of_clips(self, clips: slice) -> Windows:
        """Returns the windows of consecutive clips; windows are sorted by clip, so they follow one another."""
        a, b = torch.searchsorted(self.clip, torch.tensor([clips.start, clips.stop], device=self.clip.device)).tolist()
        return self[a:b]


def find_windows(metric: EventBased, scores: ScoreSet, references: Events) -> Windows:
    """Finds the frames that each reference admits; references that no run can match are left out.

    Times increase with the frame, so the admissible frames follow one another, and their ends are found by bisection.
    """
    clip, collar = references.clip, metric.offset_collar(references)
    n_frames = scores.n_frames[clip]

    def ends(times: Callable, wanted: torch.Tensor, collar: torch.Tensor | float) -> tuple[torch.Tensor, torch.Tensor]:
        first = _first_frame(
            lambda f: metric.within((wanted - times(clip, f)).clamp(min=0), collar), n_frames, scores.width
        )
        after = _first_frame(
            lambda f: ~metric.within((times(clip, f) - wanted).clamp(min=0), collar), n_frames, scores.width
        )
        return first, after - 1

    onset = ends(scores.onset_times, references.onset, metric.t_collar)
    offset = ends(scores.offset_times, references.offset, collar)
    windows = Windows(clip, clip * scores.n_classes + references.label, *onset, *offset)
    possible = (onset[0] <= onset[1]) & (offset[0] <= offset[1]) & (onset[0] <= offset[1])
    return windows[possible]


def _first_frame(holds: Callable[[torch.Tensor], torch.Tensor], n_frames: torch.Tensor, width: int) -> torch.Tensor:
    """Returns the first frame from which a condition holds, or the number of frames where it never does.

    Args:
        holds: takes one frame a row, int64 ``[row]``, and returns bool ``[row]``; once true it stays true.
        n_frames: number of frames of each row, int64 ``[row]``.
        width: the largest of them.
    """
    low, high = torch.zeros_like(n_frames), n_frames
    for _ in range(width.bit_length()):
        middle = (low + high) // 2
        found = holds(middle.clamp(max=width - 1)) & (middle < n_frames)
        high = torch.where(found, middle, high)
        low = torch.where(found, low, (middle + 1).minimum(high))
    return high


@dataclass(frozen=True)
class PreparedEventBased(PreparedMetric):
    """The windows of all references, split into those with one possible run and those that are contested."""

    reference: torch.Tensor
    single: Windows
    contested: Contested
    n_classes: int

    @classmethod
    def build(cls, metric: EventBased, scores: ScoreSet) -> PreparedEventBased:
        """Prepares the metric for a score set with references."""
        references = scores.require_references()
        windows = find_windows(metric, scores, references)
        is_contested, contested = find_contested(windows)
        return cls(references.counts(), windows[~is_contested], contested, scores.n_classes)

    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, Intervals]:
        """See `PreparedMetric.intervals`. Time O(frames) for the estimated count, O(frames log frames) a reference."""
        single, contested = self.single.of_clips(clips), self.contested.of_clips(clips)
        column = single.track - clips.start * self.n_classes
        group_column = contested.track - clips.start * self.n_classes
        if tracks is not None:
            column, kept = _positions(column, tracks)
            single, column = single[kept], column[kept]
            group_column, kept = _positions(group_column, tracks)
            contested, group_column = contested[kept], group_column[kept]
        true_positives = _single_intervals(values, single, column)
        matched = contested_intervals(values, contested, group_column)
        both = Intervals(*(torch.cat(pair) for pair in zip(true_positives, matched, strict=True)))
        return both, _run_intervals(values)


def _positions(wanted: torch.Tensor, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns where values stand in an ascending list, and which of them (int64 indices) are there at all."""
    if not len(tracks):
        return wanted, wanted.new_zeros(0)
    place = torch.searchsorted(tracks, wanted).clamp(max=len(tracks) - 1)
    return place, (tracks[place] == wanted).nonzero()[:, 0]


def _run_intervals(values: torch.Tensor) -> Intervals:
    """A run begins with each rise: one more at the thresholds below its upper end, one less below its lower end.

    Where one rise follows another the two cancel, so that only peaks and valleys count.
    """
    _, width, n_tracks = values.shape
    rise = values > torch.nn.functional.pad(values[:, :-1], (0, 0, 1, 0))
    turn = places(rise ^ torch.nn.functional.pad(rise[:, 1:], (0, 0, 0, 1)))
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
    minimum = RangeMinimum(values.index_select(2, tracks))
    inner = minimum(windows.last_onset, windows.first_offset, place)
    # A run begins inside its window if the frame before it, within [first - 1, last - 1], is inactive; beyond the clip
    # every frame is inactive.
    left = minimum(windows.first_onset - 1, windows.last_onset - 1, place)
    right = minimum(windows.first_offset + 1, windows.last_offset + 1, place)
    low = torch.maximum(left, right)
    possible = low < inner
    track = (torch.arange(n_filters, device=values.device)[:, None] * n_tracks + column)[possible]
    weight = torch.ones((), dtype=torch.int16, device=values.device).expand(len(track))
    return Intervals(track, low[possible], inner[possible], weight)


class RangeMinimum:
    """Minima over any range of frames, from a pyramid of minima over 1, 2, 4, … frames (O(frames log frames))."""

    def __init__(self, values: torch.Tensor):
        """Builds the pyramid over ``[filter, frame, track]``, with a frame of 0 on either side."""
        n_filters, width, n_tracks = values.shape
        self._shape = n_filters, width + 2, n_tracks
        n_levels = (width + 2).bit_length()
        self._pyramid = values.new_zeros(n_filters, n_levels, width + 2, n_tracks)
        self._pyramid[:, 0, 1:-1] = values
        # What would reach beyond the end stays 0 and is never asked for.
        for level in range(1, n_levels):
            last, step, n = self._pyramid[:, level - 1], 1 << (level - 1), width + 3 - (1 << level)
            torch.minimum(last[:, :n], last[:, step : step + n], out=self._pyramid[:, level, :n])

    def __call__(self, first: torch.Tensor, last: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Returns the minima over frames ``first`` to ``last`` (inclusive, −1 and n allowed), ``[filter, query]``."""
        n_filters, width, n_tracks = self._shape
        span = (last - first + 1).clamp(min=1)
        level = torch.frexp(span.double())[1].long() - 1
        flat = self._pyramid.reshape(n_filters, -1)
        base = level * width * n_tracks + column
        left = flat[:, base + (first + 1) * n_tracks]
        right = flat[:, base + (last + 2 - (1 << level)) * n_tracks]
        return torch.minimum(left, right)
