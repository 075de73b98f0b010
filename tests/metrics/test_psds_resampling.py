"""PSDS with weights of clips, and its bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rl_postproc import Events, ScoreSet, SimulationConfig, simulate
from rl_postproc.metrics.intersection.frame_scores import stretches_of_scores
from rl_postproc.metrics.intersection.psds import SCENARIOS, class_areas, psds
from rl_postproc.metrics.intersection.ranked_counts import RankedCounts, Stretches, count_ranked
from rl_postproc.metrics.intersection.resampling import resampled_psds
from rl_postproc.pipeline.stack import Stack
from rl_postproc.results.bootstrap import interval


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return simulate(SimulationConfig(n_clips=30, classes=["Cat", "Dog", "Speech"], clip_seconds=6, seed=3))


def counts_of(scores: ScoreSet, scenario: int, boxes: bool) -> RankedCounts:
    if boxes:  # events that come and never go: rates only rise
        stack = Stack.from_config([{"stage": "boxes", "window": [0.32]}])
        found = Stretches.of_events(stack.events(scores, stack.space.values[0]))
    else:
        found = stretches_of_scores(scores)
    return count_ranked(scores.require_references(), found, scores.durations, SCENARIOS[scenario].criteria)


def repeated(scores: ScoreSet, times: list[int]) -> ScoreSet:
    """Returns the set in which each clip stands so often, under names of its own."""
    clips = torch.arange(scores.n_clips).repeat_interleave(torch.tensor(times))
    names = tuple(f"{i}.wav" for i in range(len(clips)))
    x, n = scores.scores[clips], scores.n_frames[clips]
    references = scores.require_references()
    rows = [(clip == references.clip).nonzero()[:, 0] for clip in clips]
    some = torch.cat(rows)
    own = torch.arange(len(clips)).repeat_interleave(torch.tensor([len(r) for r in rows]))
    columns = (references.label[some], references.onset[some], references.offset[some])
    events = Events.from_tensors(names, scores.classes, own, *columns)
    edges = scores.edges if len(scores.edges) == 1 else scores.edges[clips]
    return ScoreSet.build(x, edges, names, scores.classes, n, scores.durations[clips], events)


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("scenario", [1, 2])
def test_a_weight_counts_a_clip_as_often(scores: ScoreSet, scenario: int, boxes: bool) -> None:
    times = [i % 3 for i in range(scores.n_clips)]
    weighted = psds(counts_of(scores, scenario, boxes), SCENARIOS[scenario], torch.tensor(times))
    assert weighted == pytest.approx(
        psds(counts_of(repeated(scores, times), scenario, boxes), SCENARIOS[scenario]), abs=1e-9
    )


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("scenario", [1, 2])
def test_areas_of_classes_make_up_psds_without_its_penalty(scores: ScoreSet, scenario: int, boxes: bool) -> None:
    counts, own = counts_of(scores, scenario, boxes), replace(SCENARIOS[scenario], alpha_st=0.0)
    assert class_areas(counts, own).mean() == pytest.approx(psds(counts, own), abs=1e-9)


@pytest.mark.parametrize("boxes", [False, True])
def test_samples_are_the_psds_of_drawn_clips_the_same_for_every_method(scores: ScoreSet, boxes: bool) -> None:
    counts = counts_of(scores, 2, boxes)
    found = resampled_psds(counts, SCENARIOS[2], 20, seed=5)
    rng, n = np.random.default_rng(5), scores.n_clips
    drawn = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(20)]
    expected = [psds(counts, SCENARIOS[2], torch.from_numpy(weight)) for weight in drawn]
    assert found.tolist() == pytest.approx([psds(counts, SCENARIOS[2]), *expected], abs=1e-12)
    assert torch.equal(found, resampled_psds(counts, SCENARIOS[2], 20, seed=5))
    shown = interval(found)
    assert shown.low < shown.value < shown.high
