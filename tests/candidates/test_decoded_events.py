"""Decoded events against the stack's own decisions, candidate by candidate, and their features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import decode_events, make_set, runs, small_simulation
from event_cases import cases, collars, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_cases import Dilation

from rl_postproc.candidates.events import DecodedEvents, decode_candidates
from rl_postproc.candidates.features import FeatureGrid, event_features, feature_names
from rl_postproc.candidates.pool import LEFT_OUT_VALUE, PoolBounds
from rl_postproc.counts.grid import sweep
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.metrics.event_based.event_lists import match_events
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

grids = st.lists(st.integers(0, 8), min_size=1, max_size=5, unique=True).map(lambda k: [v / 8 for v in sorted(k)])
lengths = st.lists(st.sampled_from((0.0, 0.1, 0.3, 0.5, 0.9)), min_size=1, max_size=3, unique=True).map(sorted)
stacks = st.builds(
    lambda kernels, thresholds, dilations: [
        *([{"stage": "median", "kernel": kernels}] if kernels else []),
        {"stage": "threshold", "threshold": thresholds},
        *([{"stage": Dilation().stage, "length": dilations}] if dilations else []),
    ],
    st.none() | lengths,
    grids,
    st.none() | lengths,
).map(Stack.from_config)


def random_scores(case: dict, levels: int = 9) -> ScoreSet:
    """Draws scores with ties, on clips of different lengths."""
    scores, _ = random_case(case)
    coarse = (scores.scores * (levels - 1)).round() / (levels - 1)
    return make_set(coarse, scores.require_references().to_rows(), edges=scores.edges, n_frames=scores.n_frames.tolist(),
                    durations=scores.durations.tolist())  # fmt: skip


def spans(events: DecodedEvents, which: torch.Tensor) -> list[tuple[int, int, int]]:
    """Returns track, first and last frame of the chosen events."""
    return [tuple(row) for row in torch.stack([events.track, events.first, events.last], 1)[which].tolist()]


def decided_spans(scores: ScoreSet, decisions: torch.Tensor) -> list[tuple[int, int, int]]:
    """Returns the same from decisions, by a plain walk."""
    found = []
    for track, active in enumerate((decisions & scores.valid[:, None]).flatten(0, 1).tolist()):
        found += [(track, a, b) for a, b in runs(active)]
    return found


@given(cases, stacks)
@settings(max_examples=150)
def test_the_events_of_a_candidate_are_those_that_the_stack_decides(case: dict, stack: Stack) -> None:
    scores = random_scores(case)
    events = decode_candidates(scores, stack)
    assert events.n_candidates == stack.space.n_candidates
    seen: set[tuple[int, int, int]] = set()
    for candidate, values in enumerate(stack.space.values):
        chosen = events.of_candidates(torch.full((events.n_tracks,), candidate))
        decisions = stack.decide(scores, values)
        assert spans(events, chosen) == decided_spans(scores, decisions)
        assert int(chosen.sum()) == len(decode_events(scores, decisions))
        seen |= set(spans(events, chosen))
    # Each distinct event stands there once, sorted, and every one of them is decoded by some candidate.
    assert spans(events, torch.ones(len(events), dtype=torch.bool)) == sorted(seen)


@given(cases, stacks)
@settings(max_examples=60)
def test_ones_summed_over_candidates_are_the_sweeps_estimated_counts(case: dict, stack: Stack) -> None:
    scores = random_scores(case)
    table = sweep(scores, stack, EventBased())
    events = decode_candidates(scores, stack)
    found = events.sum_over_candidates(torch.ones(len(events)))
    assert torch.equal(found.reshape(table.counts["estimated"].shape), table.counts["estimated"].float())


def test_candidates_may_differ_from_track_to_track() -> None:
    scores = small_simulation(6, 3, short=0.5)
    stack = Stack.from_config(
        [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.2, 0.5]}]
    )
    events = decode_candidates(scores, stack)
    choice = torch.randint(4, (18,), generator=torch.Generator().manual_seed(0))
    decisions = stack.decide(scores, stack.space.values[choice].reshape(6, 3, 2))
    assert spans(events, events.of_candidates(choice)) == decided_spans(scores, decisions)
    assert len(choice.unique()) > 1


@given(cases, stacks, st.integers(0, 2**31))
@settings(max_examples=40)
def test_sums_over_candidates_add_the_values_of_their_events(case: dict, stack: Stack, seed: int) -> None:
    scores = random_scores(case)
    events = decode_candidates(scores, stack)
    values = torch.rand(len(events), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = events.sum_over_candidates(values)
    for candidate in range(events.n_candidates):
        chosen = events.of_candidates(torch.full((events.n_tracks,), candidate))
        expected = torch.zeros(events.n_tracks, dtype=torch.float64).index_add(0, events.track[chosen], values[chosen])
        assert torch.allclose(found[:, candidate], expected)


@given(cases, collars)
@settings(max_examples=100)
def test_an_event_matches_when_it_alone_would_be_a_true_positive(case: dict, metric: EventBased) -> None:
    scores = random_scores(case)
    stack = Stack.from_config([{"stage": "threshold", "threshold": [0.2, 0.5, 0.8]}])
    events = decode_candidates(scores, stack)
    found = metric.prepare(scores).matches(events.track, events.first, events.last).tolist()
    references = scores.require_references()
    for hit, track, first, last in zip(found, events.track, events.first, events.last, strict=True):
        clip, label = track // scores.n_classes, track % scores.n_classes
        onset, offset = scores.frames.onset_times(track, first), scores.frames.offset_times(track, last)
        alone = Events.from_tensors(
            scores.clip_ids, scores.classes, *(x.reshape(1) for x in (clip, label, onset, offset))
        )
        assert hit == bool(match_events(references, alone, metric).sum())


def test_a_silent_set_has_no_events_and_its_sums_are_zero() -> None:
    scores = make_set(torch.zeros(2, 2, 5))
    events = decode_candidates(scores, Stack.default())
    assert len(events) == 0
    assert float(events.sum_over_candidates(torch.zeros(0)).abs().sum()) == 0
    assert events.of_candidates(torch.zeros(4, dtype=torch.int64)).shape == (0,)
    assert event_features(scores, events, FeatureGrid(0.1)).shape == (0, len(feature_names(FeatureGrid(0.1))))


def test_the_features_are_what_they_are_called() -> None:
    x = torch.tensor([[[0.1, 0.8, 0.9, 0.2, 0.0, 0.6, 0.0]], [[0.7, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0]]])
    scores = make_set(x, n_frames=[7, 3])
    stack = Stack.from_config([{"stage": "threshold", "threshold": [0.05, 0.15, 0.5, 0.85]}])
    grid = FeatureGrid(0.1, reach=2)
    events = decode_candidates(scores, stack)
    rows = [dict(zip(feature_names(grid), row.tolist(), strict=True)) for row in event_features(scores, events, grid)]
    by_span = dict(zip(spans(events, torch.ones(len(events), dtype=torch.bool)), rows, strict=True))
    # at 0.05 frames 0-3 and 5; at 0.15 frames 1-3 and 5; at 0.5 frames 1-2 and 5; at 0.85 frame 2
    assert set(by_span) == {(0, 0, 3), (0, 1, 3), (0, 1, 2), (0, 2, 2), (0, 5, 5), (1, 0, 1)}
    one = by_span[0, 1, 2]
    expected = {
        "length": 0.2, "log_length": np.log(0.2), "start": 0.1, "to_end": 0.4, "clip_length": 0.7, "touches_start": 0,
        "touches_end": 0, "mean": 0.85, "deviation": 0.05, "least": 0.8, "most": 0.9, "mean_before": 0.1,
        "mean_after": 0.1, "most_before": 0.1, "most_after": 0.2, "track_mean": 2.6 / 7, "track_most": 0.9,
        "track_above": 3 / 7, "votes": 1 / 4, "votes_best_filter": 1 / 4, "filters": 1, "low_first_filter": 2 / 4,
        "high_first_filter": 3 / 4, "track_events": np.log(5), "track_votes_all": 7 / 4, "score_onset_-1": 0.1,
        "score_onset_-2": -0.1, "score_onset_+0": 0.8, "score_offset_+1": 0.2, "votes_onset_+0": 2 / 4,
        "votes_onset_+1": 1 / 4, "votes_offset_+0": 2 / 4, "votes_offset_+1": 2 / 4,
    }  # fmt: skip
    for name, value in expected.items():
        assert one[name] == pytest.approx(value, abs=1e-6), name
    short = by_span[1, 0, 1]
    assert (short["touches_start"], short["touches_end"], short["clip_length"]) == (1, 0, pytest.approx(0.3))
    assert (short["score_offset_+1"], short["score_offset_+2"]) == (0, pytest.approx(-0.1))
    assert by_span[0, 0, 3]["mean_before"] == 0


def test_features_depend_neither_on_padding_nor_on_the_other_clips() -> None:
    scores = small_simulation(8, 3, short=0.6)
    task = TuningTask.build(scores, Stack.default())
    clip_of_event = task.decoded.track // scores.n_classes
    for clip in range(scores.n_clips):
        n = int(scores.n_frames[clip])
        alone = ScoreSet.build(
            scores.scores[clip : clip + 1, :, :n], scores.edges[:, : n + 1], scores.clip_ids[clip : clip + 1],
            scores.classes, durations=scores.durations[clip : clip + 1],
        )  # fmt: skip
        events = decode_candidates(alone, task.stack)
        own = clip_of_event == clip
        assert torch.equal(events.first, task.decoded.first[own])
        found = event_features(alone, events, FeatureGrid(scores.hop))
        assert torch.equal(found, task.event_features[own])
    assert len(scores.n_frames.unique()) > 2


RICH = {
    "runs": [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.2, 0.5, 0.8]}],
    "hysteresis": [{"stage": "mean", "kernel": [0, 0.2]},
                   {"stage": "hysteresis", "onset": [0.4, 0.7], "offset": {"candidates": [0.1, 0.3], "default": 0.1}}],
    "filled": [{"stage": "threshold", "threshold": [0.3, 0.6]}, {"stage": "gap_fill", "gap": [0, 0.4]}],
    "boxes": [{"stage": "boxes", "window": [0.2, 0.5], "absolute": [0.1, 0.3]}, {"stage": "duration"},
              {"stage": "confidence", "threshold": [0.1, 0.3, 0.5, 0.7]}],
}  # fmt: skip


@pytest.mark.parametrize("names", [["hysteresis"], ["filled"], ["boxes"], list(RICH)])
@pytest.mark.parametrize("bounds", [None, PoolBounds(least_votes=2, most_per_minute=60)])
def test_a_pool_of_any_decoders_holds_what_each_candidate_decodes(names: list[str], bounds: PoolBounds | None) -> None:
    scores = small_simulation(9, 3, short=0.5)
    config = RICH[names[0]] if len(names) == 1 else [{"stage": "one_of", "stacks": {n: RICH[n] for n in names}}]
    stack = Stack.from_config(config)
    events = decode_candidates(scores, stack, bounds)
    n_events = torch.zeros(27, stack.space.n_candidates)
    for candidate, values in enumerate(stack.space.values):
        found = stack.events(scores, values)
        n_events[:, candidate] = found.counts().flatten().float()
        chosen = events.of_candidates(torch.full((27,), candidate))
        mine = events.timed(chosen, scores.frames).to_events(scores.clip_ids, scores.classes).to_rows()
        assert set(mine) <= set(found.to_rows())
        if bounds is None:
            assert mine == found.to_rows()
    # What is left out counts as so many events that are worth little.
    sums = events.sum_over_candidates(torch.full((len(events),), LEFT_OUT_VALUE))
    assert torch.allclose(sums, LEFT_OUT_VALUE * n_events)
    parts = [events.of_tracks(a, b).sum_over_candidates(torch.full((len(events.of_tracks(a, b)),), LEFT_OUT_VALUE))
             for a, b in ((0, 5), (5, 20), (20, 27))]  # fmt: skip
    assert torch.allclose(torch.cat(parts), sums)
    assert (events.left_out is None) == (bounds is None)
