"""Rankings against scikit-learn, sed_scores_eval and published code, on ties, silence and real scores."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores
from rl_postproc.formats.scores.tags import score_set_of_tags
from rl_postproc.metrics.base import CertificationError
from rl_postproc.metrics.ranking import RankedScore, RankingMetric, evaluate_ranking
from rl_postproc.metrics.ranking import ranks as ranks_module
from rl_postproc.metrics.ranking.clips import DPrime, Lwlrap, MeanAveragePrecision
from rl_postproc.metrics.ranking.mpauc import MeanPartialAuroc
from rl_postproc.metrics.ranking.ranks import partial_auroc
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import DataWarning, UserError

CLIP_METRICS = (MeanAveragePrecision(), Lwlrap(), DPrime())


@st.composite
def tagged(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and tags of few clips and classes, with ties, classes without tags and clips without tags."""
    clips, classes = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    cells = clips * classes
    values = st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.31, 0.5, 0.9, 1.0])
    scores = draw(st.lists(values, min_size=cells, max_size=cells))
    truth = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    return torch.tensor(scores).reshape(clips, classes), torch.tensor(truth).reshape(clips, classes)


@settings(max_examples=120)
@given(tagged())
def test_clip_rankings_equal_scikit_learn(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores = score_set_of_tags(*case)
    for metric in CLIP_METRICS:
        report = evaluate_ranking(scores.require_references(), scores, metric)
        assert report.certified_by.startswith("scikit-learn")
        json.dumps(report.to_json(), allow_nan=False)


def published_lwlrap(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, float]:
    """The organisers' code in plain loops, for scores without ties: value of each class, and of all."""
    precision = np.zeros(truth.shape)
    for clip, tags in enumerate(truth):
        order = np.argsort(-scores[clip])
        hits = 0
        for place, label in enumerate(order):
            if tags[label]:
                hits += 1
                precision[clip, label] = hits / (place + 1)
    with np.errstate(invalid="ignore"):
        by_class = precision.sum(0) / truth.sum(0)
    weight = truth.sum(0) / truth.sum()
    return by_class, float(np.nansum(by_class * weight))


def test_lwlrap_of_each_class_is_that_of_the_published_code() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random((60, 7)) < 0.3, rng.random((60, 7), dtype=np.float32)
    truth[:, 6] = False
    value = Lwlrap().of_tags(torch.from_numpy(scores), torch.from_numpy(truth))
    by_class, overall = published_lwlrap(truth, scores)
    assert np.allclose(value.by_class, by_class, equal_nan=True, rtol=0, atol=1e-12)
    assert value.overall == pytest.approx(overall, abs=1e-12)


def test_d_prime_separates_two_normal_distributions_by_what_is_between_their_means() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(40_000) % 2 == 1
    shown = 1 / (1 + np.exp(-(rng.normal(size=40_000) + 1.5 * truth)))
    value = DPrime().of_tags(torch.from_numpy(shown)[:, None].float(), torch.from_numpy(truth)[:, None])
    assert value.overall == pytest.approx(1.5, abs=0.03)
    assert float(value.rates["auroc"][0]) == pytest.approx(roc_auc_score(truth, shown), abs=1e-6)
    perfect = DPrime().of_tags(torch.tensor([[0.1], [0.9]]), torch.tensor([[False], [True]]))
    assert perfect.overall == math.inf


@settings(max_examples=300)
@given(tagged(), st.sampled_from((0.05, 0.1, 0.37, 1.0)))
def test_partial_areas_are_those_under_the_staircase(case: tuple[torch.Tensor, torch.Tensor], limit: float) -> None:
    scores, truth = case
    for k, found in enumerate(partial_auroc(scores, truth, limit).tolist()):
        positives, negatives = int(truth[:, k].sum()), int((~truth[:, k]).sum())
        if not positives or not negatives:
            assert math.isnan(found)
            continue
        area, before, rate = 0.0, 0.0, 0.0
        for threshold in sorted(set(scores[:, k].tolist()), reverse=True):
            above = scores[:, k] >= threshold
            fpr = float((above & ~truth[:, k]).sum()) / negatives
            area += rate * (min(fpr, limit) - min(before, limit))
            before, rate = fpr, float((above & truth[:, k]).sum()) / positives
        assert found == pytest.approx(area / limit, abs=1e-9)


def random_set(seed: int) -> ScoreSet:
    """Scores with ties, on frames that fit no segment, with overlapping references, on clips of several lengths."""
    rng = np.random.default_rng(seed)
    hop = float(rng.choice([0.064, 0.1, 0.7, 1.0, 2.3]))
    scores = np.round(rng.random((4, 3, 12)), 1)
    n_frames = rng.integers(1, 13, 4).tolist()
    rows = []
    for _ in range(12):
        clip, label, onset = int(rng.integers(4)), int(rng.integers(2)), float(rng.integers(0, 20)) * hop / 2
        rows.append((f"c{clip}", onset, onset + float(rng.integers(0, 9)) * 0.25, f"k{label}"))
    seconds = [n * hop - (0.3 * hop if rng.random() < 0.5 else 0.0) for n in n_frames]
    return make_set(scores, rows, hop=hop, n_frames=n_frames, durations=seconds)


BOXES = Stack.from_config([{"stage": "boxes", "window": 0.4}, {"stage": "confidence", "threshold": 0.05}])


@pytest.mark.parametrize("seed", range(25))
def test_mpauc_equals_sed_scores_eval_on_random_scores_and_events(seed: int) -> None:
    pytest.importorskip("sed_scores_eval", reason="needs the extra 'bench'")
    scores = random_set(seed)
    rng = np.random.default_rng(seed)
    metric = MeanPartialAuroc(
        segment_length=float(rng.choice([1.0, 0.3, 0.064, 5.0])), max_fpr=float(rng.choice([0.1, 1]))
    )
    references = scores.require_references()
    for estimates in (scores, BOXES.events(scores, BOXES.space.values[0]), overlapping(scores, rng)):
        certified = evaluate_ranking(references, estimates, metric, scores.durations).certified_by
        assert certified.startswith(("sed_scores_eval", "none: no class has segments"))
    own = metric.value(references, scores, scores.durations)
    assert own.by_class[2].isnan()  # without references


def overlapping(scores: ScoreSet, rng: np.random.Generator) -> Events:
    onset = rng.random(30) * 5
    columns = (
        rng.integers(0, 4, 30),
        rng.integers(0, 3, 30),
        onset,
        onset + rng.integers(0, 4, 30) * 0.5,
        rng.random(30),
    )
    return Events.from_tensors(scores.clip_ids, scores.classes, *map(torch.from_numpy, columns))


def test_mpauc_on_real_scores_is_that_of_sed_scores_eval_on_their_files(data_root: Path) -> None:
    segment_based = pytest.importorskip("sed_scores_eval.segment_based", reason="needs the extra 'bench'")
    io = pytest.importorskip("sed_scores_eval.base_modules.io", reason="needs the extra 'bench'")
    folder = data_root / "dcase2023_task4a_baseline2"
    scores = read_scores(
        folder / "scores", references=folder / "ground_truth.tsv", durations=folder / "audio_durations.tsv", subset=True
    )
    files = io.lazy_sed_scores_loader(folder / "scores")
    truth = io.read_ground_truth_events(folder / "ground_truth.tsv")
    seconds = io.read_audio_durations(folder / "audio_durations.tsv")
    clips = list(files.keys())
    held = {row[2] for clip in clips for row in truth[clip]}
    kept = [name for name in scores.classes if name in held]
    tables = {clip: files[clip][["onset", "offset", *kept]] for clip in clips}
    found, _ = segment_based.auroc(
        tables, {clip: truth[clip] for clip in clips}, {clip: seconds[clip] for clip in clips},
        segment_length=1.0, max_fpr=0.1,
    )  # fmt: skip
    report = evaluate_ranking(scores.require_references(), scores, MeanPartialAuroc())
    assert report.score.overall == pytest.approx(found["mean"], abs=1e-9)
    for name in kept:
        assert report.to_json()["classes"][name]["partial_auroc"] == pytest.approx(found[name], abs=1e-9)
    assert report.certified_by.startswith("sed_scores_eval")
    assert 0.5 < report.score.overall < 1


def test_the_surest_event_of_a_clip_and_the_highest_frame_are_ranked() -> None:
    scores = make_set([[[0.1, 0.9, 0.2]], [[0.4, 0.3, 0.4]]], [("c1", 0.0, 0.1, "k0")])
    rows = (
        torch.tensor([0, 0, 1]),
        torch.tensor([0, 0, 0]),
        torch.tensor([0.0, 0.1, 0.0]),
        torch.tensor([0.1, 0.2, 0.1]),
    )
    events = Events.from_tensors(scores.clip_ids, scores.classes, *rows, torch.tensor([0.1, 0.8, 0.4]))
    for estimates in (scores, events):
        value = MeanAveragePrecision().value(scores.require_references(), estimates)
        assert value.overall == pytest.approx(0.5)


def test_events_that_are_all_equally_sure_are_told() -> None:
    scores = small_simulation(4, 2)
    references = scores.require_references()
    with pytest.warns(DataWarning, match=r"All \d+ events have the confidence 1, so that 'mpauc' ranks"):
        evaluate_ranking(references, references, MeanPartialAuroc(), scores.durations)


def test_segments_need_durations() -> None:
    references = small_simulation(2, 1).require_references()
    with pytest.raises(UserError, match="give --durations"):
        MeanPartialAuroc().value(references, references)


@pytest.mark.parametrize("metric", [*CLIP_METRICS, MeanPartialAuroc()], ids=lambda metric: metric.name)
def test_a_wrong_value_of_ours_is_an_error(metric: RankingMetric, monkeypatch: pytest.MonkeyPatch) -> None:
    if metric.name == "mpauc":
        pytest.importorskip("sed_scores_eval", reason="needs the extra 'bench'")
    real = ranks_module.rank

    def planted(scores: torch.Tensor, truth: torch.Tensor) -> ranks_module.Ranks:
        found = real(scores, truth)
        return found._replace(hits=found.hits + 1, above=found.above + 1)

    monkeypatch.setattr(ranks_module, "rank", planted)
    scores = small_simulation(8, 2)
    with pytest.raises(CertificationError, match="this package"):
        evaluate_ranking(scores.require_references(), scores, metric)


def test_without_sed_scores_eval_nobody_certifies_and_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sed_scores_eval.segment_based", None)
    scores = small_simulation(4, 2)
    report = evaluate_ranking(scores.require_references(), scores, MeanPartialAuroc())
    assert report.certified_by == 'none: sed_scores_eval is not installed (pip install "rl-postproc[bench]")'
    assert 0 < report.score.overall <= 1


def test_of_many_clips_a_sample_is_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MeanAveragePrecision, "most_certified", 5)
    scores = small_simulation(12, 2)
    report = evaluate_ranking(scores.require_references(), scores, MeanAveragePrecision())
    assert report.certified_by.endswith(", on 5 of 12 clips")


