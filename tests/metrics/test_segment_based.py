"""The segment-based metric against sed_eval itself."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import count_hits, decode_events, make_set, small_simulation
from event_cases import cases, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from rl_postproc.agents import make_agent

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.levels import tabulate
from rl_postproc.data.events import Events
from rl_postproc.formats import read_event_pair
from rl_postproc.metrics import SegmentBased, total_counts
from rl_postproc.metrics.base import CertificationError
from rl_postproc.metrics.certify import evaluate
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.testing import check_metric
from rl_postproc.utils.errors import UserError

LENGTHS = (1.0, 0.1, 0.5, 0.3, 0.064, 0.02, 2.5)
KEYS = ("Ntp", "Nsys", "Nref")


def rows_of(events: Events) -> list[list[dict[str, Any]]]:
    rows: list[list[dict[str, Any]]] = [[] for _ in events.clip_ids]
    for clip, (name, onset, offset, label) in zip(events.clip.tolist(), events.to_rows(), strict=True):
        rows[clip].append({"filename": name, "onset": onset, "offset": offset, "event_label": label})
    return rows


def sed_eval_counts(references: Events, estimates: Events, length: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts each clip with sed_eval: ``[3, clip, class]``, and substitutions, deletions, insertions ``[clip, 3]``."""
    counts = torch.zeros(3, len(references.clip_ids), len(references.classes), dtype=torch.int64)
    errors = torch.zeros(len(references.clip_ids), 3, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sed_eval

        scorer = sed_eval.sound_event.SegmentBasedMetrics(list(references.classes), time_resolution=length)
        for clip, (wanted, found) in enumerate(zip(rows_of(references), rows_of(estimates), strict=True)):
            if wanted or found:
                scorer.reset().evaluate(wanted, found)
                counts[:, clip] = torch.tensor([[int(own[key]) for own in scorer.class_wise.values()] for key in KEYS])
                errors[clip] = torch.tensor([int(scorer.overall[key]) for key in "SDI"])
    return counts, errors


def random_events(rng: np.random.Generator, n_clips: int, length: float) -> Events:
    """Draws up to four events a clip, overlapping at will, of which many begin or end where segments do, or are empty."""
    n = 4 * n_clips
    step = rng.choice([0.1, length, length / 2, 0.064, 0.001], (2, n))
    onset, duration = rng.integers(0, 12, (2, n)) * step
    shifted = rng.random((2, n)) < 0.2
    onset, duration = onset + rng.random(n) * shifted[0], duration + rng.random(n) * shifted[1]
    offset = onset + duration
    onset, offset = (np.where(rng.random(n) < 0.5, time.round(6), time) for time in (onset, offset))
    clip, label = rng.integers(0, n_clips, n), rng.integers(0, 3, n)
    columns = (clip, label, onset, np.maximum(onset, offset))
    return Events.from_tensors([f"c{i}" for i in range(n_clips)], "abc", *map(torch.from_numpy, columns))


def assert_equal_to_sed_eval(n_clips: int, length: float, seed: int) -> None:
    rng, metric = np.random.default_rng(seed), SegmentBased(segment_length=length)
    references, estimates = (random_events(rng, n_clips, length) for _ in range(2))
    expected, errors = sed_eval_counts(references, estimates, length)
    counts = metric.count(references, estimates)
    for name, own in zip(metric.columns, expected, strict=True):
        assert torch.equal(counts[name], own), name
    overall = metric.overall(references, estimates)
    assert [overall[name] for name in ("substitutions", "deletions", "insertions")] == errors.sum(0).tolist()
    for clip in rng.integers(0, n_clips, 20).tolist():
        alone = [events.select(torch.tensor([clip])) for events in (references, estimates)]
        assert list(metric.overall(*alone).values())[:3] == errors[clip].tolist()


@pytest.mark.parametrize("length", LENGTHS)
def test_counts_equal_sed_eval_on_random_clips(length: float) -> None:
    assert_equal_to_sed_eval(400, length, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("length", LENGTHS)
def test_counts_equal_sed_eval_on_a_hundred_thousand_random_clips(length: float) -> None:
    assert_equal_to_sed_eval(14_300, length, seed=1)


@settings(max_examples=200)
@given(cases, st.sampled_from((*LENGTHS, 0.007, 30.0)))
def test_the_fast_path_counts_what_the_events_count(case: dict[str, Any], length: float) -> None:
    scores, decisions = random_case(case)
    metric = SegmentBased(segment_length=length)
    counts = metric.count(scores.require_references(), decode_events(scores, decisions))
    hits, found = count_hits(scores, metric, decisions)
    assert torch.equal(counts["true_positives"], hits) and torch.equal(counts["estimated"], found)


@pytest.mark.parametrize("length", [1.0, 0.064, 0.25])
def test_the_metric_conforms(length: float) -> None:
    def oracle(references: Events, estimates: Events) -> dict[str, torch.Tensor]:
        return dict(zip(SegmentBased.columns, sed_eval_counts(references, estimates, length)[0], strict=True))

    check_metric(SegmentBased(segment_length=length), oracle, seeds=(0,))
    check_metric(SegmentBased(segment_length=length), seeds=(1,))


def test_more_segments_than_frames_of_long_clips_are_counted_without_the_fast_path() -> None:
    scores = make_set(np.array([[[0.2, 0.9, 0.6]]]), [("c0", 5.0, 25.0, "k0")], hop=20.0)
    metric = SegmentBased(segment_length=0.001)
    assert metric.prepare(scores) is None
    table = TuningTask.build(scores, [{"stage": "threshold", "threshold": [0.1, 0.5]}], metric.model_dump()).table
    assert [table.of_choice(torch.tensor([i]))["estimated"].tolist() for i in (0, 1)] == [[[60_000]], [[40_000]]]
    assert table.of_choice(torch.tensor([1]))["true_positives"].tolist() == [[5_000]]


STACK = [{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.7]}]


@pytest.mark.parametrize("length", [1.0, 0.05])
def test_grid_search_equals_trying_every_candidate(length: float) -> None:
    task = TuningTask.build(small_simulation(12, 3), STACK, {"metric": "segment_based", "segment_length": length})
    references, values = task.scores.require_references(), task.stack.space.values
    by_class = torch.stack([
        task.metric.summarise(total_counts(task.metric.count(references, task.stack.events(task.scores, v)))).by_class
        for v in values
    ])  # fmt: skip
    fit = make_agent("grid_search").fit(task, 0)
    report = evaluate(references, fit.post_processor.apply(task.scores), task.metric)
    assert report.score.by_class.tolist() == by_class.amax(0).tolist()
    assert report.certified_by.startswith("sed_eval")
    assert len(by_class.unique()) > 10


def test_every_threshold_is_counted() -> None:
    scores, metric = small_simulation(8, 2), SegmentBased(segment_length=0.5)
    grid = [0.1, 0.3, 0.5, 0.7]
    stack = Stack.from_config([STACK[0], {"stage": "threshold", "threshold": grid}])
    table = sweep_all_thresholds(scores, stack, metric).table(grid)
    for candidate, values in enumerate(stack.space.values):
        counts = metric.count(scores.require_references(), stack.events(scores, values))
        tabled = table.of_choice(torch.full((2,), candidate))
        assert all(torch.equal(counts[name], tabled[name]) for name in metric.columns)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.sampled_from((1.0, 0.1, 0.3)))
