"""The event-based metric against sed_eval itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases import count_hits, decode_events, make_set, maximum_matching, runs, sed_eval_scorer, sed_eval_totals
from event_cases import assert_equal_counts, cases, collars, random_case
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rl_postproc.counts.grid import count_decisions
from rl_postproc.data.events import Events
from rl_postproc.metrics import EventBased, total_counts
from rl_postproc.metrics.certify import evaluate
from rl_postproc.metrics.event_based.event_lists import match_events
from rl_postproc.metrics.event_based.sed_eval import sed_eval_counts


@settings(max_examples=2500)
@given(cases, collars)
def test_counts_equal_sed_eval_on_random_cases(case: dict[str, Any], metric: EventBased) -> None:
    assert_equal_counts(*random_case(case), metric)


@settings(max_examples=800)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from((0.02, 0.05, 0.064, 0.1)), st.integers(3, 8), st.integers(6, 48), collars
)
def test_counts_equal_sed_eval_when_many_references_compete_for_many_short_runs(
    seed: int, hop: float, n_references: int, width: int, metric: EventBased
) -> None:
    rng = np.random.default_rng(seed)
    decisions = rng.random((2, 2, width)) < rng.choice([0.3, 0.5, 0.7])
    rows = []
    for clip, label in np.ndindex(2, 2):
        centre = rng.random() * width * hop
        for _ in range(n_references):
            onset = max(0.0, centre + rng.integers(-6, 7) * rng.choice([0.05, hop, 0.031]))
            rows.append((f"c{clip}", onset, onset + rng.integers(0, 9) * rng.choice([0.05, hop, 0.1]), f"k{label}"))
    scores = make_set(np.zeros(decisions.shape), rows, hop=hop)
    assert_equal_counts(scores, torch.from_numpy(decisions), metric)


times = st.integers(0, 12).map(lambda tenth: tenth / 10)


@settings(max_examples=400)
@given(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.lists(st.tuples(times, times).map(sorted), max_size=6),
    st.sampled_from((0.1, 0.05, 0.2)),
)
@example([False] * 9 + [True], [[0.7, 1.0]], 0.1)
@example([False] * 3 + [True], [[0.1, 0.4]], 0.1)
def test_counts_equal_sed_eval_on_tenths_of_a_second(
    active: list[bool], references: list[list[float]], hop: float
) -> None:
    rows = [("c0", onset, offset, "k0") for onset, offset in references]
    scores = make_set(np.zeros((1, 1, len(active))), rows, hop=hop)
    assert_equal_counts(scores, torch.tensor(active)[None, None], EventBased())


@settings(max_examples=300)
@given(cases, collars)
def test_figures_equal_sed_evals_and_are_certified(case: dict[str, Any], metric: EventBased) -> None:
    scores, decisions = random_case(case)
    references, estimates = scores.require_references(), decode_events(scores, decisions)
    scorer = sed_eval_scorer(references, estimates, metric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        macro = scorer.results_class_wise_average_metrics()["f_measure"]["f_measure"]
        micro = scorer.results_overall_metrics()["f_measure"]["f_measure"]
    report = evaluate(references, estimates, metric, total_counts(count_decisions(scores, metric, decisions)))
    assert report.certified_by.startswith("sed_eval")
    assert report.score.macro == pytest.approx(np.nan_to_num(macro), abs=1e-12)
    assert report.score.micro == pytest.approx(np.nan_to_num(micro), abs=1e-12)
    counts, _ = sed_eval_counts(references, estimates, metric)
    assert counts.tolist() == sed_eval_totals(references, estimates, metric)


@settings(max_examples=300)
@given(cases, collars)
def test_tolerant_counts_equal_a_plain_matching_of_rounded_differences(
    case: dict[str, Any], metric: EventBased
) -> None:
    metric = metric.model_copy(update={"comparison": "tolerant"})
    scores, decisions = random_case(case)
    references, estimates = scores.require_references(), decode_events(scores, decisions)

    def suits(ref: tuple[str, float, float, str], est: tuple[str, float, float, str]) -> bool:
        collar = max(metric.t_collar, metric.percentage_of_length * (ref[2] - ref[1]))
        near = round(abs(ref[1] - est[1]) - metric.t_collar, 6) <= 0 and round(abs(ref[2] - est[2]) - collar, 6) <= 0
        return ref[0] == est[0] and ref[3] == est[3] and near

    rows = estimates.to_rows()
    expected = maximum_matching([[i for i, est in enumerate(rows) if suits(ref, est)] for ref in references.to_rows()])
    assert int(count_hits(scores, metric, decisions)[0].sum()) == expected
    assert int(match_events(references, estimates, metric).sum()) == expected


@pytest.mark.parametrize(
    ("onset", "estimated_onset", "exact", "tolerant"),
    [(0.7, 0.9, 0, 1), (0.1, 0.3, 1, 1), (0.7, 0.8, 1, 1), (0.7, 1.0, 0, 0)],
)
def test_a_difference_of_exactly_the_collar_is_a_matter_of_the_comparison(
    onset: float, estimated_onset: float, exact: int, tolerant: int
) -> None:
    scores = make_set(np.zeros((1, 1, 20)), [("c0", onset, 2.0, "k0")])
    decisions = (torch.arange(20) >= round(estimated_onset * 10))[None, None]
    for comparison, expected in (("exact", exact), ("tolerant", tolerant)):
        metric = EventBased.model_validate({"comparison": comparison})
        assert int(count_hits(scores, metric, decisions)[0]) == expected


def test_a_silent_class_with_references_scores_zero_and_one_without_references_only_enters_micro() -> None:
    rows = [("c0", 0.0, 0.5, "k0"), ("c0", 0.0, 0.5, "k1")]
    scores = make_set(np.zeros((1, 4, 10)), rows)  # k0 is found, k1 silent, k2 a false alarm, k3 neither
    decisions = torch.zeros(1, 4, 10, dtype=torch.bool)
    decisions[0, 0, :5] = decisions[0, 2, 3:6] = True
    scored = EventBased().summarise(total_counts(count_decisions(scores, EventBased(), decisions)))
    assert scored.by_class[:2].tolist() == [1.0, 0.0]
    assert scored.by_class[2:].isnan().all()
    assert scored.macro == 0.5
    assert scored.micro == pytest.approx(2 * 1 / (2 + 2))
    assert_equal_counts(scores, decisions, EventBased())


def test_false_alarms_of_a_clip_without_events_count() -> None:
    scores = make_set(np.zeros((2, 1, 10)), [("c0", 0.0, 0.5, "k0")])
    decisions = torch.zeros(2, 1, 10, dtype=torch.bool)
    decisions[:, 0, :5] = True
    scored = EventBased().summarise(total_counts(count_decisions(scores, EventBased(), decisions)))
    assert scored.macro == pytest.approx(2 / 3)


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("width", [1, 2, 17])
def test_all_active_and_all_silent_tracks(active: bool, width: int) -> None:
    rows = [("c0", 0.0, width * 0.1, "k0"), ("c1", 0.0, 0.0, "k0"), ("c1", 0.0, width * 0.1, "k1")]
    scores = make_set(np.full((2, 2, width), 0.5), rows)
    assert_equal_counts(scores, torch.full((2, 2, width), active), EventBased())


def test_decoded_events_are_the_runs_of_active_frames() -> None:
    scores, decisions = random_case({
        "seed": 5, "n_clips": 3, "n_classes": 6, "width": 24, "hop": 0.1, "grid": "hop", "most": 2, "density": 0.5,
        "own_edges": True, "lengths": "random", "ends": "inside",
    })  # fmt: skip
    expected = []
    for clip, label in np.ndindex(3, 6):
        n = int(scores.n_frames[clip])
        for start, end in runs(decisions[clip, label, :n].tolist()):
            onset, offset = float(scores.edges[clip, start]), float(scores.edges[clip, end + 1])
            offset = min(offset, float(scores.durations[clip]))
            expected.append((f"c{clip}", round(onset, 6), round(offset, 6), f"k{label}"))
    assert decode_events(scores, decisions).to_rows() == expected
    assert len(expected) > 10


def test_counts_of_an_events_table_with_overlapping_estimates_equal_sed_eval() -> None:
    rng = np.random.default_rng(3)
    tables = []
    for _ in range(2):
        onset = rng.integers(0, 30, 60) / 10
        rows = [(f"c{rng.integers(4)}", a, a + rng.integers(0, 12) / 10, f"k{rng.integers(2)}") for a in onset.tolist()]
        tables.append(Events.from_rows(rows, [f"c{i}" for i in range(4)], ["k0", "k1"]))
    references, estimates = tables
    matched = match_events(references, estimates, EventBased())
    assert matched.sum(0).tolist() == sed_eval_totals(references, estimates, EventBased())[0]
    assert matched.sum() > 10
