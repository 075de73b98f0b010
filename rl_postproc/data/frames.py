"""Where in time the frames of tracks lie. A track is the scores of one clip and class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.utils.errors import UserError

DECIMALS = 6
"""Event times are written, and therefore scored, with this many decimals of a second."""


@dataclass(frozen=True)
class Frames:
    """The frames of tracks.

    Attributes:
        n_frames: valid frames of each track, int64 ``[track]``.
        hop: frame length in seconds, by which parameters in seconds become frames.
        edges: frame edges in seconds, float64 ``[1, frame + 1]`` when all tracks share them, else ``[track, frame + 1]``.
        durations: length of each track's clip in seconds, float64 ``[track]``.
    """

    n_frames: torch.Tensor
    hop: float
    edges: torch.Tensor
    durations: torch.Tensor

    def __len__(self) -> int:
        return len(self.n_frames)

    def select(self, tracks: torch.Tensor) -> Frames:
        """Returns the frames of the given tracks, int64 ``[track]``, in that order; one may be there several times."""
        edges = self.edges if len(self.edges) == 1 else self.edges[tracks]
        return Frames(self.n_frames[tracks], self.hop, edges, self.durations[tracks])

    def onset_times(self, tracks: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Returns the onset in seconds of events that begin with the given frames of the given tracks.

        That is the frame's left edge, rounded to the decimals of the exported file, so that what is scored is what is
        written. Tracks and frames are int64 and broadcast; the result is float64.
        """
        return self._edge(tracks, frames).round(decimals=DECIMALS)

    def offset_times(self, tracks: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Returns the offset in seconds of events whose last active frames are given: right edge or clip's end."""
        return torch.minimum(self._edge(tracks, frames + 1), self.durations[tracks]).round(decimals=DECIMALS)

    def frames_of_events(
        self, tracks: torch.Tensor, onset: torch.Tensor, offset: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns first and last frame, int64 ``[event]``, of events that begin and end where frames of their tracks do.

        Args:
            tracks: int64 ``[event]``.
            onset: as `onset_times` gives it, ``[event]``.
            offset: as `offset_times` gives it, ``[event]``.
        """
        first, last = torch.empty_like(tracks), torch.empty_like(tracks)
        if len(self.edges) == 1:
            edges = self.edges[0].round(decimals=DECIMALS)
            return torch.searchsorted(edges, onset), torch.searchsorted(edges[1:], offset)
        for some in torch.arange(len(tracks), device=tracks.device).split(max(1, (1 << 20) // self.edges.shape[1])):
            edges = self.edges[tracks[some]].round(decimals=DECIMALS)
            first[some] = torch.searchsorted(edges, onset[some, None])[:, 0]
            last[some] = torch.searchsorted(edges[:, 1:].contiguous(), offset[some, None])[:, 0]
        return first, last

    def _edge(self, tracks: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.edges[tracks if len(self.edges) > 1 else torch.zeros_like(tracks), edges]


def check_hop(hop: float) -> float:
    """Returns the frame length in seconds.

    Raises:
        UserError: it is not a finite number of at least one microsecond, the resolution of event times.
    """
    if not isinstance(hop, int | float | np.number) or not (math.isfinite(hop) and hop >= 10.0**-DECIMALS):
        raise UserError(f"The hop {hop} is not a positive number of seconds; give the frame length, such as 0.064.")
    return float(hop)


def even_edges(hop: float, n_frames: int) -> torch.Tensor:
    """Returns the edges of evenly spaced frames in seconds, float64 ``[frame + 1]``, rounded as event times are."""
    return torch.from_numpy(np.round(np.arange(n_frames + 1) * check_hop(hop), DECIMALS))


def common_edges(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Returns edges shared by all clips ``[1, frame + 1]``, or one row a clip where they disagree.

    A row is continued beyond its clip's end in steps of the clip's median frame, so that it increases throughout.
    """
    longest = max(rows, key=len)
    if all(np.array_equal(row, longest[: len(row)]) for row in rows):
        return longest[None]
    filled = np.empty((len(rows), len(longest)))
    for i, row in enumerate(rows):
        steps = np.arange(1, len(longest) - len(row) + 1)
        filled[i] = np.append(row, row[-1] + np.median(np.diff(row)) * steps)
    return filled
