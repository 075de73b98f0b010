"""Segment-based counts at all thresholds at once.

A segment is active at the thresholds below the highest score of the frames that touch it: one step for each segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Counts, Intervals, PreparedMetric
from rl_postproc.metrics.segment_based.segments import segments_of, stretches
from rl_postproc.utils.pyramid import RangePyramid
from rl_postproc.utils.tensors import ragged_ranges

_MOST = 1 << 15
"""Sweeps count in 16 bits where clips have fewer frames than this; so many segments would not fit."""


@dataclass(frozen=True)
class PreparedSegmentBased(PreparedMetric):
    """The segments that the frames of each clip touch, sorted by clip.

    Attributes:
        begin: where the segments of each clip begin, and end those before, int64 ``[clip + 1]``.
        first: first frame that touches each segment, int64 ``[segment]``.
        last: last frame that does, int64 ``[segment]``.
        wanted: whether the references of each class are active there, bool ``[segment, class]``.
    """

    fixed: Counts
    begin: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    wanted: torch.Tensor
    columns = ("true_positives", "estimated")

    @classmethod
    def build(cls, length: float, scores: ScoreSet) -> PreparedSegmentBased | None:
        """Prepares the metric for a score set with references; None where a clip has too many segments.

        Args:
            length: of a segment in seconds.
            scores: the score set.
        """
        references, n_classes = scores.require_references(), scores.n_classes
        active = stretches(length, references)
        number, start, first, last = _touching(length, scores)
        if scores.width < _MOST <= int(number.max()):
            return None
        begin = torch.nn.functional.pad(number.cumsum(0), (1, 0))
        wanted = torch.zeros(len(first), n_classes, dtype=torch.bool, device=first.device)
        clip, label = active.cell // n_classes, active.cell % n_classes
        low, high = ((edge - start[clip]).clamp(min=0).minimum(number[clip]) for edge in (active.first, active.stop))
        stretch, row = ragged_ranges(begin[clip] + low, high - low)
        wanted[row, label[stretch]] = True
        reference = active.sizes(scores.n_clips * n_classes).reshape(-1, n_classes)
        return cls({"reference": reference}, begin, first, last, wanted)

    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, Intervals]:
        """See `PreparedMetric.intervals`. Time O(frames log frames) a track."""
        n_classes, n_tracks = self.wanted.shape[1], values.shape[2]
        tracks = torch.arange(n_tracks, device=values.device) if tracks is None else tracks
        clip = clips.start + tracks // n_classes
        column, segment = ragged_ranges(self.begin[clip], self.begin[clip + 1] - self.begin[clip])
        top = RangePyramid(values, torch.maximum).of_columns(self.first[segment], self.last[segment], column)
        hit = self.wanted[segment, (tracks % n_classes)[column]]

        def below(active: torch.Tensor) -> Intervals:
            row, place = active.nonzero().unbind(1)
            high = top[row, place]
            weight = torch.ones((), dtype=torch.int16, device=high.device).expand(len(high))
            return Intervals(row * n_tracks + column[place], torch.zeros_like(high), high, weight)

        return below((top > 0) & hit), below(top > 0)


def _touching(length: float, scores: ScoreSet) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Finds which frames touch which segments; the times of frames rise, so that those of a segment stand together.

    Returns:
        Number of segments of each clip and the first of them, int64 ``[clip]`` each, and first and last frame of each
        segment, clip by clip, int64 ``[segment]`` each.
    """
    frames, width = scores.clip_frames, scores.width
    frame = torch.arange(width, device=scores.device)
    parts = []
    for clip in torch.arange(scores.n_clips, device=scores.device).split(max(1, (1 << 20) // width)):
        rows = clip[:, None]
        low, stop = segments_of(frames.onset_times(rows, frame), frames.offset_times(rows, frame), length)
        final = scores.n_frames[clip] - 1
        start = low[:, 0].contiguous()
        number = (stop.gather(1, final[:, None])[:, 0] - start).clamp(min=0)
        segment = start[:, None] + torch.arange(int(number.max()), device=scores.device)
        first = torch.searchsorted(stop, segment, right=True)
        last = (torch.searchsorted(low, segment, right=True) - 1).minimum(final[:, None])
        there = torch.arange(segment.shape[1], device=scores.device) < number[:, None]
        parts.append((number, start, first[there], last[there]))
    number, start, first, last = (torch.cat(column) for column in zip(*parts, strict=True))
    return number, start, first, last
