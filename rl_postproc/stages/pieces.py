"""Events of a clip whose scores arrive in pieces: what is open at the border of two pieces is carried over it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True)
class Runs:
    """Runs of frames of a clip, sorted by track and time within each push; frames count from the clip's first one.

    Attributes:
        track: int64 ``[run]``.
        first: first frame, int64 ``[run]``.
        last: last frame, int64 ``[run]``.
        highest: highest score inside, ``[run]``; 1 where none are looked at.
    """

    track: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    highest: torch.Tensor

    def __len__(self) -> int:
        return len(self.track)

    def kept(self, which: torch.Tensor) -> Runs:
        """Returns some of the runs, by a mask or by indices."""
        return Runs(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def joined(parts: list[Runs]) -> Runs:
        """Returns the runs of all parts, sorted by track and time."""
        track, first, last, highest = (
            torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Runs)
        )
        order = torch.argsort(track, stable=True)  # those of one track have come in the order of time
        return Runs(track[order], first[order], last[order], highest[order])


class FoundRuns(ABC):
    """Finds runs of frames, which are events, in the scores of a clip that arrive in pieces."""

    @abstractmethod
    def push(self, x: torch.Tensor, ends: bool) -> Runs:
        """Takes the next frames and returns the events that are sure now, with their confidence as ``highest``.

        Args:
            x: scores ``[frame, track]``; there may be none.
            ends: whether these are the last.
        """


class OpenRuns:
    """Runs of active frames, carried over the borders of pieces.

    Attributes:
        active: whether the last frame was active, so that its run may be open, bool ``[track]``.
        first: first frame of the open run, int64 ``[track]``.
    """

    def __init__(self, n_tracks: int):
        self.active = torch.zeros(n_tracks, dtype=torch.bool)
        self.first = torch.zeros(n_tracks, dtype=torch.int64)
        self._highest = torch.zeros(n_tracks)
        self._n = 0

    def push(self, active: torch.Tensor, ends: bool, x: torch.Tensor | None = None) -> Runs:
        """Takes the next frames and returns the runs that are over.

        Args:
            active: bool ``[frame, track]``.
            ends: whether these are the last.
            x: scores ``[frame, track]`` whose highest inside each run is wanted.
        """
        n_frames = len(active)
        table = torch.cat([self.active[None], active, torch.zeros_like(self.active)[None]])
        change = table[1:] != table[:-1]
        begins = torch.cat([self.active[None], change[:-1] & active])  # row 0 is the frame before
        stops = change & table[:-1]
        if not ends:
            stops = stops[:-1]
        track, row = begins.T.nonzero().unbind(1)
        first = torch.where(row == 0, self.first[track], self._n + row - 1)
        highest = torch.ones(len(track))
        if x is not None:
            highest = torch.full((len(track),), float("-inf"))
            held = torch.cat([self.active[None], active]).T
            number = begins.T.flatten().cumsum(0)[held.flatten()] - 1
            scores = torch.cat([self._highest[None], x]).T[held]
            highest = highest.scatter_reduce(0, number, scores, "amax")
        # Beginnings and ends alternate along a track, so that only the last one of a track may be open still.
        closed = torch.ones(len(track), dtype=torch.bool)
        if not ends:
            is_last = torch.ones_like(closed)
            is_last[:-1] = track[1:] != track[:-1]
            closed = ~(is_last & table[-2][track])
        last = stops.T.nonzero()[:, 1] + self._n - 1
        self.active = table[-2] & (not ends)
        self.first[track[~closed]], self._highest[track[~closed]] = first[~closed], highest[~closed]
        self._n += n_frames
        return Runs(track[closed], first[closed], last, highest[closed])