def test_nothing_to_rank_has_no_value() -> None:
    none = Events.from_rows([], ["a", "b"], ["x"])
    for metric in CLIP_METRICS:
        told = evaluate_ranking(none, none, metric).to_json()
        assert told[metric.value_name] is None and told["classes"]["x"][metric.class_value_name] is None


@pytest.mark.parametrize("settings", ["mpauc", {"metric": "lwlrap"}])
def test_nothing_is_tuned_for_a_ranking(settings: Any) -> None:
    name = settings if isinstance(settings, str) else settings["metric"]
    with pytest.raises(UserError, match=f"'{name}' judges a ranking.*evaluate --metric {name}`") as refused:
        TuningTask.build(small_simulation(2, 1), metric={"metric": name})
    assert "\n" not in str(refused.value)


def test_a_ranking_of_ones_own_joins_with_one_class() -> None:
    class Clips(RankingMetric):
        """The number of clips."""

        ranking: str = "test_clips"
        value_name = "clips"
        class_value_name = "clips"

        def value(self, references: Events, estimates: Events | ScoreSet, durations: Any = None) -> RankedScore:
            n = float(len(references.clip_ids))
            return RankedScore(n, torch.full((len(references.classes),), n, dtype=torch.float64))

    assert RankingMetric.types()["test_clips"] is Clips
    none = Events.from_rows([], ["a", "b"], ["x"])
    told = evaluate_ranking(none, none, RankingMetric.make("test_clips")).to_json()
    assert told == {
        "clips": 2.0, "classes": {"x": {"clips": 2.0}},
        "certified_by": "none: the ranking 'test_clips' names no outside tool",
    }  # fmt: skip
