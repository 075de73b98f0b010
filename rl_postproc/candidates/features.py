"""Features of decoded events, by which a policy judges what a candidate would decode on this clip.

Times are in seconds and windows are sampled at fixed times, so that features mean the same on clips of any length and
at any frame rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.pyramid import RangePyramid


@dataclass(frozen=True)
class FeatureGrid:
    """Where features are sampled.

    Attributes:
        step: seconds between the samples of a window; the frame length of the scores the policy was fitted on.
        reach: number of samples on either side of a boundary.
    """

    step: float
    reach: int = 8


_COLLAR, _SHARE = 0.2, 0.2
"""How far apart two events begin and end at most that are nearly the same: seconds, or for ends this share of the length."""

_EVENTS = 1 << 14
"""Events that are described at a time."""


def feature_names(grid: FeatureGrid) -> list[str]:
    """Returns the names of the columns of `event_features`."""
    offsets = range(-grid.reach, grid.reach + 1)
    windows = [f"{what}_{edge}_{o:+d}" for what in ("score", "votes") for edge in ("onset", "offset") for o in offsets]
    return [
        "length",
        "log_length",
        "start",
        "to_end",
        "clip_length",
        "touches_start",
        "touches_end",
        "mean",
        "deviation",
        "least",
        "most",
        "mean_before",
        "mean_after",
        "most_before",
        "most_after",
        "track_mean",
        "track_most",
        "track_above",
        "votes",
        "votes_best_filter",
        "filters",
        "low_first_filter",
        "high_first_filter",
        "track_events",
        "track_votes_all",
        "votes_near",
        *windows,
    ]


def event_features(scores: ScoreSet, events: DecodedEvents, grid: FeatureGrid) -> torch.Tensor:
    """Describes every decoded event.

    Geometry (length, place in the clip), statistics of the scores inside, before and after, windows of scores around
    both boundaries, the level of the track, and votes: the fraction of all candidates that decode this very event, or
    any event with this onset or offset, or one a few frames away, or (``votes_near``) an event that is nearly the same.

    Args:
        scores: the score set.
        events: its decoded events.
        grid: where windows are sampled.

    Returns:
        float32 ``[event, feature]``; the columns are `feature_names`. O(events) time beside O(frames) for running sums, in
        little memory beyond the result.
    """
    found = torch.empty(len(events), len(feature_names(grid)), device=scores.device)
    for some, features in features_in_parts(scores, events, grid):
        found[some] = features
    return found


def features_in_parts(
    scores: ScoreSet, events: DecodedEvents, grid: FeatureGrid
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yields the features of some events after others, since those of all may take much memory; see `event_features`."""
    x = scores.scores.flatten(0, 1)
    width, hop, n_frames = x.shape[1], scores.hop, n_frames_of(scores)
    running, squares = _running_sums(x), _running_sums(x.square())
    side = max(1, round(grid.reach * grid.step / hop))
    longest = max(side, int((events.last - events.first).max()) + 1) if len(events) else side
    maximum, minimum = (RangePyramid(x[..., None], pick, longest).of_rows for pick in (torch.maximum, torch.minimum))
    # The running sum, and not the mean of the padded row, whose rounding would depend on the padding.
    level = torch.stack([running[:, -1] / n_frames, x.amax(1), (x > 0.5).sum(1) / n_frames], 1)
    votes = _votes(events)
    near = _near_votes(events, votes[:, 0], width, hop)
    by_onset, by_offset = _boundary_votes(events, width)
    offsets = torch.arange(-grid.reach, grid.reach + 1, device=x.device) * (grid.step / hop)
    offsets = offsets.round().long()

    def describe(some: slice) -> torch.Tensor:
        track, first, last = events.track[some], events.first[some], events.last[some]
        end = n_frames[track]
        length, whole = (last - first + 1) * hop, end * hop
        mean = _range_mean(running, track, first, last)
        spread = (_range_mean(squares, track, first, last) - mean.square()).clamp(min=0).sqrt()
        before, until = (first - side).clamp(min=0), (first - 1).clamp(min=0)
        since, after = torch.minimum(last + 1, end - 1), torch.minimum(last + side, end - 1)
        columns = [
            length,
            length.log(),
            first * hop,
            whole - (last + 1) * hop,
            whole,
            (first == 0).float(),
            (last == end - 1).float(),
            mean,
            spread,
            minimum(track, first, last),
            maximum(track, first, last),
            torch.where(first > 0, _range_mean(running, track, before, until), 0.0),
            torch.where(last < end - 1, _range_mean(running, track, since, after), 0.0),
            torch.where(first > 0, maximum(track, before, until), 0.0),
            torch.where(last < end - 1, maximum(track, since, after), 0.0),
            *level[track].unbind(1),
            *votes[some].unbind(1),
            near[some],
        ]
        scores_at_onset, votes_at_onset = _windows((x, by_onset), track, first, offsets, end)
        scores_at_offset, votes_at_offset = _windows((x, by_offset), track, last, offsets, end)
        windows = scores_at_onset, scores_at_offset, votes_at_onset, votes_at_offset
        return torch.cat([torch.stack([c.float() for c in columns], 1), *windows], 1)

    for begin in range(0, len(events), _EVENTS):
        some = slice(begin, begin + _EVENTS)
        yield some, describe(some)


