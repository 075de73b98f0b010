"""The certificate: any planted difference between the tuning, the events and sed_eval is an error."""

from __future__ import annotations

import json
from typing import ClassVar, Literal

import pytest
import torch
from cases import decode_events, sed_eval_scorer, small_simulation

from rl_postproc.counts.grid import count_decisions
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Counts, EventBased, Metric, Tagging
from rl_postproc.metrics.certify import CertificationError, evaluate
from rl_postproc.metrics.event_based import metric as metric_module
from rl_postproc.metrics.event_based import sed_eval as oracle_module
from rl_postproc.metrics.event_based.sed_eval import sed_eval_counts

METRIC = EventBased()


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(n_clips=12)


@pytest.fixture(scope="module")
def events(scores: ScoreSet) -> Events:
    return decode_events(scores, scores.scores > 0.5)


def tuned(scores: ScoreSet) -> dict[str, torch.Tensor]:
    """Returns what the fast path counts, summed over clips."""
    return {name: x.sum(0) for name, x in count_decisions(scores, METRIC, scores.scores > 0.5).items()}


def test_equal_counts_are_certified_with_the_tools_name(scores: ScoreSet, events: Events) -> None:
    report = evaluate(scores.require_references(), events, METRIC, tuned(scores))
    assert report.certified_by.startswith("sed_eval 0.")
    assert list(report.counts) == ["true_positives", "estimated", "reference"]
    assert all(torch.equal(report.counts[name], column) for name, column in tuned(scores).items())
    assert int(report.counts["true_positives"].sum()) > 0
    assert evaluate(scores.require_references(), events).to_json() == report.to_json()


@pytest.mark.parametrize("column", EventBased.columns)
def test_a_difference_between_tuning_and_events_is_an_error(scores: ScoreSet, events: Events, column: str) -> None:
    wrong = tuned(scores)
    wrong[column][1] += 1
    with pytest.raises(CertificationError, match="sweep counted"):
        evaluate(scores.require_references(), events, METRIC, wrong)


def test_a_lost_event_is_an_error(scores: ScoreSet, events: Events) -> None:
    fewer = Events.from_rows(events.to_rows()[1:], events.clip_ids, events.classes)
    with pytest.raises(CertificationError):
        evaluate(scores.require_references(), fewer, METRIC, tuned(scores))


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 1)])
def test_a_difference_from_sed_evals_counts_is_an_error(
    scores: ScoreSet, events: Events, place: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*arguments):
        counts, figures = sed_eval_counts(*arguments)
        counts[place] += 1
        return counts, figures

    monkeypatch.setattr(oracle_module, "sed_eval_counts", planted)
    with pytest.raises(CertificationError, match="sed_eval counted"):
        evaluate(scores.require_references(), events, METRIC)


