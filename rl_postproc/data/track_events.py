"""Events of tracks: what decisions become, and what stages on events take and give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import Frames


@dataclass(frozen=True)
class TrackEvents:
    """Events in seconds, sorted by track and onset. Those of one track may touch, but never overlap.

    Two events that touch cannot live in a mask of frames, and boxes carry a confidence: so events are first-class.

    Attributes:
        track: int64 ``[event]``.
        onset: seconds, float64 ``[event]``.
        offset: seconds, float64 ``[event]``, after the onset and not beyond the clip's end.
        confidence: in [0, 1], float32 ``[event]``; 1 where a decision gives none.
        n_tracks: number of tracks.
    """

    track: torch.Tensor
    onset: torch.Tensor
    offset: torch.Tensor
    confidence: torch.Tensor
    n_tracks: int

    def __len__(self) -> int:
        return len(self.track)

    @classmethod
    def from_decisions(cls, decisions: torch.Tensor, frames: Frames) -> TrackEvents:
        """Takes the runs of active frames, from the left edge of the first to the right edge of the last or the clip's end.

        Args:
            decisions: bool ``[frame, track]``, false beyond a track's last frame.
            frames: of the tracks.
        """
        track, first, last = runs(decisions.T)
        onset, offset = frames.onset_times(track, first), frames.offset_times(track, last)
        return cls(track, onset, offset, torch.ones_like(onset, dtype=torch.float32), decisions.shape[1])

    def with_confidence(self, confidence: torch.Tensor) -> TrackEvents:
        """Returns the same events with other confidences, ``[event]``."""
        return replace(self, confidence=confidence.float())

    def to_events(self, clip_ids: tuple[str, ...], classes: tuple[str, ...]) -> Events:
        """Returns the events of tracks that are clip-major, then class."""
        clip, label = self.track // len(classes), self.track % len(classes)
        return Events.from_tensors(clip_ids, classes, clip, label, self.onset, self.offset, self.confidence)


def runs(decisions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns track, first and last frame, int64 ``[run]``, of the runs of active frames of ``[track, frame]``, in order."""
    silent = torch.zeros_like(decisions[:, :1])
    # Beginnings and ends alternate along a track, so that the n-th of one belongs to the n-th of the other.
    edges = torch.diff(decisions, dim=1, prepend=silent, append=silent).nonzero()
    return edges[0::2, 0], edges[0::2, 1], edges[1::2, 1] - 1
