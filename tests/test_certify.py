"""The certificate: any planted difference between the tuning, the events and sed_eval is an error."""

from __future__ import annotations

import json

import pytest
import torch
from cases import sed_eval_scorer, small_simulation

from rl_postproc import certify as certify_module
from rl_postproc.certify import CertificationError, certify, sed_eval_counts
from rl_postproc.events import Events
from rl_postproc.metrics import EventBased
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import decode_events
from rl_postproc.sweep import count_decisions

METRIC = EventBased()


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(n_clips=12)


@pytest.fixture(scope="module")
def events(scores: ScoreSet) -> Events:
    return decode_events(scores, scores.scores > 0.5)


def tuned(scores: ScoreSet) -> torch.Tensor:
    return torch.stack([x.sum(0) for x in count_decisions(scores, METRIC, scores.scores > 0.5)])


def test_equal_counts_are_certified_with_the_tools_name(scores: ScoreSet, events: Events) -> None:
    report = certify(scores.require_references(), events, METRIC, tuned(scores))
    assert report.certified_by.startswith("sed_eval 0.")
    assert torch.equal(torch.stack([report.true_positives, report.estimated]), tuned(scores))
    assert int(report.true_positives.sum()) > 0


@pytest.mark.parametrize("row", [0, 1])
def test_a_difference_between_tuning_and_events_is_an_error(scores: ScoreSet, events: Events, row: int) -> None:
    wrong = tuned(scores)
    wrong[row, 1] += 1
    with pytest.raises(CertificationError, match="sweep counted"):
        certify(scores.require_references(), events, METRIC, wrong)


def test_a_lost_event_is_an_error(scores: ScoreSet, events: Events) -> None:
    fewer = Events.from_rows(events.rows()[1:], events.clip_ids, events.classes)
    with pytest.raises(CertificationError):
        certify(scores.require_references(), fewer, METRIC, tuned(scores))


@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 1)])
def test_a_difference_from_sed_evals_counts_is_an_error(
    scores: ScoreSet, events: Events, place: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*arguments):
        counts, figures = sed_eval_counts(*arguments)
        counts[place] += 1
        return counts, figures

    monkeypatch.setattr(certify_module, "sed_eval_counts", planted)
    with pytest.raises(CertificationError, match="sed_eval counted"):
        certify(scores.require_references(), events, METRIC)


@pytest.mark.parametrize("name", ["macro_f1", "micro_f1"])
def test_a_difference_from_sed_evals_figures_is_an_error(
    scores: ScoreSet, events: Events, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def planted(*arguments):
        counts, figures = sed_eval_counts(*arguments)
        return counts, replace(figures, **{name: getattr(figures, name) + 1e-6})

    monkeypatch.setattr(certify_module, "sed_eval_counts", planted)
    with pytest.raises(CertificationError):
        certify(scores.require_references(), events, METRIC)


def test_a_wrong_matching_of_ours_is_an_error(
    scores: ScoreSet, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    matched = certify_module.match_events(scores.require_references(), events, METRIC)
    matched[int(matched.sum(1).argmax()), int(matched.sum(0).argmax())] += 1
    monkeypatch.setattr(certify_module, "match_events", lambda *_: matched)
    with pytest.raises(CertificationError):
        certify(scores.require_references(), events, METRIC)


def test_the_tolerant_comparison_says_that_nobody_certifies_it(scores: ScoreSet, events: Events) -> None:
    report = certify(scores.require_references(), events, METRIC.model_copy(update={"comparison": "tolerant"}))
    assert report.certified_by.startswith("none")


def test_sed_evals_figures_are_passed_on_as_they_are(scores: ScoreSet, events: Events) -> None:
    _, figures = sed_eval_counts(scores.require_references(), events, METRIC)
    scorer = sed_eval_scorer(scores.require_references(), events, METRIC)
    assert figures.macro_f1 == scorer.results_class_wise_average_metrics()["f_measure"]["f_measure"]
    assert figures.micro_f1 == scorer.results_overall_metrics()["f_measure"]["f_measure"]


def test_the_json_form_is_strict_json_with_null_for_a_class_without_references() -> None:
    references = Events.from_rows([("c0", 0.0, 1.0, "k0")], ["c0"], ["k0", "k1"])
    estimates = Events.from_rows([("c0", 0.0, 1.0, "k0"), ("c0", 0.0, 1.0, "k1")], ["c0"], ["k0", "k1"])
    found = json.loads(json.dumps(certify(references, estimates, METRIC).to_json(), allow_nan=False))
    assert found["classes"]["k0"] == {"tp": 1, "estimated": 1, "reference": 1, "f1": 1.0}
    assert found["classes"]["k1"] == {"tp": 0, "estimated": 1, "reference": 0, "f1": None}
    assert found["macro_f1"] == 1.0
    assert found["micro_f1"] == pytest.approx(2 / 3)


def test_two_empty_sides_are_certified_as_zero() -> None:
    none = Events.from_rows([], ["c0"], ["k0"])
    report = certify(none, none, METRIC)
    assert (report.scored.macro_f1, report.scored.micro_f1) == (0.0, 0.0)
    assert report.scored.class_f1.isnan().all()
