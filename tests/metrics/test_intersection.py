"""Intersection-based counts and PSDS against sed_scores_eval and psds_eval."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc import Events, ScoreSet, SimulationConfig, Stack, read_scores, simulate
from rl_postproc.metrics import IntersectionBased
from rl_postproc.metrics.intersection.frame_scores import stretches_of_scores
from rl_postproc.metrics.intersection.oracle import oracle_counts
from rl_postproc.metrics.intersection.psds import SCENARIOS, psds
from rl_postproc.metrics.intersection.ranked_counts import Stretches, count_ranked, with_length
from rl_postproc.metrics.intersection.ranking import Psds1, Psds2
from rl_postproc.metrics.ranking.evaluate import evaluate_ranking
from rl_postproc.task import TuningTask
from rl_postproc.testing import check_metric, check_ranking

CLIPS, CLASSES = ("a.wav", "b.wav"), ("Cat", "Dog")


def stem(name: str) -> str:
    return name.removesuffix(".wav")


def peer_psds(scores: ScoreSet, scenario: int) -> float:
    """PSDS of sed_scores_eval at all thresholds."""
    create = pytest.importorskip("sed_scores_eval").base_modules.scores.create_score_dataframe
    from sed_scores_eval.intersection_based import psds as their_psds

    frames, truth = {}, {stem(clip): [] for clip in scores.clip_ids}
    edges = scores.edges.expand(scores.n_clips, -1)
    for i, clip in enumerate(scores.clip_ids):
        n = int(scores.n_frames[i])
        times = edges[i, : n + 1].clamp(max=float(scores.durations[i])).numpy().round(6)
        frames[stem(clip)] = create(scores.scores[i, :, :n].T.double().numpy(), times, list(scores.classes))
    for clip, onset, offset, label in with_length(scores.require_references()).to_rows():
        truth[stem(clip)].append((onset, offset, label))
    seconds = {stem(clip): float(d) for clip, d in zip(scores.clip_ids, scores.durations, strict=True)}
    own = SCENARIOS[scenario]
    cross = {} if own.criteria.cttc is None else {"cttc_threshold": own.criteria.cttc, "alpha_ct": own.alpha_ct}
    return float(their_psds(frames, truth, seconds, dtc_threshold=own.criteria.dtc, gtc_threshold=own.criteria.gtc,
                            alpha_st=own.alpha_st, max_efpr=own.max_efpr, **cross)[0])  # fmt: skip


def own_psds(scores: ScoreSet, scenario: int) -> float:
    own = SCENARIOS[scenario]
    counts = count_ranked(scores.require_references(), stretches_of_scores(scores), scores.durations, own.criteria)
    return psds(counts, own)


@pytest.mark.parametrize(
    "metric", [IntersectionBased(), IntersectionBased(dtc=0.7, gtc=0.7), IntersectionBased(gtc=0.1)]
)
def test_the_metric_conforms_and_equals_sed_scores_eval(metric: IntersectionBased) -> None:
    pytest.importorskip("sed_scores_eval")

    def oracle(references: Events, estimates: Events) -> dict[str, torch.Tensor]:
        hits, false = oracle_counts(references, estimates, metric.criteria)
        return {"true_positives": hits, "false_positives": false, "reference": with_length(references).counts()}

    check_metric(metric, oracle)


@st.composite
def event_lists(draw: st.DrawFn) -> Events:
    """Events of one class that do not overlap, on tenths of a second, so that shares are met exactly."""
    rows = []
    for clip in CLIPS:
        for label in CLASSES:
            cuts = sorted(draw(st.lists(st.integers(0, 100), max_size=8, unique=True)))
            rows += [(clip, a / 10, b / 10, label) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    return Events.from_rows(rows, CLIPS, CLASSES)


@settings(max_examples=300, deadline=None)
@given(event_lists(), event_lists(), st.sampled_from([0.1, 0.5, 0.7, 1.0]), st.sampled_from([0.1, 0.5, 0.7, 1.0]))
def test_counts_equal_sed_scores_eval_on_any_event_list(a: Events, b: Events, dtc: float, gtc: float) -> None:
    pytest.importorskip("sed_scores_eval")
    metric = IntersectionBased(dtc=dtc, gtc=gtc)
    hits, false = oracle_counts(a, b, metric.criteria)
    counts = metric.count(a, b)
    assert torch.equal(counts["true_positives"], hits)
    assert torch.equal(counts["false_positives"], false)
    assert metric.certify(a, b, {name: column.sum(0) for name, column in counts.items()}).startswith("sed_scores_eval")


@pytest.mark.parametrize("scenario", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_psds_of_scores_equals_sed_scores_eval(scenario: int, seed: int) -> None:
    classes = ["Cat", "Dog", "Speech"]
    scores = simulate(SimulationConfig(n_clips=12, classes=classes, clip_seconds=5, seed=seed))
    assert own_psds(scores, scenario) == pytest.approx(peer_psds(scores, scenario), abs=1e-9)


@pytest.mark.parametrize("scenario", [1, 2])
@pytest.mark.parametrize("name", ["desed", "dcase2023"])
def test_psds_of_real_scores_equals_sed_scores_eval(data_root: Path, name: str, scenario: int) -> None:
    scores = real(data_root, name)
    assert own_psds(scores, scenario) == pytest.approx(peer_psds(scores, scenario), abs=1e-9)


def real(data_root: Path, name: str) -> ScoreSet:
    folder = data_root / ("desed_validation" if name == "desed" else "dcase2023_task4a_baseline2")
    if not folder.is_dir():
        pytest.skip(f"needs '{folder}'")
    if name == "desed":
        points = folder / "baseline2021_student/operating_points"
        return read_scores(points, references=folder / "ground_truth.tsv", durations=folder / "durations.tsv")
    return read_scores(folder / "scores", references=folder / "ground_truth.tsv",
                       durations=folder / "audio_durations.tsv", subset=True)  # fmt: skip


@pytest.mark.parametrize("scenario", [1, 2])
def test_psds_of_operating_points_equals_psds_eval(
    data_root: Path, scenario: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    psds_eval, pandas = pytest.importorskip("psds_eval"), pytest.importorskip("pandas")
    # psds_eval 0.5.3 takes int() of an array of one number, which NumPy 2.4 refuses.
    monkeypatch.setattr(psds_eval.psds, "int", lambda x: int(np.asarray(x).item()), raising=False)
    scores = real(data_root, "desed").select(range(0, 1168, 20))
    columns = ["filename", "onset", "offset", "event_label"]
    truth = pandas.DataFrame(scores.require_references().to_rows(), columns=columns)
    seconds = pandas.DataFrame({"filename": scores.clip_ids, "duration": scores.durations.tolist()})
    own = SCENARIOS[scenario]
    judge = psds_eval.PSDSEval(own.criteria.dtc, own.criteria.gtc, own.criteria.cttc or 0.3,
                               ground_truth=truth, metadata=seconds, class_names=list(scores.classes))  # fmt: skip
    thresholds = sorted({float(f.stem.split("_")[-1]) for f in
                         (data_root / "desed_validation/baseline2021_student/operating_points").iterdir()})  # fmt: skip
    for threshold in thresholds:
        active = (scores.scores > threshold) & scores.valid[:, None]
        from rl_postproc.data.track_events import TrackEvents

        found = TrackEvents.from_decisions(active.flatten(0, 1).T, scores.frames)
        table = pandas.DataFrame(found.to_events(scores.clip_ids, scores.classes).to_rows(), columns=columns)
        judge.add_operating_point(table)
    theirs = judge.psds(alpha_ct=own.alpha_ct, alpha_st=own.alpha_st, max_efpr=own.max_efpr).value
    assert own_psds(scores, scenario) == pytest.approx(theirs, abs=1e-6)


def test_psds_of_events_is_that_of_their_lists_at_every_confidence() -> None:
    rng = np.random.default_rng(0)
    references = Events.from_rows(
        [("a.wav", 1, 3, "Cat"), ("a.wav", 5, 6, "Cat"), ("b.wav", 0, 4, "Dog")], CLIPS, CLASSES
    )
    rows = [("a.wav", 1.1, 2.9, "Cat"), ("a.wav", 4, 4.5, "Cat"), ("a.wav", 5, 6, "Cat"), ("b.wav", 0, 1, "Dog"),
            ("b.wav", 1, 4.2, "Dog"), ("b.wav", 6, 7, "Cat")]  # fmt: skip
    events = Events.from_rows(rows, CLIPS, CLASSES)
    events = Events.from_tensors(CLIPS, CLASSES, events.clip, events.label, events.onset, events.offset,
                                 torch.tensor(rng.permutation(6) / 6 + 0.1))  # fmt: skip
    scenario = SCENARIOS[1]
    counts = count_ranked(references, Stretches.of_events(events), torch.tensor([10.0, 10.0]), scenario.criteria)
    metric = IntersectionBased(dtc=0.7, gtc=0.7)
    for level in [-1.0, *events.confidence.tolist()]:
        kept = events.confidence > level
        own = Events(
            CLIPS, CLASSES, *(getattr(events, n)[kept] for n in ("clip", "label", "onset", "offset", "confidence"))
        )
        expected = metric.count(references, own)
        above = counts.value > level
        for name in ("true_positives", "false_positives"):
            total = torch.zeros(2, 2, dtype=torch.int64)
            total.index_put_(
                (counts.clip[above], counts.label[above]), getattr(counts, name)[above].long(), accumulate=True
            )
            assert torch.equal(total, expected[name])


def test_a_perfect_ranking_has_psds_1_and_silence_0() -> None:
    references = Events.from_rows([("a.wav", 1, 3, "Cat"), ("b.wav", 0, 4, "Dog")], CLIPS, CLASSES)
    seconds = torch.tensor([10.0, 10.0], dtype=torch.float64)
    for scenario in SCENARIOS.values():
        perfect = count_ranked(references, Stretches.of_events(references), seconds, scenario.criteria)
        assert math.isclose(psds(perfect, scenario), 1.0)
        none = Events.from_rows([], CLIPS, CLASSES)
        assert psds(count_ranked(references, Stretches.of_events(none), seconds, scenario.criteria), scenario) == 0.0


@pytest.mark.parametrize("metric", [Psds1(), Psds2(), Psds1(dtc=0.5, gtc=0.3, alpha_st=0.0, max_efpr=500.0)])
def test_psds_conforms_as_a_ranking(metric: Psds1) -> None:
    check_ranking(metric)


@pytest.mark.parametrize("metric", [Psds1(), Psds2()])
def test_psds_of_events_with_confidences_is_certified(metric: Psds1) -> None:
    pytest.importorskip("sed_scores_eval")
    scores = simulate(SimulationConfig(n_clips=12, classes=["Cat", "Dog", "Speech"], clip_seconds=5, seed=1))
    stack = Stack.from_config([{"stage": "boxes", "window": 0.4}, {"stage": "confidence", "threshold": 0.05}])
    events = stack.events(scores, stack.space.values[0])
    apart = torch.ones(len(events), dtype=torch.bool)
    same = (events.clip[1:] == events.clip[:-1]) & (events.label[1:] == events.label[:-1])
    apart[1:] = ~(same & (events.onset[1:] <= events.offset[:-1]))
    columns = (getattr(events, name)[apart] for name in ("clip", "label", "onset", "offset", "confidence"))
    found = evaluate_ranking(scores.require_references(), Events(events.clip_ids, events.classes, *columns), metric,
                             scores.durations)  # fmt: skip
    assert found.certified_by.startswith("sed_scores_eval")
    assert 0 < found.score.overall < 1


@pytest.mark.parametrize("metric", [Psds1(), Psds2()], ids=lambda metric: metric.name)
def test_a_class_without_references_is_left_out(metric: Psds1) -> None:
    scores = simulate(SimulationConfig(n_clips=20, n_classes=4))
    names = [*scores.classes]
    references = scores.require_references().of_classes(names[:3]).over(scores.clip_ids, names)
    bare = replace(scores, references=references)
    events = TuningTask.build(scores).stack.events(scores, torch.tensor([0.3, 0.4]))
    events = replace(events, confidence=torch.rand(len(events), generator=torch.Generator().manual_seed(0)))
    for estimates in (bare, events):
        whole = evaluate_ranking(references, estimates, metric, scores.durations)
        known = evaluate_ranking(
            references.of_classes(names[:3]), estimates.of_classes(names[:3]), metric, scores.durations
        )
        assert 0 < whole.score.overall == known.score.overall < 1
        assert whole.score.by_class[:3].tolist() == known.score.by_class.tolist()
        assert math.isnan(whole.score.by_class[3])
        assert whole.score.rates["reference"].tolist() == references.counts().sum(0).tolist()
        pytest.importorskip("sed_scores_eval")
        assert whole.certified_by.startswith("sed_scores_eval")
    nothing = evaluate_ranking(references.of_classes(names[3:]), bare.of_classes(names[3:]), metric, scores.durations)
    assert math.isnan(nothing.score.overall)
    assert nothing.certified_by == "none: there are no references"
    assert nothing.to_json()["psds"] is None
