"""Changed scores still fit their references: what is done to the frames is done to the events."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_postproc.agents.universal.augment import (
    cut,
    joined,
    noisy,
    pseudo_detector,
    quantised,
    recalibrated,
    resampled,
    smoothed,
)

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

HOP = 0.05


def perfect(n_clips: int = 12, seconds: float = 8.0) -> ScoreSet:
    """Scores of 0.9 inside the reference events and 0.1 outside, on frames that events begin and end at."""
    rng, width = np.random.default_rng(0), round(seconds / HOP)
    arrays, rows = {}, []
    for i in range(n_clips):
        values = np.full((width - 7 * (i % 3), 2), 0.1)
        for k, name in enumerate(("Cat", "Dog")):
            first = int(rng.integers(5, 40))
            last = first + int(rng.integers(25, 60))
            values[first:last, k] = 0.9
            rows.append((f"clip_{i}", first * HOP, last * HOP, name))
        arrays[f"clip_{i}"] = values
    return ScoreSet.from_arrays(arrays, hop=HOP, classes=["Cat", "Dog"], references=rows)


def f1_at_half(scores: ScoreSet) -> float:
    metric, stack = EventBased(), Stack.from_config([{"stage": "threshold"}])
    counts = metric.count(scores.require_references(), stack.events(scores, stack.space.defaults))
    return metric.summarise({name: own.sum(0) for name, own in counts.items()}).macro


@pytest.mark.parametrize("hop", [0.01, 0.021, 0.05, 0.11, 0.2])
def test_resampled_scores_keep_their_events_and_their_length(hop: float) -> None:
    scores = perfect()
    found = resampled(scores, hop)
    assert f1_at_half(scores) == 1.0 and f1_at_half(found) == 1.0
    assert found.hop == pytest.approx(hop) and torch.equal(found.durations, scores.durations)


def test_longer_frames_hold_the_mean_of_the_frames_they_cover() -> None:
    scores = perfect(3)
    found = resampled(scores, 4 * HOP).scores
    blocks = scores.scores[..., : scores.width // 4 * 4].unflatten(2, (-1, 4)).mean(-1)
    torch.testing.assert_close(found[0, :, : blocks.shape[2]], blocks[0])


def test_cut_clips_keep_what_lies_inside_them() -> None:
    scores = perfect()
    found = cut(scores, 3.0, np.random.default_rng(1))
    assert found.width == 60 and float(found.durations.max()) <= 3.0 + 1e-9
    assert 0 < len(found.require_references()) <= len(scores.require_references())
    assert f1_at_half(found) == 1.0


@pytest.mark.parametrize("n", [1, 2, 5, 12, 40])
def test_joined_clips_hold_the_events_of_all_of_them(n: int) -> None:
    scores = perfect()
    found = joined(scores, n)
    used = 12 // min(n, 12) * min(n, 12)
    assert found.n_clips == used // min(n, 12) and f1_at_half(found) == 1.0
    assert len(found.require_references()) == 2 * used
    assert float(found.durations.sum()) == pytest.approx(float(scores.durations[:used].sum()))


def test_changes_of_the_scores_alone_keep_order_or_place() -> None:
    scores, rng = perfect(), np.random.default_rng(0)
    assert len(quantised(scores, 5).scores.unique()) <= 6
    mapped = recalibrated(scores, rng).scores
    for k in range(2):  # monotone for each class
        high, low = mapped[:, k][scores.scores[:, k] > 0.5], mapped[:, k][(scores.scores[:, k] < 0.5) & scores.valid]
        assert float(high.min()) > float(low.max())
    assert f1_at_half(smoothed(scores, 0.1, median=True)) == 1.0
    assert float((noisy(scores, 0.5, rng).scores - scores.scores).abs().max()) > 0.05


def test_a_pseudo_detector_is_drawn_from_its_seed() -> None:
    scores = simulate(SimulationConfig(n_clips=20, seed=3))
    for seed in range(12):
        first, again = pseudo_detector(scores, seed), pseudo_detector(scores, seed)
        assert torch.equal(first.scores, again.scores) and first.hop == again.hop
        assert 0.009 < first.hop < 0.33 and len(first.require_references())
    shapes = {pseudo_detector(scores, seed).scores.shape for seed in range(12)}
    assert len(shapes) > 4
