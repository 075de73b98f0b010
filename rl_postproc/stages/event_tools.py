"""What stages on events share."""

from __future__ import annotations

import torch

from rl_postproc.data.track_events import TrackEvents


def kept(events: TrackEvents, which: torch.Tensor) -> TrackEvents:
    """Returns some of the events, by a mask ``[event]``."""
    track, onset, offset, confidence = events.track, events.onset, events.offset, events.confidence
    return TrackEvents(track[which], onset[which], offset[which], confidence[which], events.n_tracks)


def joined(events: TrackEvents, with_last: torch.Tensor) -> TrackEvents:
    """Joins events with the ones before them; the result lasts from the first onset to the last offset.

    Args:
        events: sorted by track and onset; they may overlap.
        with_last: whether each but the first belongs with the one before it, bool ``[event - 1]``; those of different
            tracks never do.
    """
    if not len(events):
        return events
    begins = torch.ones(len(events), dtype=torch.bool, device=events.track.device)
    begins[1:] = ~with_last | (events.track[1:] != events.track[:-1])
    group = begins.cumsum(0) - 1
    n = int(group[-1]) + 1
    latest = torch.zeros(n, dtype=events.offset.dtype, device=group.device)
    surest = torch.zeros(n, dtype=events.confidence.dtype, device=group.device)
    offset = latest.scatter_reduce(0, group, events.offset, "amax")
    confidence = surest.scatter_reduce(0, group, events.confidence, "amax")
    return TrackEvents(events.track[begins], events.onset[begins], offset, confidence, events.n_tracks)
