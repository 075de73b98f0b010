"""What stages on events share."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import torch

from rl_postproc.data.frames import DECIMALS, Frames
from rl_postproc.data.track_events import TrackEvents

_COLUMNS = ("onset", "offset", "confidence")


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


def moved(events: TrackEvents, frames: Frames, later: torch.Tensor, longer: torch.Tensor) -> TrackEvents:
    """Moves onsets and offsets within their clip, drops what is left of no length, and joins what comes to overlap.

    Args:
        events: sorted by track and onset, without overlap.
        frames: of the tracks.
        later: by how much onsets move, seconds ``[track]``; below 0 they move earlier.
        longer: by how much offsets move, seconds ``[track]``.
    """
    # Never earlier than the event itself ended, which a clip may end within by rounding.
    end = torch.maximum(frames.durations[events.track].round(decimals=DECIMALS), events.offset)
    onset = (events.onset + later.double()[events.track]).clamp(min=0).round(decimals=DECIMALS)
    offset = torch.minimum(events.offset + longer.double()[events.track], end).round(decimals=DECIMALS)
    left = kept(replace(events, onset=onset, offset=offset), onset < offset)
    return joined(left, left.onset[1:] < left.offset[:-1])


def concatenated(parts: Sequence[TrackEvents]) -> TrackEvents:
    """Returns events of so many tracks more for each part, one part after another."""
    starts = itertools.accumulate((part.n_tracks for part in parts), initial=0)
    track = torch.cat([part.track + start for part, start in zip(parts, starts, strict=False)])
    onset, offset, sure = (torch.cat([getattr(x, name) for x in parts]) for name in _COLUMNS)
    return TrackEvents(track, onset, offset, sure, sum(part.n_tracks for part in parts))


def sorted_events(parts: Sequence[tuple[torch.Tensor, TrackEvents]], n_tracks: int) -> TrackEvents:
    """Returns the events of all tracks from those of groups of tracks.

    Args:
        parts: ascending tracks, int64 ``[track]``, and the events of these; no track is in two parts.
        n_tracks: number of tracks.
    """
    track = torch.cat([tracks[part.track] for tracks, part in parts])
    order = torch.argsort(track, stable=True)
    onset, offset, sure = (torch.cat([getattr(part, name) for _, part in parts])[order] for name in _COLUMNS)
    return TrackEvents(track[order], onset, offset, sure, n_tracks)


def highest_inside(decisions: torch.Tensor, scores: torch.Tensor, frames: Frames) -> TrackEvents:
    """Returns the runs of active frames, each as sure as its highest score.

    Args:
        decisions: bool ``[frame, track]``, false beyond a track's last frame.
        scores: ``[frame, track]``.
        frames: of the tracks.
    """
    events = TrackEvents.from_decisions(decisions, frames)
    active = decisions.T.flatten()
    begins = torch.diff(decisions, dim=0, prepend=torch.zeros_like(decisions[:1])) & decisions
    number = begins.T.flatten().cumsum(0)[active] - 1
    none = torch.zeros(len(events), dtype=torch.float32, device=scores.device)
    return events.with_confidence(none.scatter_reduce(0, number, scores.T.flatten()[active], "amax"))
