"""Scores of segments: of frame scores and of events with confidences, on sed_scores_eval's segments.

Times count with six decimals. A segment is touched by what begins before its end and ends after its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.pyramid import RangePyramid
from rl_postproc.utils.tensors import ragged_ranges

_CELLS = 1 << 24
"""Scores of frames that are looked at together."""


@dataclass(frozen=True)
class Segments:
    """The segments of a set of clips, clip by clip.

    Attributes:
        number: segments of each clip, int64 ``[clip]``.
        begin: where those of each clip begin, int64 ``[clip]``.
        borders: in seconds, of the clip with the most segments, float64 ``[segment + 1]``.
    """

    number: torch.Tensor
    begin: torch.Tensor
    borders: torch.Tensor

    @classmethod
    def of_clips(cls, length: float, durations: torch.Tensor) -> Segments:
        """Cuts clips into segments, the last of which may reach beyond its clip's end.

        Args:
            length: of a segment in seconds.
            durations: of the clips in seconds, float64 ``[clip]``.
        """
        number = (durations / torch.tensor(length, dtype=torch.float64)).ceil().long()
        borders = np.round(np.arange(int(number.max()) + 1) * length, DECIMALS)
        return cls(number, number.cumsum(0) - number, torch.from_numpy(borders))

    @property
    def total(self) -> int:
        """Number of segments of all clips."""
        return int(self.number.sum())

    def touched(self, events: Events) -> torch.Tensor:
        """Returns which segments any event touches, bool ``[segment, class]``."""
        owner, row = self._rows(events.clip, events.onset, events.offset)
        found = torch.zeros(self.total, len(events.classes), dtype=torch.bool)
        found[row, events.label[owner]] = True
        return found

    def of_events(self, events: Events) -> torch.Tensor:
        """Returns the highest confidence in each segment, 0 without events, float32 ``[segment, class]``."""
        onset, offset = events.onset.round(decimals=DECIMALS), events.offset.round(decimals=DECIMALS)
        owner, row = self._rows(events.clip, onset, offset)
        lasting = (offset > onset)[owner]  # what has no length is in no frame
        owner, row = owner[lasting], row[lasting]
        cell, n_classes = row * len(events.classes) + events.label[owner], len(events.classes)
        scores = events.confidence.new_zeros(self.total * n_classes)
        return scores.scatter_reduce_(0, cell, events.confidence[owner], "amax").reshape(-1, n_classes)

    def of_scores(self, scores: ScoreSet) -> torch.Tensor:
        """Returns the highest score of the frames that touch each segment, 0 without, float32 ``[segment, class]``."""
        n_clips, n_classes, width = scores.scores.shape
        parts = []
        for clips in torch.arange(n_clips).split(max(1, _CELLS // (n_classes * width))):
            edges = scores.edges.expand(n_clips, -1)[clips].round(decimals=DECIMALS)
            segment = torch.arange(int(self.number[clips].max()))
            onset, offset = (self.borders[segment + end].expand(len(clips), -1).contiguous() for end in (0, 1))
            first = torch.searchsorted(edges[:, 1:].contiguous(), onset, right=True)
            last = torch.searchsorted(edges[:, :-1].contiguous(), offset) - 1
            last = last.minimum(scores.n_frames[clips, None] - 1)
            row, place = (segment < self.number[clips, None]).nonzero().unbind(1)
            first, last = first[row, place], last[row, place]
            there = first <= last
            # Columns are clips and classes; queries are segments and classes.
            column = row[:, None] * n_classes + torch.arange(n_classes)
            pyramid = RangePyramid(scores.scores[clips].flatten(0, 1).T[None].contiguous(), torch.maximum)
            low, high = (torch.where(there, at, 0)[:, None].expand_as(column).flatten() for at in (first, last))
            found = pyramid.of_columns(low, high, column.flatten())[0].reshape(column.shape)
            parts.append(found * there[:, None])
        return torch.cat(parts)

    def _rows(self, clip: torch.Tensor, onset: torch.Tensor, offset: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns which time spans touch which segments: the span, and the segment's row, int64 each."""
        first = torch.searchsorted(self.borders[1:].contiguous(), onset, right=True)
        stop = torch.searchsorted(self.borders[:-1].contiguous(), offset).minimum(self.number[clip])
        return ragged_ranges(self.begin[clip] + first, (stop - first).clamp(min=0))
