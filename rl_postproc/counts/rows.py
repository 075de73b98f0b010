"""Counts of stacks with stages after the threshold: by the distinct decisions, batched over tracks and candidates.

A filtered track has as many distinct decisions as it has distinct levels, however many thresholds there are; each is a
row, and holds for the thresholds between two levels. The stages that follow, and the count, run once on all rows at a
time. A stack whose first decision is not made at levels has one row for each track and filter setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from rl_postproc.counts.levels import (
    audible_tracks,
    filtered_levels,
    narrowest,
    tabulate,
    thresholds_of,
)
from rl_postproc.data.events import Events
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.metrics.base import Metric, PreparedMetric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Data, combine
from rl_postproc.stages.chain import run_stages
from rl_postproc.stages.event_tools import kept
from rl_postproc.utils.tensors import argsort, has_numpy, ragged_ranges

ROW_CELLS = 1 << 21
"""Frames of rows that are worked on at once, all candidates of the later stages together."""


@dataclass(frozen=True)
class Rows:
    """Rows of consecutive clips, sorted by track.

    Attributes:
        values: filtered levels or scores, ``[filter * track, frame]``.
        source: row of ``values``, int64 ``[row]``.
        track: track within the clips, int64 ``[row]``.
        filter: filter setting, int64 ``[row]``.
        level: the row is active where its value reaches this level, int64 ``[row]``; 0 where a stage is yet to decide.
        low: first candidate level for which the row holds, int64 ``[row]``.
        high: one after the last, int64 ``[row]``.
    """

    values: torch.Tensor
    source: torch.Tensor
    track: torch.Tensor
    filter: torch.Tensor
    level: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def split(self, size: int) -> Iterator[Rows]:
        """Yields the rows in parts, none where there is no row: no stage need cope with no tracks."""
        if not len(self.track):
            return
        names = ("source", "track", "filter", "level", "low", "high")
        for part in zip(*(getattr(self, name).split(size) for name in names), strict=True):
            yield Rows(self.values, *part)


class RowCounter:
    """Counts consecutive clips row by row."""

    def __init__(self, scores: ScoreSet, stack: Stack, metric: Metric, prepared: PreparedMetric | None):
        """Takes what is counted; the fast path of the metric serves where the stack gives decisions."""
        self._scores, self._stack, self._metric, self._prepared = scores, stack, metric, prepared
        self._names = metric.columns if prepared is None else prepared.columns
        self._values = event_settings(stack)
        self._n_filters = stack.n_filter_settings
        threshold = stack.threshold
        self._n_levels = 1 if threshold is None else len(thresholds_of(threshold, scores.device))
        self._n_last = 1 if stack.event_levels is None else len(stack.event_levels)

    def count(self, clips: slice) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns tracks int64 ``[track]``, and each column less what silence counts, ``[track, candidate]``."""
        tracks = audible_tracks(self._scores, self._stack, clips)
        rows, n_after = self._rows(clips, tracks), len(self._values) * self._n_last
        shape = len(tracks), self._n_filters, self._n_levels + 1, n_after
        tables = [torch.zeros(shape, dtype=torch.int32, device=tracks.device) for _ in self._names]
        for part in rows.split(max(1, ROW_CELLS // (self._scores.width * len(self._values)))):
            for table, counts in zip(tables, self._count_rows(part, clips, tracks), strict=True):
                table.index_put_((part.track, part.filter, part.low), counts, accumulate=True)
                table.index_put_((part.track, part.filter, part.high), -counts, accumulate=True)
        return tracks, [narrowest(table.cumsum(2, dtype=torch.int32)[:, :, :-1].flatten(1)) for table in tables]

    def _rows(self, clips: slice, tracks: torch.Tensor) -> Rows:
        """Finds the distinct decisions of each track and filter setting, or the filtered tracks themselves."""
        n_tracks = len(tracks)
        if self._stack.threshold is None:
            x = self._scores.scores[clips].flatten(0, 1)[tracks].T.contiguous()
            filtered = self._stack.filter_all(x, self._scores.frames_of(clips).select(tracks))
            source = (
                torch.arange(self._n_filters * n_tracks, device=x.device).reshape(self._n_filters, n_tracks).T.flatten()
            )
            zero = torch.zeros_like(source)
            values = filtered.transpose(1, 2).flatten(0, 1)
            return Rows(values, source, source % n_tracks, source // n_tracks, zero, zero, zero + 1)
        levels, n_levels = filtered_levels(self._scores, self._stack, clips, tracks)
        values = levels.transpose(1, 2).flatten(0, 1)
        occurs = torch.zeros(len(values), n_levels + 1, dtype=torch.bool, device=values.device)
        occurs.scatter_(1, values.long(), True)
        # By track, filter and level; a row holds from the next lower level of its track and filter on.
        ordered = occurs.reshape(self._n_filters, n_tracks, n_levels + 1).transpose(0, 1)[..., 1:]
        track, number, level = ordered.nonzero().unbind(1)
        level = level + 1
        same = (track[1:] == track[:-1]) & (number[1:] == number[:-1])
        low = torch.nn.functional.pad(torch.where(same, level[:-1], 0), (1, 0)) if len(level) else level
        return Rows(values, number * n_tracks + track, track, number, level, low, level)

    def _count_rows(self, rows: Rows, clips: slice, tracks: torch.Tensor) -> list[torch.Tensor]:
        """Returns each column of each row less what silence counts, int32 ``[row, candidate of the later stages]``."""
        x = rows.values.index_select(0, rows.source)
        track = tracks[rows.track]
        if self._stack.threshold is None:
            return self._count_tracks(x, track, clips)
        x = x >= rows.level.to(x.dtype)[:, None]
        # Filters with kernels close to each other decide alike: each distinct row is counted once.
        first, group = distinct_rows(x, track)
        return [count[group] for count in self._count_tracks(x[first], track[first], clips)]

    def _count_tracks(self, x: torch.Tensor, track: torch.Tensor, clips: slice) -> list[torch.Tensor]:
        """Counts rows of scores or decisions ``[row, frame]``, as `_count_rows`."""
        # Settings of the later stages one after another, each with all rows.
        n_rows, n_after = len(x), len(self._values)
        found, frames = run_settings(self._stack, x.T.contiguous(), self._scores.frames_of(clips).select(track))
        if isinstance(found, torch.Tensor) and self._prepared is not None and self._stack.event_levels is None:
            active = found.reshape(len(found), n_after, n_rows).transpose(0, 1).to(torch.uint8)
            parts = self._prepared.intervals(active, clips, track)
            counts = [tabulate(part, n_after * n_rows, 1, torch.int32)[:, 0] for part in parts]
        else:
            if isinstance(found, torch.Tensor):
                found = TrackEvents.from_decisions(found, frames)
            counts = self._count_events(found, clips, track.repeat(n_after))
        return [count.reshape(n_after, n_rows, -1).transpose(0, 1).flatten(1).int() for count in counts]

    def _count_events(self, found: TrackEvents, clips: slice, track: torch.Tensor) -> list[torch.Tensor]:
        """Counts events of rows, int64 ``[row, event level]`` a column: each row as a clip of its own."""
        if self._stack.event_levels is not None:
            levels = self._stack.n_kept(found)
            found, levels = kept(found, levels > 0), levels[levels > 0]
            wanted, events = as_clips(self._scores, found, clips, track)
            intervals = self._metric.level_intervals(wanted, events, levels)
            if intervals is not None:
                return [tabulate(intervals[name], len(track), self._n_last, torch.int32) for name in self._names]
            # Every level makes a row of its own.
            owner, level = ragged_ranges(torch.zeros_like(levels), levels)
            found, row = kept(found, owner), level * len(track) + found.track[owner]
            order = torch.argsort(row, stable=True)
            found = replace(kept(found, order), track=row[order], n_tracks=len(track) * self._n_last)
            track = track.repeat(self._n_last)
        wanted, events = as_clips(self._scores, found, clips, track)
        counts = self._metric.count(wanted, events)
        silence = self._metric.count(wanted, no_events(wanted))
        rows, label = torch.arange(len(track), device=track.device), track % self._scores.n_classes
        return [(counts[name] - silence[name])[rows, label].reshape(self._n_last, -1).T for name in self._names]


def as_clips(scores: ScoreSet, found: TrackEvents, clips: slice, track: torch.Tensor) -> tuple[Events, Events]:
    """Returns references and events of rows, each row as a clip of its own with its class's references.

    Args:
        scores: the score set, with references.
        found: events of the rows.
        clips: the consecutive clips that the rows belong to.
        track: track within the clips of each row, int64 ``[row]``.
    """
    references, n_classes, n = scores.require_references(), scores.n_classes, len(track)
    label, own = track % n_classes, clips.start * n_classes + track
    cell = references.clip * n_classes + references.label
    first = torch.searchsorted(cell, own)
    row, index = ragged_ranges(first, torch.searchsorted(cell, own, right=True) - first)
    names, classes, sure = tuple(map(str, range(n))), scores.classes, torch.ones(len(row), device=row.device)
    wanted = Events(names, classes, row, label[row], references.onset[index], references.offset[index], sure)
    own = label[found.track]
    return wanted, Events(names, classes, found.track, own, found.onset, found.offset, found.confidence)


def event_settings(stack: Stack) -> torch.Tensor:
    """Returns all combinations of the later stages' candidates, less `event_levels`, ``[setting, parameter]``."""
    parameters = [p for stage in stack.after for p in stage.parameters.items()]
    dropped = None if stack.sure is None else stack.sure.kept_above
    return combine([p.candidates for name, p in parameters if name != dropped])


def n_copies(stack: Stack) -> int:
    """Returns how many bytes each score takes when a linear stack is run whole: as levels, or as so many events' scores."""
    if stack.threshold is not None or stack.event_levels is None:
        return stack.n_filter_settings
    return 4 * stack.n_filter_settings * len(event_settings(stack))


def run_settings(stack: Stack, x: torch.Tensor, frames: Frames) -> tuple[Data, Frames]:
    """Applies all of `event_settings` to tracks, less the `event_levels`.

    Args:
        stack: linear.
        x: scores or decisions ``[frame, track]``.
        frames: of the tracks.

    Returns:
        Decisions or events of so many tracks for each setting in turn, and their frames.
    """
    stages, settings, n_tracks = stack.after, event_settings(stack), x.shape[1]
    n = len(settings)
    if not n_tracks:  # no stage has to cope with no tracks
        return TrackEvents.from_decisions(torch.zeros_like(x, dtype=torch.bool), frames), frames
    repeated = frames.select(torch.arange(n_tracks, device=x.device).repeat(n))
    values = settings.to(x.device).repeat_interleave(n_tracks, 0)
    if stack.sure is not None:
        names = [name for name in stack.sure.parameters if name != stack.sure.kept_above]
        return stack.sure.sure(x.repeat(1, n), repeated, **dict(zip(names, values.unbind(1), strict=True))), repeated
    if not stages or stages[0].takes != "scores":
        return run_stages(stages, x.repeat(1, n), repeated, values), repeated
    # The stage that decides may know how to try all of its own candidates at less cost than one by one.
    first, rest = stages[0], stages[1:]
    n_own = math.prod(len(p.candidates) for p in first.parameters.values())
    found = first.sweep(x, frames)
    if isinstance(found, torch.Tensor):
        found = found.repeat_interleave(n // n_own, 0).transpose(0, 1).flatten(1)
    elif n > n_own:
        found = _for_each(found, n_tracks, n // n_own)
    return run_stages(rest, found, repeated, values[:, len(first.parameters) :]), repeated


@dataclass(frozen=True)
class SettingEvents:
    """The events that a linear stack makes of scores with each setting, less the last levels, as rows of tracks.

    Attributes:
        events: of the rows.
        track: track within the clips of each row, int64 ``[row]``.
        setting: filters and later settings of each row, as the candidates have them, int64 ``[row]``.
        n_settings: their number.
        frames: of the rows.
    """

    events: TrackEvents
    track: torch.Tensor
    setting: torch.Tensor
    n_settings: int
    frames: Frames

    @classmethod
    def make(cls, scores: ScoreSet, stack: Stack, clips: slice, tracks: torch.Tensor) -> SettingEvents:
        """Runs all settings on tracks of consecutive clips, int64 ``[track]``."""
        x, own = scores.scores[clips].flatten(0, 1)[tracks].T.contiguous(), scores.frames_of(clips).select(tracks)
        n_filters, n_later, n = stack.n_filter_settings, len(event_settings(stack)), max(1, len(tracks))
        filtered = stack.filter_all(x, own).transpose(0, 1).flatten(1)
        index = torch.arange(len(tracks), device=x.device).repeat(n_filters)
        found, frames = run_settings(stack, filtered, own.select(index))
        if isinstance(found, torch.Tensor):
            found = TrackEvents.from_decisions(found, frames)
        row = torch.arange(len(frames), device=x.device)
        # Rows are [later setting, filter, track].
        setting = row // n % n_filters * n_later + row // (n * n_filters)
        return cls(found, tracks[row % n], setting, n_filters * n_later, frames)


def _for_each(events: TrackEvents, n_rows: int, n: int) -> TrackEvents:
    """Returns events of ``[candidate, row]`` tracks, repeated as ``[candidate, repetition, row]``."""
    candidate, row = events.track // n_rows, events.track % n_rows
    track = ((candidate * n)[None] + torch.arange(n, device=row.device)[:, None]) * n_rows + row
    track, order = track.flatten().sort(stable=True)
    index = order % max(1, len(events))
    return TrackEvents(track, events.onset[index], events.offset[index], events.confidence[index], events.n_tracks * n)


def distinct_rows(x: torch.Tensor, track: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds equal decisions of the same track.

    Args:
        x: bool ``[row, frame]``.
        track: int64 ``[row]``, not falling.

    Returns:
        One row of each distinct kind, sorted by track, int64 ``[kind]``, and the kind of each row, int64 ``[row]``. Rows
        that differ are never joined; that equal ones are left apart is possible, and costs time alone.
    """
    index = torch.arange(len(x), device=x.device)
    if not has_numpy(x) or not len(x):
        return index, index
    packed = np.packbits(x.numpy(), axis=1)
    words = np.zeros((len(x), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    words = torch.from_numpy(words.view(np.int64))
    # Equal rows of a track become neighbours; any mixing of the words will do.
    odd = torch.arange(words.shape[1]) * 2 + 0x1E3779B97F4A7C15
    mixed = (words * odd).sum(1)
    order = argsort((track << 40) | ((mixed ^ (mixed >> 29)) & 0xFFFFFFFFFF))
    words, track = words[order], track[order]
    new = torch.ones(len(x), dtype=torch.bool)
    new[1:] = (words[1:] != words[:-1]).any(1) | (track[1:] != track[:-1])
    kind = torch.empty_like(index)
    kind[order] = new.cumsum(0) - 1
    return order[new], kind


def no_events(like: Events) -> Events:
    """Returns an event list without events, over the same clips and classes."""
    none = like.onset[:0]
    return Events.from_tensors(like.clip_ids, like.classes, none.long(), none.long(), none, none)
