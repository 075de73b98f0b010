"""Decoded events: the distinct events that the candidates of a stack decode, and which candidate decodes which.

A run of active frames around frame ``t`` at level ``m[t]`` reaches to the nearest smaller level on either side, and it
exists at exactly the levels between the larger of those two and ``m[t]``. So the distinct events of a filtered track
come from its frames, in O(frames log frames), whatever the number of thresholds; equal events of different filters are
one event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rl_postproc.candidates.audible import AudibleFrames, reach_of_filters
from rl_postproc.candidates.pool import LEFT_OUT_VALUE, LeftOut, PoolBounds
from rl_postproc.counts.grid import chunks
from rl_postproc.counts.levels import audible_tracks, filtered_levels, levels_of, thresholds_of
from rl_postproc.counts.rows import SettingEvents, n_copies
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents, runs
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.event_tools import kept
from rl_postproc.utils.level_runs import LevelRuns, level_runs


@dataclass(frozen=True)
class DecodedEvents:
    """Distinct events of every track (clip-major, then class), sorted by track, first and last frame.

    Attributes:
        track: int64 ``[event]``.
        first: first active frame, int64 ``[event]``.
        last: last active frame, int64 ``[event]``.
        event: event of each membership, int64 ``[membership]``, ascending.
        filter: filter setting whose tracks hold the event, int64 ``[membership]``.
        low: first level index at which it is decoded, int64 ``[membership]``.
        high: one after the last, int64 ``[membership]``.
        n_tracks: number of tracks.
        n_filters: number of filter settings. Where a stage makes events of scores that are kept above a confidence, its other
            parameters count as filters too.
        n_levels: number of levels, the most of any filter; candidate ``filter * n_levels + level`` where all have as many.
        columns: ``filter * n_levels + level`` of each candidate, int64 ``[candidate]``, where not all have as many.
        left_out: what candidates decode beside, where the events are bounded and that are not all.
    """

    track: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    event: torch.Tensor
    filter: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    n_tracks: int
    n_filters: int
    n_levels: int
    columns: torch.Tensor | None = None
    left_out: LeftOut | None = None

    def __len__(self) -> int:
        return len(self.track)

    @property
    def n_candidates(self) -> int:
        """Number of candidates of the stack."""
        return self.n_filters * self.n_levels if self.columns is None else len(self.columns)

    @property
    def levels_of_filter(self) -> torch.Tensor:
        """Number of levels of each filter, int64 ``[filter]``."""
        if self.columns is None:
            return torch.full((self.n_filters,), self.n_levels, device=self.track.device)
        return torch.bincount(self.columns // self.n_levels, minlength=self.n_filters)

    def by_candidate(self, by_level: torch.Tensor) -> torch.Tensor:
        """Returns what belongs to candidates from what belongs to levels of filters.

        Args:
            by_level: ``[row * filter, level]``.

        Returns:
            ``[row, candidate]``.
        """
        found = by_level.reshape(-1, self.n_filters * self.n_levels)
        return found if self.columns is None else found[:, self.columns]

    def of_tracks(self, first: int, stop: int) -> DecodedEvents:
        """Returns the events of consecutive tracks, numbered from 0."""
        ends = torch.tensor([first, stop], device=self.track.device)
        a, b = torch.searchsorted(self.track, ends).tolist()
        c, d = torch.searchsorted(self.event, torch.tensor([a, b], device=self.track.device)).tolist()
        left_out = self.left_out
        if left_out is not None:
            own = (left_out.track >= first) & (left_out.track < stop)
            left_out = LeftOut(left_out.track[own] - first, left_out.events[own], left_out.by_candidate[own])
        return replace(self, track=self.track[a:b] - first, first=self.first[a:b], last=self.last[a:b],
                       event=self.event[c:d] - a, filter=self.filter[c:d], low=self.low[c:d], high=self.high[c:d],
                       n_tracks=stop - first, left_out=left_out)  # fmt: skip

    def sum_over_candidates(self, values: torch.Tensor) -> torch.Tensor:
        """Adds values of events over the events of each candidate (differentiable).

        Events that are left out count `LEFT_OUT_VALUE`.

        Args:
            values: float ``[event]``.

        Returns:
            ``[track, candidate]``.
        """
        row, n_rows = self.track[self.event] * self.n_filters + self.filter, self.n_tracks * self.n_filters
        found = self.by_candidate(sum_intervals(values[self.event], row, self.low, self.high, n_rows, self.n_levels))
        if self.left_out is None:
            return found
        return found.index_add(0, self.left_out.track, self.left_out.by_candidate.to(found.dtype), alpha=LEFT_OUT_VALUE)

    def timed(self, chosen: torch.Tensor, frames: Frames) -> TrackEvents:
        """Returns some of the events, bool ``[event]``, with their times on the frames of the tracks."""
        track = self.track[chosen]
        onset, offset = frames.onset_times(track, self.first[chosen]), frames.offset_times(track, self.last[chosen])
        return TrackEvents(track, onset, offset, torch.ones_like(onset, dtype=torch.float32), self.n_tracks)

    def of_candidates(self, candidates: torch.Tensor) -> torch.Tensor:
        """Returns which events are decoded when each track takes the given candidate, bool ``[event]``.

        Args:
            candidates: int64 ``[track]``.
        """
        chosen = candidates if self.columns is None else self.columns[candidates]
        chosen = chosen[self.track[self.event]]
        level = chosen % self.n_levels
        hit = (self.filter == chosen // self.n_levels) & (self.low <= level) & (level < self.high)
        found = torch.zeros(len(self), dtype=torch.bool, device=self.track.device)
        found[self.event[hit]] = True
        return found


def sum_intervals(
    values: torch.Tensor, row: torch.Tensor, low: torch.Tensor, high: torch.Tensor, n_rows: int, n_levels: int
) -> torch.Tensor:
    """Adds values to the levels ``low`` to ``high - 1`` of their rows (differentiable), ``[row, level]``."""
    change = values.new_zeros(n_rows * (n_levels + 1))
    place = row * (n_levels + 1)
    change = change.index_add(0, place + low, values).index_add(0, place + high, -values)
    return change.reshape(n_rows, n_levels + 1)[:, :n_levels].cumsum(1)


def decode_candidates(scores: ScoreSet, stack: Stack, bounds: PoolBounds | None = None) -> DecodedEvents:
    """Finds the distinct events that the candidates of a stack decode on every clip and class.

    Args:
        scores: the score set.
        stack: the stages with their candidates; events begin and end where frames do (`Stack.on_frames`).
        bounds: which of the events are kept, all when None. They are dropped clip by clip, so that memory is bounded too.

    Example:
        >>> from rl_postproc import ScoreSet, Stack
        >>> from rl_postproc.candidates.events import decode_candidates
        >>> scores = ScoreSet.from_arrays({"a": [[0.3], [0.6], [0.6], [0.1]]}, hop=0.5, classes=["Dog"])
        >>> stack = Stack.from_config([{"stage": "threshold", "threshold": [0.2, 0.4, 0.5]}])
        >>> len(decode_candidates(scores, stack))  # three thresholds decode two different events
        2
    """
    most = None if bounds is None else bounds.most_of_tracks(scores)
    parts: list[DecodedEvents] = []
    largest = max(stack.branches, key=n_copies)
    for clips in chunks(scores, largest, n_copies=n_copies(largest)):
        part = _beside([_decode(scores, branch, clips) for branch in stack.branches], scores.width)
        if bounds is not None and most is not None:
            first = clips.start * scores.n_classes
            part = _bounded(part, bounds, most[first : first + part.n_tracks])
        parts.append(part)
    return _joined(parts)


def _decode(scores: ScoreSet, stack: Stack, clips: slice) -> DecodedEvents:
    """Decodes consecutive clips, whose tracks are numbered from 0, with a linear stack."""
    n_tracks = (clips.stop - clips.start) * scores.n_classes
    if stack.ends_with_threshold:
        found, n_levels = _runs_at_levels(scores, stack, clips)
        n_filters = stack.n_filter_settings
    elif stack.event_levels is not None and stack.threshold is None:
        n_levels, n_filters = len(stack.event_levels), stack.space.n_candidates // len(stack.event_levels)
        found = _sure_events(scores, stack, clips)
    else:
        n_levels, n_filters = 1, stack.space.n_candidates
        found = _events_one_by_one(scores, stack, clips)
    track, first, last, number, low, high = found
    key = ((track * scores.width + first) * scores.width + last) * n_filters + number
    key, order = torch.unique(key, return_inverse=True)
    pick = torch.empty_like(key).scatter_(0, order, torch.arange(len(order), device=order.device))
    event_key, event = torch.unique_consecutive(key // n_filters, return_inverse=True)
    return DecodedEvents(
        event_key // scores.width**2,
        event_key // scores.width % scores.width,
        event_key % scores.width,
        event,
        number[pick],
        low[pick],
        high[pick],
        n_tracks,
        n_filters,
        n_levels,
    )


def _runs_at_levels(scores: ScoreSet, stack: Stack, clips: slice) -> tuple[LevelRuns, int]:
    """Returns the distinct runs of the levels of filtered scores, and the number of levels."""
    assert stack.threshold is not None
    reach = reach_of_filters(stack.filters, scores.hop)
    if reach is None:
        tracks = audible_tracks(scores, stack, clips)
        values, n_levels = filtered_levels(scores, stack, clips, tracks)
        found = level_runs(values)
        return found._replace(track=tracks[found.track]), n_levels
    x, thresholds = scores.scores[clips].flatten(0, 1), thresholds_of(stack.threshold, scores.device)
    audible = AudibleFrames.of(levels_of(x, thresholds), scores.frames_of(clips).n_frames, reach)
    found = level_runs(stack.filter_all(audible.levels.T.contiguous(), audible.frames(scores.hop)))
    first, last = audible.frame_of(found.track, found.first), audible.frame_of(found.track, found.last)
    return found._replace(track=audible.track[found.track], first=first, last=last), len(thresholds)


def _beside(parts: list[DecodedEvents], width: int) -> DecodedEvents:
    """Returns what several stacks decode of the same tracks as what one decodes that has the candidates of all of them."""
    if len(parts) == 1:
        return parts[0]
    n_levels, n_filters = max(part.n_levels for part in parts), sum(part.n_filters for part in parts)
    keys, filters, columns, before = [], [], [], 0
    for part in parts:
        keys.append((part.track * width + part.first) * width + part.last)
        filters.append(part.filter + before)
        rows = torch.arange(before, before + part.n_filters, device=part.track.device)[:, None] * n_levels
        columns.append((rows + torch.arange(part.n_levels, device=rows.device)).flatten())
        before += part.n_filters
    key, place = torch.unique(torch.cat(keys), return_inverse=True)
    event = torch.cat([own[part.event] for own, part in zip(place.split([len(k) for k in keys]), parts, strict=True)])
    order = torch.argsort(event, stable=True)
    number, low, high = (
        torch.cat(column)[order] for column in (filters, [part.low for part in parts], [part.high for part in parts])
    )
    track, first, last = key // width**2, key // width % width, key % width
    return DecodedEvents(track, first, last, event[order], number, low, high, parts[0].n_tracks, n_filters, n_levels,
                         torch.cat(columns))  # fmt: skip


def _bounded(events: DecodedEvents, bounds: PoolBounds, most: torch.Tensor) -> DecodedEvents:
    """Drops events beyond the bounds; ``most`` is how many each track keeps, int64 ``[track]``."""
    votes = torch.zeros(len(events), dtype=torch.int64, device=events.track.device)
    votes = votes.index_add(0, events.event, events.high - events.low)
    kept = bounds.kept(events.track, (events.first, events.last), votes, most)
    if bool(kept.all()):
        return events
    track, row = torch.unique_consecutive(events.track[~kept], return_inverse=True)
    member = kept[events.event]
    lost, row_of = ~member, torch.zeros(events.n_tracks, dtype=torch.int64, device=track.device)
    row_of[track] = torch.arange(len(track), device=track.device)
    by_level = sum_intervals(
        torch.ones(int(lost.sum()), device=track.device),
        row_of[events.track[events.event[lost]]] * events.n_filters + events.filter[lost],
        events.low[lost],
        events.high[lost],
        len(track) * events.n_filters,
        events.n_levels,
    )
    new = kept.cumsum(0) - 1
    return replace(
        events,
        track=events.track[kept],
        first=events.first[kept],
        last=events.last[kept],
        event=new[events.event[member]],
        filter=events.filter[member],
        low=events.low[member],
        high=events.high[member],
        left_out=LeftOut(track, torch.bincount(row), events.by_candidate(by_level)),
    )


def _joined(parts: list[DecodedEvents]) -> DecodedEvents:
    """Returns the events of consecutive clips, decoded apart, as one."""
    if len(parts) == 1:
        return parts[0]
    columns: list[list[torch.Tensor]] = [[] for _ in range(7)]
    lost: list[LeftOut] = []
    n_tracks = n_events = 0
    for part in parts:
        own = (part.track + n_tracks, part.first, part.last, part.event + n_events, part.filter, part.low, part.high)
        for column, more in zip(columns, own, strict=True):
            column.append(more)
        if part.left_out is not None:
            lost.append(replace(part.left_out, track=part.left_out.track + n_tracks))
        n_tracks, n_events = n_tracks + part.n_tracks, n_events + len(part)
    left_out = None
    if lost:
        left_out = LeftOut(
            *(torch.cat(c) for c in zip(*((x.track, x.events, x.by_candidate) for x in lost), strict=True))
        )
    track, first, last, event, number, low, high = (torch.cat(column) for column in columns)
    return replace(parts[0], track=track, first=first, last=last, event=event, filter=number, low=low, high=high,
                   n_tracks=n_tracks, left_out=left_out)  # fmt: skip


def _sure_events(scores: ScoreSet, stack: Stack, clips: slice) -> tuple[torch.Tensor, ...]:
    """Returns as `level_runs` does what a stack makes of scores that is kept above a confidence, each up to its own."""
    made = SettingEvents.make(scores, stack, clips, audible_tracks(scores, stack, clips))
    level = stack.n_kept(made.events)
    found, level = kept(made.events, level > 0), level[level > 0]
    first, last = made.frames.frames_of_events(found.track, found.onset, found.offset)
    return made.track[found.track], first, last, made.setting[found.track], torch.zeros_like(level), level


def _events_one_by_one(scores: ScoreSet, stack: Stack, clips: slice) -> tuple[torch.Tensor, ...]:
    """Returns as `level_runs` does what each candidate decodes, applied one by one: each is a filter with one level."""
    part, columns = scores.select(range(clips.start, clips.stop)), []
    for candidate, values in enumerate(stack.space.values):
        if stack.gives == "decisions":
            track, first, last = runs(stack.decide(part, values).flatten(0, 1))
        else:
            found = stack.track_events(part, values)
            track, (first, last) = found.track, part.frames.frames_of_events(found.track, found.onset, found.offset)
        columns.append((track, first, last, torch.full_like(first, candidate)))
    track, first, last, number = (torch.cat(column) for column in zip(*columns, strict=True))
    return track, first, last, number, torch.zeros_like(track), torch.ones_like(track)
