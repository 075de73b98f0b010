"""Events of tracks: runs of active frames, found by a plain walk."""

from __future__ import annotations

from typing import Any

import torch
from cases import make_set, runs
from event_cases import cases, random_case
from hypothesis import given, settings

from rl_postproc.data.track_events import TrackEvents


@settings(max_examples=150)
@given(cases)
def test_decisions_become_the_runs_of_each_track_in_order(case: dict[str, Any]) -> None:
    scores, decisions = random_case(case)
    active = (decisions & scores.valid[:, None]).flatten(0, 1)
    found = TrackEvents.from_decisions(active.T, scores.frames)
    expected = []
    for track, row in enumerate(active.tolist()):
        clip = track // scores.n_classes
        edges = scores.edges[clip if len(scores.edges) > 1 else 0].tolist()
        for first, last in runs(row):
            offset = min(edges[last + 1], float(scores.durations[clip]))
            expected.append((track, round(edges[first], 6), round(offset, 6)))
    columns = (found.track.tolist(), found.onset.tolist(), found.offset.tolist())
    assert list(zip(*columns, strict=True)) == expected
    assert len(found) == len(expected)
    assert found.n_tracks == len(active)
    assert found.confidence.dtype == torch.float32 and bool(found.confidence.eq(1).all())


def test_events_of_tracks_go_to_their_clips_and_classes_with_their_confidences() -> None:
    scores = make_set(torch.zeros(2, 3, 4))
    track = torch.tensor([0, 2, 2, 4])
    onset, offset = torch.tensor([0.1, 0.0, 0.25, 0.2]).double(), torch.tensor([0.3, 0.25, 0.4, 0.3]).double()
    found = TrackEvents(track, onset, offset, torch.tensor([0.5, 0.25, 0.75, 1.0]), 6)
    events = found.to_events(scores.clip_ids, scores.classes)
    assert events.clip.tolist() == [0, 0, 0, 1]
    assert events.label.tolist() == [0, 2, 2, 1]
    assert torch.equal(events.onset, onset) and torch.equal(events.offset, offset)
    assert events.confidence.tolist() == [0.5, 0.25, 0.75, 1.0]
    assert events.select(torch.tensor([1, 0])).confidence.tolist() == [1.0, 0.5, 0.25, 0.75]


def test_confidences_stay_with_their_events_when_these_are_sorted() -> None:
    found = TrackEvents(
        torch.tensor([3, 0]), torch.zeros(2).double(), torch.ones(2).double(), torch.tensor([0.3, 0.9]), 4
    )
    events = found.to_events(("c0", "c1"), ("k0", "k1"))
    assert events.clip.tolist() == [0, 1]
    assert torch.equal(events.confidence, torch.tensor([0.9, 0.3]))


def test_no_tracks_and_no_active_frame_give_no_events() -> None:
    scores = make_set(torch.zeros(2, 2, 3))
    none = TrackEvents.from_decisions(torch.zeros(3, 4, dtype=torch.bool), scores.frames)
    assert len(none) == 0 and none.n_tracks == 4
    assert none.to_events(scores.clip_ids, scores.classes).to_rows() == []
    frames = scores.frames.select(torch.zeros(0, dtype=torch.int64))
    assert TrackEvents.from_decisions(torch.zeros(3, 0, dtype=torch.bool), frames).n_tracks == 0
