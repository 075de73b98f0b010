"""What the clip browser holds: scores to a 255th, events as they are, the kinds of their errors, the telling clips."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.diary.kinds import KINDS, find_errors
from rl_postproc.metrics import EventBased, SegmentBased
from rl_postproc.report.browser import Browser
from rl_postproc.report.clips import FLOOR, MOST_FRAMES, make_browser
from rl_postproc.task import TuningTask

METRIC = EventBased()


def two_systems(scores: ScoreSet) -> dict[str, Events]:
    task = TuningTask.build(scores)
    values = task.stack.space.values
    return {"default": task.stack.events(scores, task.stack.space.defaults),
            "best": task.stack.events(scores, values[task.best_constants])}  # fmt: skip


def track(browser: Browser, clip: int, label: int) -> np.ndarray | None:
    """Returns the levels of a track as a reader of the arrays finds them, None where it is left out."""
    ends = np.cumsum(browser.n_tracks)
    first = int(ends[clip] - browser.n_tracks[clip])
    begin = int((browser.n_tracks * browser.n_frames)[:clip].sum())
    labels = browser.tracks[first : ends[clip]].tolist()
    if label not in labels:
        return None
    begin += labels.index(label) * int(browser.n_frames[clip])
    return browser.scores[begin : begin + int(browser.n_frames[clip])]


def test_tracks_events_kinds_and_counts_are_those_of_the_set() -> None:
    scores = small_simulation(12)
    systems = two_systems(scores)
    browser, notes = make_browser(scores, systems, METRIC, {"best": [0.5, None, 0.25]})
    assert notes == []
    assert list(browser.clip_ids) == list(scores.clip_ids)
    assert (browser.n_clips, browser.kinds, browser.chosen) == (12, KINDS, {"best": [0.5, None, 0.25]})
    left_out = 0
    for clip in range(12):
        n = int(scores.n_frames[clip])
        assert (browser.n_frames[clip], browser.steps[clip]) == (n, pytest.approx(scores.hop))
        for label in range(3):
            expected = scores.scores[clip, label, :n]
            found = track(browser, clip, label)
            if found is None:
                left_out += 1
                assert float(expected.max()) < FLOOR
                assert not any(((own.clip == clip) & (own.label == label)).any() for own in systems.values())
            else:
                assert np.abs(found / 255 - expected.numpy()).max() <= 0.5 / 255 + 1e-6
    assert left_out > 0
    references = scores.require_references()
    errors = {name: find_errors(references, events, METRIC) for name, events in systems.items()}
    for i, (name, events) in enumerate(systems.items()):
        own = browser.systems[name]
        for column in ("clip", "label", "onset", "offset"):
            assert np.array_equal(getattr(own, column), getattr(events, column).numpy())
        assert own.kind is not None
        assert np.array_equal(own.kind, errors[name].estimates.numpy())
        assert browser.references is not None and browser.references.kind is not None
        assert np.array_equal(browser.references.kind[i], errors[name].references.numpy())
        counts = METRIC.count(references, events)
        columns = [counts[key].sum(1).numpy() for key in ("true_positives", "estimated", "reference")]
        assert np.array_equal(browser.counts[name], np.stack(columns, 1))


def test_of_too_many_clips_those_stay_on_which_systems_differ_most() -> None:
    scores = small_simulation(60)
    systems = two_systems(scores)
    whole, _ = make_browser(scores, systems, METRIC)
    budget = len(zlib.compress(whole.scores.tobytes(), 6)) // 3
    browser, notes = make_browser(scores, systems, METRIC, score_bytes=budget)
    kept = [scores.clip_ids.index(name) for name in browser.clip_ids]
    assert 5 < len(kept) < 40
    assert kept == sorted(kept)
    assert len(zlib.compress(browser.scores.tobytes(), 6)) <= budget
    assert notes == [f"The clip browser holds {len(kept)} of 60 clips, those on which the systems differ most; tables and "
                     "charts are of all."]  # fmt: skip
    a, b = (whole.counts[name].astype(int) for name in systems)
    apart = abs(a[:, 0] - b[:, 0]) + abs((a[:, 1] - a[:, 0]) - (b[:, 1] - b[:, 0]))
    others = [i for i in range(60) if i not in kept]
    assert apart[kept].min() >= apart[others].max()
    for i, clip in enumerate(kept):
        for label in range(3):
            mine, theirs = track(browser, i, label), track(whole, clip, label)
            assert (mine is None) == (theirs is None) and (mine is None or np.array_equal(mine, theirs))
    few, notes = make_browser(scores, systems, METRIC, most_events=50)
    assert len(notes) == 1
    assert sum(len(own.clip) for own in (*few.systems.values(), few.references) if own is not None) <= 50


def test_long_tracks_show_the_highest_of_neighbours_and_uneven_frames_are_told() -> None:
    n = 2 * MOST_FRAMES + 1
    values = torch.rand(2, 1, n, generator=torch.Generator().manual_seed(0))
    scores = make_set(values, [("c0", 1.0, 2.0, "k0")], n_frames=[n, 7])
    browser, notes = make_browser(scores, {"none": Events.from_rows([], scores.clip_ids, scores.classes)}, METRIC)
    assert browser.n_frames.tolist() == [MOST_FRAMES - 499, 3]
    assert browser.steps.tolist() == pytest.approx([0.3, 0.3])
    padded = torch.nn.functional.pad(values[0, 0], (0, -n % 3)).reshape(-1, 3).amax(1)
    found = track(browser, 0, 0)
    assert found is not None and np.abs(found / 255 - padded.numpy()).max() < 0.002
    assert [note for note in notes if "highest of each 3 neighbours" in note]
    edges = torch.tensor([[0.0, 0.1, 0.2, 1.0]], dtype=torch.float64)
    uneven = make_set(torch.full((1, 1, 3), 0.5), [], edges=edges)
    _, notes = make_browser(uneven, {"none": Events.from_rows([], uneven.clip_ids, uneven.classes)}, METRIC)
    assert [note for note in notes if "uneven length" in note]


def test_without_references_or_with_another_metric_there_are_no_kinds() -> None:
    scores = small_simulation(8)
    systems = two_systems(scores)
    by_segments, _ = make_browser(scores, systems, SegmentBased())
    assert by_segments.kinds == {}
    assert all(own.kind is None for own in by_segments.systems.values())
    bare = ScoreSet.build(
        scores.scores, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations
    )
    browser, _ = make_browser(bare, systems, METRIC)
    assert (browser.references, browser.counts, browser.kinds) == (None, {}, {})
