"""PSDS of frame scores at the thresholds that matter is that of all thresholds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from rl_postproc import Events, ScoreSet, SimulationConfig, simulate
from rl_postproc.metrics.intersection.frame_scores import stretches_of_scores
from rl_postproc.metrics.intersection.lost_thresholds import without_lost_thresholds
from rl_postproc.metrics.intersection.psds import SCENARIOS, Scenario, psds
from rl_postproc.metrics.intersection.ranked_counts import count_ranked
from rl_postproc.metrics.intersection.ranking import Psds1

CLASSES = ["Cat", "Dog", "Speech"]


def at_all_thresholds(scores: ScoreSet, scenario: Scenario) -> float:
    references, stretches = scores.require_references(), stretches_of_scores(scores)
    return psds(count_ranked(references, stretches, scores.durations, scenario.criteria), scenario)


def noisy(scores: ScoreSet, seed: int, levels: int | None) -> ScoreSet:
    generator = torch.Generator().manual_seed(seed)
    x = (scores.scores + 0.2 * torch.rand(scores.scores.shape, generator=generator)).clamp(0, 1)
    x = x if levels is None else (x * levels).round() / levels
    return replace(scores, scores=x * scores.valid[:, None])


def at_few_thresholds(scores: ScoreSet, own: Scenario) -> float:
    metric = Psds1(dtc=own.criteria.dtc, gtc=own.criteria.gtc, cttc=own.criteria.cttc, alpha_ct=own.alpha_ct,
                   alpha_st=own.alpha_st, max_efpr=own.max_efpr)  # fmt: skip
    return metric.value(scores.require_references(), scores, scores.durations).overall


def fewer_of(scores: ScoreSet, own: Scenario) -> ScoreSet:
    return without_lost_thresholds(scores, scores.require_references(), scores.durations, own)


@pytest.mark.parametrize("most", [0.0, 5.0, 100.0, 1000.0])
@pytest.mark.parametrize("scenario", [1, 2])
@pytest.mark.parametrize("levels", [None, 20])
def test_psds_is_that_of_all_thresholds(scenario: int, most: float, levels: int | None) -> None:
    own = replace(SCENARIOS[scenario], max_efpr=most) if most else replace(SCENARIOS[scenario], max_efpr=1e-6)
    for seed in range(3):
        scores = noisy(simulate(SimulationConfig(n_clips=40, classes=CLASSES, seed=seed)), seed, levels)
        assert at_few_thresholds(scores, own) == pytest.approx(at_all_thresholds(scores, own), abs=1e-12)


def test_few_events_are_left_to_be_judged_and_none_above_the_lost_thresholds_changes() -> None:
    scores = noisy(simulate(SimulationConfig(n_clips=60, classes=CLASSES, seed=1)), 1, None)
    fewer = fewer_of(scores, SCENARIOS[1])
    assert len(stretches_of_scores(fewer).clip) < 0.5 * len(stretches_of_scores(scores).clip)
    assert bool((fewer.scores >= scores.scores).all())
    assert bool(((fewer.scores == 0) == (scores.scores == 0)).all())
    kept = scores.scores > 0.9
    assert torch.equal(fewer.scores[kept], scores.scores[kept])


def test_classes_in_every_clip_and_in_none() -> None:
    scores = simulate(SimulationConfig(n_clips=12, classes=CLASSES, clip_seconds=5, seed=3))
    rows = [(clip, 1.0, 2.0, "Cat") for clip in scores.clip_ids]
    scores = noisy(replace(scores, references=Events.from_rows(rows, scores.clip_ids, scores.classes)), 0, None)
    for own in SCENARIOS.values():
        known = scores.of_classes(["Cat"])  # the others are left out
        assert at_few_thresholds(scores, own) == pytest.approx(at_all_thresholds(known, own), abs=1e-12)
        empty = Events.from_rows([], scores.clip_ids, scores.classes)
        assert math.isnan(at_few_thresholds(replace(scores, references=empty), own))