def test_every_level_counts_what_is_left_there(seed: int, length: float) -> None:
    rng, metric = np.random.default_rng(seed), SegmentBased(segment_length=length)
    references, estimates = (random_events(rng, 3, length).of_classes(["a"]) for _ in range(2))
    levels = torch.from_numpy(rng.integers(1, 5, len(estimates)))
    intervals = metric.level_intervals(references, estimates, levels)
    for at in range(5):
        kept = levels > at
        columns = (getattr(estimates, name)[kept] for name in ("clip", "label", "onset", "offset"))
        left = metric.count(references, Events.from_tensors(estimates.clip_ids, estimates.classes, *columns))
        for name, part in intervals.items():
            assert torch.equal(tabulate(part, 3, 5, torch.int32)[:, at], left[name][:, 0].int()), (name, at)


def test_substitutions_are_misses_and_false_alarms_of_one_segment() -> None:
    references = Events.from_rows([("a", 0.0, 3.0, "x")], ["a"], ["x", "y"])
    estimates = Events.from_rows([("a", 0.0, 1.0, "x"), ("a", 1.0, 2.0, "y"), ("a", 5.0, 6.0, "y")], ["a"], ["x", "y"])
    told = evaluate(references, estimates, SegmentBased()).to_json()
    assert told["overall"] == {
        "substitutions": 1, "deletions": 1, "insertions": 1, "error_rate": 1.0,
        "substitution_rate": 1 / 3, "deletion_rate": 1 / 3, "insertion_rate": 1 / 3,
    }  # fmt: skip
    # Alone, the class that is there has two deletions of three segments; the other has no references, and no rate.
    assert told["macro_error_rate"] == pytest.approx(2 / 3) and told["micro_error_rate"] == 1.0
    assert told["classes"]["y"]["error_rate"] is None


