"""Stages on events against their definitions, an event at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.duration import Duration
from rl_postproc.stages.gap_fill import GapFill
from rl_postproc.stages.padding import Padding
from rl_postproc.stages.shift import Shift
from rl_postproc.utils.errors import UserError

HOP, WIDTH = 0.05, 40
Event = tuple[float, float, float]
LENGTHS = st.sampled_from([0.0, 0.04, 0.05, 0.1, 0.12, 0.3, 1.0])


def frames_of(n_tracks: int) -> Frames:
    edges = (torch.arange(WIDTH + 1, dtype=torch.float64) * HOP).round(decimals=6)[None]
    return Frames(torch.full((n_tracks,), WIDTH), HOP, edges, torch.full((n_tracks,), WIDTH * HOP, dtype=torch.float64))


@st.composite
def drawn(draw: st.DrawFn) -> tuple[TrackEvents, Frames, list[list[Event]]]:
    """Events of three tracks, some of which touch."""
    decisions = torch.tensor(
        draw(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=WIDTH, max_size=WIDTH))
    )
    frames = frames_of(3)
    events = TrackEvents.from_decisions(decisions, frames)
    n = len(events)
    sure = torch.tensor(draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=n, max_size=n)))
    events = events.with_confidence(sure)
    return events, frames, by_track(events)


def by_track(events: TrackEvents) -> list[list[Event]]:
    rows: list[list[Event]] = [[] for _ in range(events.n_tracks)]
    for track, *row in zip(
        *(c.tolist() for c in (events.track, events.onset, events.offset, events.confidence)), strict=True
    ):
        rows[track].append(tuple(row))
    return rows


def same(found: TrackEvents, expected: list[list[Event]]) -> None:
    rows = by_track(found)
    assert [len(own) for own in rows] == [len(own) for own in expected]
    for own, other in zip(rows, expected, strict=True):
        for a, b in zip(own, other, strict=True):
            assert a == pytest.approx(b, abs=1e-9)


@settings(max_examples=100)
@given(case=drawn(), gap=st.lists(LENGTHS, min_size=3, max_size=3))
def test_short_gaps_are_filled(case: tuple, gap: list[float]) -> None:
    events, frames, rows = case
    expected = []
    for own, most in zip(rows, gap, strict=True):
        filled: list[Event] = []
        for onset, offset, sure in own:
            if filled and round(onset - filled[-1][1], 6) < most:
                filled[-1] = (filled[-1][0], offset, max(sure, filled[-1][2]))
            else:
                filled.append((onset, offset, sure))
        expected.append(filled)
    same(GapFill()(events, frames, gap=torch.tensor(gap)), expected)


@settings(max_examples=100)
@given(
    case=drawn(), shortest=st.lists(LENGTHS, min_size=3, max_size=3), longest=st.lists(LENGTHS, min_size=3, max_size=3)
)
def test_lengths_outside_both_limits_are_dropped(case: tuple, shortest: list[float], longest: list[float]) -> None:
    events, frames, rows = case
    expected = [[event for event in own if least <= round(event[1] - event[0], 6) <= most]
                for own, least, most in zip(rows, shortest, longest, strict=True)]  # fmt: skip
    same(Duration()(events, frames, shortest=torch.tensor(shortest), longest=torch.tensor(longest)), expected)


@settings(max_examples=100)
@given(case=drawn(), before=st.lists(LENGTHS, min_size=3, max_size=3), after=st.lists(LENGTHS, min_size=3, max_size=3))
def test_padded_events_stay_in_their_clip_and_join(case: tuple, before: list[float], after: list[float]) -> None:
    events, frames, rows = case
    expected = []
    for own, early, late in zip(rows, before, after, strict=True):
        padded: list[Event] = []
        for onset, offset, sure in own:
            onset = round(max(0.0, onset - float(torch.tensor(early))), 6)
            offset = round(min(WIDTH * HOP, offset + float(torch.tensor(late))), 6)
            if padded and onset < padded[-1][1]:
                padded[-1] = (padded[-1][0], offset, max(sure, padded[-1][2]))
            else:
                padded.append((onset, offset, sure))
        expected.append(padded)
    same(Padding()(events, frames, before=torch.tensor(before), after=torch.tensor(after)), expected)


SHIFTS = st.sampled_from([-0.4, -0.12, -0.05, 0.0, 0.05, 0.13, 0.5])


@settings(max_examples=100)
@given(case=drawn(), onset=st.lists(SHIFTS, min_size=3, max_size=3), offset=st.lists(SHIFTS, min_size=3, max_size=3))
def test_shifted_events_keep_their_length_or_vanish(case: tuple, onset: list[float], offset: list[float]) -> None:
    events, frames, rows = case
    expected = []
    for own, later, longer in zip(rows, onset, offset, strict=True):
        moved: list[Event] = []
        for begin, end, sure in own:
            begin = round(max(0.0, begin + float(torch.tensor(later))), 6)
            end = round(min(WIDTH * HOP, end + float(torch.tensor(longer))), 6)
            if begin >= end:
                continue
            if moved and begin < moved[-1][1]:
                moved[-1] = (moved[-1][0], max(end, moved[-1][1]), max(sure, moved[-1][2]))
            else:
                moved.append((begin, end, sure))
        expected.append(moved)
    same(Shift()(events, frames, onset=torch.tensor(onset), offset=torch.tensor(offset)), expected)


def test_recordings_longer_than_any_limit_keep_their_events() -> None:
    long = TrackEvents(*(torch.tensor([x]) for x in (0, 0.0, 3000.0)), torch.ones(1), 1)
    values = {name: torch.tensor([p.default]) for name, p in Duration().parameters.items()}
    assert len(Duration()(long, frames_of(1), **values)) == 1


def test_limits_that_leave_nothing_are_refused() -> None:
    with pytest.raises(UserError, match=r"no event is at least 2 s and at most 1 s long; give shortest values"):
        Duration.make({"stage": "duration", "shortest": 2, "longest": 1})
