"""The event-based metric with onsets alone and with offsets alone, against sed_eval."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from cases import make_set, sed_eval_totals, small_simulation
from event_cases import COLLARS, assert_equal_counts, cases, random_case
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.data.events import Events
from rl_postproc.metrics import EventBased, total_counts
from rl_postproc.metrics.certify import evaluate
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.testing import check_metric
from rl_postproc.utils.errors import UserError

ONSETS, OFFSETS = {"evaluate_offset": False}, {"evaluate_onset": False}
metrics = st.tuples(st.sampled_from((*COLLARS, (1.0, 0.5))), st.sampled_from((ONSETS, OFFSETS))).map(
    lambda drawn: EventBased(t_collar=drawn[0][0], percentage_of_length=drawn[0][1], **drawn[1])
)


@settings(max_examples=500)
@given(cases, metrics)
def test_counts_equal_sed_eval_on_random_cases(case: dict[str, Any], metric: EventBased) -> None:
    assert_equal_counts(*random_case(case), metric)


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from((0.02, 0.064, 0.1)), st.integers(3, 8), st.integers(6, 48), metrics)
def test_counts_equal_sed_eval_when_many_references_compete_for_many_short_runs(
    seed: int, hop: float, n_references: int, width: int, metric: EventBased
) -> None:
    rng = np.random.default_rng(seed)
    decisions = rng.random((2, 2, width)) < rng.choice([0.3, 0.5, 0.7])
    rows = []
    for clip, label in np.ndindex(2, 2):
        for _ in range(n_references):
            onset = rng.integers(0, width) * rng.choice([0.05, hop, 0.031])
            rows.append((f"c{clip}", onset, onset + rng.integers(0, 9) * rng.choice([0.05, hop, 0.1]), f"k{label}"))
    scores = make_set(np.zeros(decisions.shape), rows, hop=hop)
    assert_equal_counts(scores, torch.from_numpy(decisions), metric)


@pytest.mark.parametrize("alone", [ONSETS, OFFSETS], ids=["onsets", "offsets"])
@pytest.mark.parametrize("comparison", ["exact", "tolerant"])
def test_the_metric_conforms(alone: dict[str, bool], comparison: Literal["exact", "tolerant"]) -> None:
    check_metric(EventBased(comparison=comparison, **alone))
    check_metric(EventBased(t_collar=1.5, comparison=comparison, **alone))


@pytest.mark.parametrize("alone", [ONSETS, OFFSETS], ids=["onsets", "offsets"])
def test_every_threshold_and_single_events_are_judged_alike(alone: dict[str, bool]) -> None:
    scores, metric = small_simulation(8, 2, short=0.4), EventBased(**alone)
    references = scores.require_references()
    grid = [0.1, 0.3, 0.5, 0.7]
    stack = Stack.from_config([{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": grid}])
    table, prepared = sweep_all_thresholds(scores, stack, metric).table(grid), metric.prepare(scores)
    for candidate, values in enumerate(stack.space.values):
        events = stack.events(scores, values)
        counts, tabled = metric.count(references, events), table.of_choice(torch.full((2,), candidate))
        assert all(torch.equal(counts[name], tabled[name]) for name in metric.columns)
        track = events.clip * scores.n_classes + events.label
        judged = prepared.matches(track, *scores.frames.frames_of_events(track, events.onset, events.offset))
        assert torch.equal(judged, metric.right(references, events))
        assert 0 < int(judged.sum()) < len(judged)


def test_onsets_alone_suit_whatever_the_offset_is() -> None:
    references = Events.from_rows([("a", 1.0, 2.0, "x"), ("a", 6.0, 9.0, "x")], ["a"], ["x"])
    estimates = Events.from_rows([("a", 1.1, 5.0, "x"), ("a", 8.0, 9.1, "x")], ["a"], ["x"])
    hits = [
        evaluate(references, estimates, EventBased(**flags)).counts["true_positives"].tolist()
        for flags in ({}, ONSETS, OFFSETS)
    ]
    assert hits == [[0], [1], [1]]


def test_the_published_detections_score_as_in_sed_eval(data_root: Any) -> None:
    from rl_postproc.formats import read_event_pair

    folder = data_root / "desed_validation"
    references, found = read_event_pair(
        folder / "baseline2021_student" / "predictions_th_0.5.csv", folder / "ground_truth.tsv"
    )
    for flags in (ONSETS, OFFSETS):
        metric = EventBased(t_collar=0.5, **flags)
        report = evaluate(references, found, metric)
        assert report.certified_by.startswith("sed_eval")
        counts = total_counts(metric.count(references, found))
        ours = [counts[name].tolist() for name in ("true_positives", "estimated", "reference")]
        clips = torch.arange(200)
        few = references.select(clips), found.select(clips)
        own = total_counts(metric.count(*few))
        assert [own[name].tolist() for name in metric.columns] == sed_eval_totals(*few, metric)
        assert sum(ours[0]) > 1500


def test_one_of_the_boundaries_must_be_compared() -> None:
    with pytest.raises(UserError, match="either 'evaluate_onset' or 'evaluate_offset' must stay true") as refused:
        TuningTask.build(
            small_simulation(2, 1), metric={"metric": "event_based", "evaluate_onset": False, "evaluate_offset": False}
        )
    assert "\n" not in str(refused.value)
