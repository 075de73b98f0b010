"""Counts of stacks with stages of every kind after the first decision, against each candidate by itself."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
import torch
from cases import make_set, runs, small_simulation
from event_cases import cases, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_cases import Boxes, Delay, Dilation, Echo, Erosion, Hysteresis, Onsets, Padding, Shortest, Sure

from rl_postproc.counts import rows as rows_module
from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Metric, Tagging
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import Stage
from rl_postproc.stages.median import MedianFilter
from rl_postproc.stages.threshold import Threshold

LEVELS = Threshold.model_validate({"threshold": [0.0, 0.25, 0.5, 0.75, 1.0]})
MEDIAN = MedianFilter.model_validate({"kernel": [0.0, 0.3]})

STACKS: dict[str, tuple[Stage, ...]] = {
    "levels": (Delay(), LEVELS),
    "decisions": (MEDIAN, Delay(), LEVELS, Erosion()),
    "decisions twice": (LEVELS, Erosion(), Dilation()),
    "dropped events": (MEDIAN, LEVELS, Shortest()),
    "moved events": (LEVELS, Padding()),
    "decisions, then events": (Echo(), LEVELS, Dilation(), Shortest(), Padding()),
    "not at levels": (MEDIAN, Hysteresis()),
    "not at levels, then events": (Hysteresis(), Padding()),
    "boxes": (MEDIAN, Boxes()),
    "boxes with confidences": (Boxes(), Sure(), Padding()),
}

METRICS: tuple[Metric, ...] = (EventBased(), Tagging(), Onsets(), Onsets(sure=0.6))


def coarse(scores: ScoreSet) -> ScoreSet:
    """Returns the set with scores on the thresholds themselves."""
    rounded = (scores.scores * 8).round() / 8
    return ScoreSet.build(
        rounded, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations, scores.references
    )


def assert_counts_of_each_candidate(table: CountTable, scores: ScoreSet, stack: Stack, metric: Metric) -> None:
    """Holds every entry of a table against the count of the events that its candidate gives."""
    references = scores.require_references()
    for candidate, values in enumerate(stack.space.values):
        expected = metric.count(references, stack.events(scores, values))
        found = table.of_choice(torch.full((scores.n_classes,), candidate))
        for name in metric.columns:
            assert torch.equal(found[name], expected[name]), (name, values)


@pytest.mark.parametrize("name", STACKS)
@settings(max_examples=25)
@given(cases, st.sampled_from(METRICS), st.booleans(), st.sampled_from((1, 300, 1 << 20)))
def test_every_entry_counts_the_events_of_its_candidate(
    name: str, case: dict[str, Any], metric: Metric, tied: bool, chunk_bytes: int
) -> None:
    scores, _ = random_case(case)
    scores, stack = coarse(scores) if tied else scores, Stack(STACKS[name])
    table = sweep(scores, stack, metric, chunk_bytes=chunk_bytes)
    assert_counts_of_each_candidate(table, scores, stack, metric)


@pytest.mark.parametrize("name", STACKS)
def test_the_candidates_differ_on_a_simulation_and_are_counted_in_their_places(name: str) -> None:
    scores, stack = small_simulation(12, 2, noise=4.0), Stack(STACKS[name])
    table = sweep(scores, stack, EventBased())
    assert_counts_of_each_candidate(table, scores, stack, EventBased())
    assert len(table.counts["estimated"].flatten(0, 1).unique(dim=1)[0]) > 3
    assert int(table.counts["true_positives"].sum()) > 0


def plain_events(
    track: Iterable[float], threshold: float, hop: float, end: float, least: float, by: float
) -> list[tuple[float, float]]:
    """Returns the events of a track by a plain walk: runs, those that are long enough, padded up to their neighbours."""
    found = [(a * hop, min((b + 1) * hop, end)) for a, b in runs([x > threshold for x in track])]
    found = [(a, b) for a, b in found if b - a >= least]
    ends = [0.0, *((b + c) / 2 for (_, b), (c, _) in pairwise(found)), end]
    return [(max(a - by, ends[i]), min(b + by, ends[i + 1])) for i, (a, b) in enumerate(found)]


def test_a_stack_of_event_stages_gives_what_a_plain_walk_gives() -> None:
    scores, stack = coarse(small_simulation(6, 2, short=0.0)), Stack((LEVELS, Shortest(), Padding()))
    table, n_events = sweep(scores, stack, Tagging()), 0
    for candidate, values in enumerate(stack.space.values):
        threshold, length, by = (round(v, 6) for v in values.double().tolist())
        found = table.of_choice(torch.full((2,), candidate))["estimated"]
        events = stack.events(scores, values)
        for clip in range(6):
            for label in range(2):
                track, end = scores.scores[clip, label].tolist(), float(scores.durations[clip])
                expected = plain_events(track, threshold, scores.hop, end, length, by)
                own = (events.clip == clip) & (events.label == label)
                assert events.onset[own].tolist() == pytest.approx([a for a, _ in expected], abs=1e-6)
                assert events.offset[own].tolist() == pytest.approx([b for _, b in expected], abs=1e-6)
                assert int(found[clip, label]) == bool(expected)
                n_events += len(expected)
    assert n_events > 100


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_a_set_without_any_audible_track_counts_as_silence(name: str, metric: Metric) -> None:
    rows = [("c0", 0.1, 0.4, "k0"), ("c0", 0.5, 0.9, "k0"), ("c1", 0.0, 0.2, "k1")]
    scores, stack = make_set(torch.zeros(2, 2, 12), rows), Stack(STACKS[name])
    table = sweep(scores, stack, metric)
    assert not any(
        bool(table.counts[column].any()) for column in metric.columns if column not in ("reference", "misses")
    )
    assert_counts_of_each_candidate(table, scores, stack, metric)


def test_only_the_tracks_that_are_audible_at_some_threshold_are_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores below the lowest threshold cost nothing, and their misses are counted all the same."""
    x = torch.full((3, 2, 10), 0.1)
    x[1, 1, 3:6] = 0.9
    scores = make_set(x, [("c0", 0.3, 0.6, "k0"), ("c1", 0.3, 0.6, "k1")])
    stack = Stack.from_config([{"stage": "threshold", "threshold": [0.2, 0.5]}, {"stage": "test_shortest"}])
    seen: list[int] = []
    original = rows_module.run_stages

    def counting(stages: Any, given: torch.Tensor, *rest: Any) -> Any:
        seen.append(given.shape[1])
        return original(stages, given, *rest)

    monkeypatch.setattr(rows_module, "run_stages", counting)
    table = sweep(scores, stack, Onsets())
    monkeypatch.undo()
    # One distinct decision of one track, whatever the thresholds, with each of the three lengths.
    assert seen == [3]
    assert table.counts["misses"].tolist() == [[[1] * 6, [0] * 6], [[0] * 6, [0, 0, 1] * 2], [[0] * 6, [0] * 6]]
    assert_counts_of_each_candidate(table, scores, stack, Onsets())


def test_rows_that_are_split_into_many_parts_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, stack = small_simulation(4, 2), Stack((MEDIAN, LEVELS, Erosion(), Shortest()))
    whole = sweep(scores, stack, EventBased())
    monkeypatch.setattr(rows_module, "ROW_CELLS", 1)
    parts = sweep(scores, stack, EventBased())
    assert all(torch.equal(whole.counts[name], parts.counts[name]) for name in EventBased.columns)
