"""The boxes of a clip whose scores arrive in pieces: those of the whole clip, to the last bit."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch

from rl_postproc.stages.boxes import confidence, falls, half_window, joins_neighbours
from rl_postproc.stages.pieces import FoundRuns, OpenRuns, Runs


@dataclass(frozen=True)
class _Boxes:
    """Boxes, each with those that were joined to it before; sorted by track and time.

    Attributes:
        track: int64 ``[box]``.
        first: first frame of the first one joined to it, int64 ``[box]``.
        last: its last frame, int64 ``[box]``.
        highest: its own highest score, float64 ``[box]``.
        gap: lowest score of the gap before it, float64 ``[box]``; anything where it is the first of its track.
        begun: running sum of the scores where ``first`` begins, float64 ``[box]``.
        ended: running sum where ``last`` ends, float64 ``[box]``.
    """

    track: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    highest: torch.Tensor
    gap: torch.Tensor
    begun: torch.Tensor
    ended: torch.Tensor

    def __getitem__(self, which: torch.Tensor) -> _Boxes:
        return _Boxes(*(getattr(self, field.name)[which] for field in fields(self)))

    def followed_by(self, other: _Boxes) -> _Boxes:
        """Returns both, where the others of each track come later."""
        both = _Boxes(*(torch.cat([getattr(part, field.name) for part in (self, other)]) for field in fields(self)))
        return both[torch.argsort(both.track, stable=True)]

    @staticmethod
    def none() -> _Boxes:
        """Returns no box."""
        whole, number = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
        return _Boxes(whole, whole, whole, number, number, number, number)


class BoxesInPieces(FoundRuns):
    """Finds boxes as `rl_postproc.stages.boxes.Boxes` does.

    Carried over the border of two pieces are the running sum of the scores, the frames that the step filter still looks at,
    the open box or gap of each track, and its last box with all that was joined to it, which the next one may join.
    """

    def __init__(self, hop: float, window: torch.Tensor, absolute: torch.Tensor, relative: torch.Tensor):
        """Takes the frame length in seconds, and the parameters of `Boxes`, ``[track]`` each."""
        n = len(window)
        lengths, self._group = torch.unique(window, return_inverse=True)
        self._halves = [half_window(length, hop) for length in lengths.tolist()]
        self._reach = math.ceil(max(self._halves)) + 2
        self._absolute, self._relative = absolute, relative
        # Frames held are those from `_done` on, sums held those at the edges from `_first` on.
        self._total, self._scores = torch.zeros(n, 1, dtype=torch.float64), torch.zeros(0, n)
        self._first = self._done = 0
        self._boxes, self._gaps = OpenRuns(n), OpenRuns(n)
        self._begun = torch.zeros(n, dtype=torch.float64)  # sum where the open box of a track begins
        self._gap = torch.zeros(n, dtype=torch.float64)  # lowest score of a track's last gap that is over
        self._waiting = _Boxes.none()

    def push(self, x: torch.Tensor, ends: bool) -> Runs:
        """See `FoundRuns.push`."""
        more = torch.cat([self._total[:, -1:], x.T.double()], 1).cumsum(1)
        self._total = torch.cat([self._total, more[:, 1:]], 1)
        self._scores = torch.cat([self._scores, x])
        last = self._first + self._total.shape[1] - 1
        stop = last if ends else last - self._reach
        if stop - self._done < self._reach and not ends:
            stop = self._done  # short pieces are collected, so that none is looked at again and again
        inside = torch.empty(len(self._total), self._total.shape[1] - 1, dtype=torch.bool)
        for i, half in enumerate(self._halves):
            tracks = (self._group == i).nonzero()[:, 0]
            inside[tracks] = falls(self._total[tracks], half, self._first, last)
        active = inside[:, self._done - self._first : stop - self._first].T
        scores, self._scores = self._scores.split([stop - self._done, last - stop])
        boxes, gaps = self._boxes.push(active, ends, scores), self._gaps.push(~active, ends, -scores)
        found = self._described(boxes, gaps)
        keep = max(self._first, stop - self._reach)
        self._total, self._first, self._done = self._total[:, keep - self._first :], keep, stop
        return self._joined(found, ends)

    def _described(self, boxes: Runs, gaps: Runs) -> _Boxes:
        """Returns the boxes that are over, and remembers where open ones begin and what lies before them."""
        since = self._done - self._first

        def sums(track: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
            place = (first - self._first).clamp(min=since)
            return torch.where(first < self._done, self._begun[track], self._total[track, place])

        # Before a box lies the last gap of its track that was over when it began.
        span = int(torch.cat([boxes.first, gaps.last, self._boxes.first]).max()) + 2
        key = gaps.track * span + gaps.last + 1

        def lows(track: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
            if not len(gaps):
                return self._gap[track]
            place = torch.searchsorted(key, track * span + first).clamp(max=len(gaps) - 1)
            hit = key[place] == track * span + first
            return torch.where(hit, -gaps.highest[place].double(), self._gap[track])

        ended = self._total[boxes.track, boxes.last + 1 - self._first]
        begun, gap = sums(boxes.track, boxes.first), lows(boxes.track, boxes.first)
        found = _Boxes(boxes.track, boxes.first, boxes.last, boxes.highest.double(), gap, begun, ended)
        open_boxes = self._boxes.active.nonzero()[:, 0]
        first = self._boxes.first[open_boxes]
        self._begun[open_boxes], self._gap[open_boxes] = sums(open_boxes, first), lows(open_boxes, first)
        return found

    def _joined(self, found: _Boxes, ends: bool) -> Runs:
        """Joins boxes over shallow gaps, and returns those that nothing more can join."""
        boxes = self._waiting.followed_by(found)
        n = len(boxes.track)
        begins, stops = torch.ones(2, n, dtype=torch.bool)
        joins = joins_neighbours(boxes.track, boxes.highest, boxes.gap[1:], self._absolute, self._relative)
        begins[1:], stops[:-1] = ~joins, ~joins
        groups = _Boxes(**{**vars(boxes[stops]), "first": boxes.first[begins], "begun": boxes.begun[begins]})
        over = torch.full((len(groups.track),), ends)
        over[:-1] |= groups.track[1:] == groups.track[:-1]  # the last one of a track may be joined yet
        self._waiting, groups = groups[~over], groups[over]
        sure = confidence(groups.ended - groups.begun, groups.last + 1 - groups.first)
        return Runs(groups.track, groups.first, groups.last, sure).kept(sure > 0)