@pytest.mark.parametrize("name", ["macro", "micro"])
def test_a_difference_from_sed_evals_figures_is_an_error(
    scores: ScoreSet, events: Events, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def planted(*arguments):
        counts, figures = sed_eval_counts(*arguments)
        return counts, replace(figures, **{name: getattr(figures, name) + 1e-6})

    monkeypatch.setattr(oracle_module, "sed_eval_counts", planted)
    with pytest.raises(CertificationError):
        evaluate(scores.require_references(), events, METRIC)


def test_a_wrong_matching_of_ours_is_an_error(
    scores: ScoreSet, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    matched = metric_module.match_events(scores.require_references(), events, METRIC)
    matched[int(matched.sum(1).argmax()), int(matched.sum(0).argmax())] += 1
    monkeypatch.setattr(metric_module, "match_events", lambda *_: matched)
    with pytest.raises(CertificationError, match="sed_eval counted"):
        evaluate(scores.require_references(), events, METRIC)


def test_the_tolerant_comparison_says_that_nobody_certifies_it(scores: ScoreSet, events: Events) -> None:
    report = evaluate(scores.require_references(), events, METRIC.model_copy(update={"comparison": "tolerant"}))
    assert report.certified_by.startswith("none")


def test_sed_evals_figures_are_passed_on_as_they_are(scores: ScoreSet, events: Events) -> None:
    _, figures = sed_eval_counts(scores.require_references(), events, METRIC)
    scorer = sed_eval_scorer(scores.require_references(), events, METRIC)
    assert figures.macro == scorer.results_class_wise_average_metrics()["f_measure"]["f_measure"]
    assert figures.micro == scorer.results_overall_metrics()["f_measure"]["f_measure"]


def test_the_json_form_is_strict_json_with_null_for_a_class_without_references() -> None:
    references = Events.from_rows([("c0", 0.0, 1.0, "k0")], ["c0"], ["k0", "k1"])
    estimates = Events.from_rows([("c0", 0.0, 1.0, "k0"), ("c0", 0.0, 1.0, "k1")], ["c0"], ["k0", "k1"])
    found = json.loads(json.dumps(evaluate(references, estimates, METRIC).to_json(), allow_nan=False))
    assert found["classes"]["k0"] == {
        "true_positives": 1, "estimated": 1, "reference": 1, "precision": 1.0, "recall": 1.0, "f1": 1.0
    }  # fmt: skip
    assert found["classes"]["k1"] == {
        "true_positives": 0, "estimated": 1, "reference": 0, "precision": None, "recall": None, "f1": None
    }  # fmt: skip
    assert found["macro_f1"] == 1.0
    assert found["micro_f1"] == pytest.approx(2 / 3)


def test_two_empty_sides_are_certified_as_zero() -> None:
    none = Events.from_rows([], ["c0"], ["k0"])
    report = evaluate(none, none, METRIC)
    assert (report.score.macro, report.score.micro) == (0.0, 0.0)
    assert report.score.by_class.isnan().all()


def test_precision_and_recall_are_those_of_sed_eval(scores: ScoreSet) -> None:
    # A class without output among the others, whose precision is 0 there as here.
    active = scores.scores > 0.5
    active[:, 1] = False
    found = decode_events(scores, active)
    report = evaluate(scores.require_references(), found, METRIC).to_json()
    oracle = sed_eval_scorer(scores.require_references(), found, METRIC)
    average, overall = oracle.results_class_wise_average_metrics(), oracle.results_overall_metrics()
    assert 0 < report["macro_precision"] != report["macro_recall"] > 0
    for name in ("precision", "recall"):
        assert report[f"macro_{name}"] == pytest.approx(average["f_measure"][name])
        assert report[f"micro_{name}"] == pytest.approx(overall["f_measure"][name])
        for label, figures in report["classes"].items():
            assert figures[name] == pytest.approx(oracle.results_class_wise_metrics()[label]["f_measure"][name])


class Silent(Tagging):
    """For tests: another set of counts, another score, and no outside tool."""

    metric: Literal["test_silent"] = "test_silent"
    columns: ClassVar[tuple[str, ...]] = ("quiet", "loud")
    score_name: ClassVar[str] = "quietness"

    def count(self, references: Events, estimates: Events) -> dict[str, torch.Tensor]:
        loud = estimates.counts()
        return {"quiet": (loud == 0).long(), "loud": loud}

    def score(self, counts: Counts) -> torch.Tensor:
        return counts["quiet"] / (counts["quiet"] + counts["loud"])

    certify = Metric.certify


def test_the_json_form_has_the_columns_and_the_score_of_its_metric() -> None:
    estimates = Events.from_rows([("c0", 0.0, 1.0, "k0"), ("c0", 2.0, 3.0, "k0")], ["c0", "c1"], ["k0", "k1"])
    report = evaluate(estimates, estimates, Silent())
    assert report.to_json() == {
        "macro_quietness": pytest.approx((1 / 3 + 1) / 2),
        "micro_quietness": pytest.approx(3 / 5),
        "classes": {
            "k0": {"quiet": 1, "loud": 2, "quietness": pytest.approx(1 / 3)},
            "k1": {"quiet": 2, "loud": 0, "quietness": 1.0},
        },
        "certified_by": "none: the metric 'test_silent' names no outside tool",
    }
    with pytest.raises(CertificationError, match="sweep counted"):
        evaluate(estimates, estimates, Silent(), {"quiet": torch.tensor([1, 2]), "loud": torch.tensor([2, 1])})