def test_nothing_at_all_is_certified() -> None:
    none = Events.from_rows([], ["a"], ["x"])
    report = evaluate(none, none, SegmentBased())
    assert report.score.micro == 0.0 and report.overall["error_rate"] == 0.0
    assert report.certified_by.startswith("sed_eval")


@pytest.mark.parametrize("length", [1.0, 0.1])
def test_figures_on_real_detections_are_those_of_sed_eval(data_root: Path, length: float) -> None:
    folder = data_root / "desed_validation"
    detections = folder / "baseline2021_student" / "predictions_th_0.5.csv"
    references, found = read_event_pair(detections, folder / "ground_truth.tsv")
    told = evaluate(references, found, SegmentBased(segment_length=length)).to_json()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sed_eval

        scorer = sed_eval.sound_event.SegmentBasedMetrics(list(references.classes), time_resolution=length)
        for wanted, detected in zip(rows_of(references), rows_of(found), strict=True):
            scorer.evaluate(wanted, detected)
    overall, average = scorer.results_overall_metrics(), scorer.results_class_wise_average_metrics()
    for ours, theirs in (("micro", overall), ("macro", average)):
        for name in ("precision", "recall"):
            assert told[f"{ours}_{name}"] == pytest.approx(theirs["f_measure"][name], abs=1e-9)
        assert told[f"{ours}_f1"] == pytest.approx(theirs["f_measure"]["f_measure"], abs=1e-9)
        for name in ("error_rate", "deletion_rate", "insertion_rate"):
            assert told[f"{ours}_{name}"] == pytest.approx(theirs["error_rate"][name], abs=1e-9)
    assert told["overall"]["substitution_rate"] == pytest.approx(overall["error_rate"]["substitution_rate"], abs=1e-9)
    assert 0.5 < told["micro_f1"] < 0.9


@pytest.mark.parametrize("planted", ["count", "overall"])
def test_a_wrong_count_of_ours_is_an_error(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = small_simulation(4, 2)
    references, estimates = scores.require_references(), decode_events(scores, scores.scores > 0.5)
    real = getattr(SegmentBased, planted)

    def wrong(self: SegmentBased, *tables: Events) -> dict[str, Any]:
        found = dict(real(self, *tables))
        name = {"count": "true_positives", "overall": "substitutions"}[planted]
        return {**found, name: found[name] + 1}

    monkeypatch.setattr(SegmentBased, planted, wrong)
    with pytest.raises(CertificationError, match="sed_eval counted"):
        evaluate(references, estimates, SegmentBased())


def test_many_short_segments_are_certified_on_a_sample_of_clips() -> None:
    scores = small_simulation(16, 2)
    references, few = scores.require_references(), SegmentBased(segment_length=0.001)
    events = decode_events(scores, scores.scores > 0.5)
    assert evaluate(references, events, few).certified_by.endswith(version("sed_eval"))

    class Hurried(SegmentBased):
        most_certified = 3_000

    said = evaluate(references, events, Hurried(segment_length=0.001)).certified_by
    assert said.startswith("sed_eval") and said.endswith("of 16 clips")
    assert evaluate(references, events, Hurried(segment_length=1.0)).certified_by.endswith(version("sed_eval"))


def test_a_segment_has_a_length() -> None:
    with pytest.raises(UserError, match="segment_length"):
        TuningTask.build(small_simulation(2, 1), metric={"metric": "segment_based", "segment_length": 0})