def n_frames_of(scores: ScoreSet) -> torch.Tensor:
    """Returns the number of frames of every track, int64 ``[track]``."""
    return scores.n_frames.repeat_interleave(scores.n_classes)


def _running_sums(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(x.double().cumsum(1), (1, 0))


def _range_mean(running: torch.Tensor, track: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    total = running[track, last + 1] - running[track, first]
    return (total / (last - first + 1).clamp(min=1)).float()


def _votes(events: DecodedEvents) -> torch.Tensor:
    """Returns how many candidates decode each event and its track at all, ``[event, 7]``."""
    span = (events.high - events.low).float()
    zeros = torch.zeros(len(events), device=span.device)
    votes = zeros.index_add(0, events.event, span) / events.n_candidates
    n_levels = events.levels_of_filter[events.filter].float()
    best = zeros.scatter_reduce(0, events.event, span / n_levels, "amax")
    filters = zeros.index_add(0, events.event, torch.ones_like(span)) / events.n_filters
    plain = events.filter == 0
    low, high = zeros.clone(), zeros.clone()
    low[events.event[plain]] = events.low[plain].float() / n_levels[plain]
    high[events.event[plain]] = events.high[plain].float() / n_levels[plain]
    per_track = torch.zeros(events.n_tracks, device=span.device).index_add(0, events.track, torch.ones_like(votes))
    all_votes = torch.zeros(events.n_tracks, device=span.device).index_add(0, events.track, votes)
    return torch.stack([votes, best, filters, low, high, per_track[events.track].log(), all_votes[events.track]], 1)


def _near_votes(events: DecodedEvents, votes: torch.Tensor, width: int, hop: float) -> torch.Tensor:
    """Returns the votes of all events that begin and end within collars of each one, ``[event]``.

    Events are sorted by track, first and last frame: those that begin at one frame and end in a range of frames stand
    side by side, so that a running sum gives their votes.
    """
    running = torch.nn.functional.pad(votes.double().cumsum(0), (1, 0))
    key = (events.track * width + events.first) * width + events.last
    collar = int(_COLLAR / hop + 1e-9)
    reach = torch.clamp((_SHARE * (events.last - events.first + 1) + 1e-9).long(), min=collar)
    shifts = torch.arange(-collar, collar + 1, device=key.device)
    found = torch.zeros(len(events), dtype=torch.float64, device=key.device)
    for some in torch.arange(len(events), device=key.device).split(max(1, (1 << 20) // len(shifts))):
        onset = events.first[some][:, None] + shifts
        row = (events.track[some][:, None] * width + onset) * width
        low = (events.last[some] - reach[some]).clamp(min=0)[:, None]
        high = (events.last[some] + reach[some]).clamp(max=width - 1)[:, None]
        begin, end = torch.searchsorted(key, row + low), torch.searchsorted(key, row + high, right=True)
        # An event ends no earlier than it begins, so that a range may be empty, and an onset may lie beyond the clip.
        inside = (onset >= 0) & (onset < width)
        found[some] = torch.where(inside, running[end] - running[begin], 0.0).sum(1)
    return found.float()


def _boundary_votes(events: DecodedEvents, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the fraction of candidates with an event that begins (or ends) at each frame, ``[track, frame]``."""
    votes = (events.high - events.low).float() / events.n_candidates
    track = events.track[events.event]
    return tuple(
        torch.zeros(events.n_tracks * width, device=votes.device)
        .index_add(0, track * width + edge[events.event], votes)
        .reshape(events.n_tracks, width)
        for edge in (events.first, events.last)
    )  # pyright: ignore[reportReturnType]


def _windows(
    sources: tuple[torch.Tensor, ...],
    track: torch.Tensor,
    centre: torch.Tensor,
    offsets: torch.Tensor,
    n_frames: torch.Tensor,
) -> list[torch.Tensor]:
    """Samples each of several ``[track, frame]`` around a frame of each event, −0.1 outside the clip, ``[event, offset]``."""
    width, place = sources[0].shape[1], centre[:, None] + offsets
    outside = (place < 0) | (place >= n_frames[:, None])
    index = (track[:, None] * width + place.clamp_(0, width - 1)).flatten()
    return [source.flatten()[index].view(outside.shape).masked_fill_(outside, -0.1) for source in sources]
