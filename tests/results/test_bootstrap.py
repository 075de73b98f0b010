"""Bootstrap intervals against plain numpy, and against the variance that theory gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plugin_cases import Onsets, Pooled

from rl_postproc.metrics import EventBased, Macro
from rl_postproc.results.bootstrap import Interval, bootstrap, resampled

METRIC = EventBased()


def random_counts(seed: int, n_runs: int = 2, n_clips: int = 30, n_classes: int = 3, reference_seed: int = 0):
    """Draws possible counts ``[run, column, clip, class]``; the references are those of their own seed."""
    reference = np.random.default_rng(reference_seed).integers(0, 4, (n_clips, n_classes))
    rng = np.random.default_rng(seed)
    estimated = rng.integers(0, 5, (n_runs, n_clips, n_classes))
    tp = rng.integers(0, np.minimum(reference, estimated) + 1)
    return torch.from_numpy(np.stack([tp, estimated, np.broadcast_to(reference, tp.shape)], 1))


def interval(counts: torch.Tensor, baseline: torch.Tensor | None = None, **settings: int) -> Interval:
    return bootstrap(METRIC, Macro(), counts, baseline, **settings)


def numpy_macro_f1(counts: np.ndarray, clips: np.ndarray) -> float:
    """Macro F1 of drawn clips, averaged over runs, written out."""
    runs = []
    for tp, estimated, reference in counts:
        scores = []
        for k in range(reference.shape[1]):
            t, e, r = (sum(int(x[c, k]) for c in clips) for x in (tp, estimated, reference))
            if r:
                scores.append(2 * t / (e + r))
        runs.append(np.mean(scores) if scores else 0.0)
    return float(np.mean(runs))


def draws(n_clips: int, samples: int, seed: int) -> np.ndarray:
    """The clips of every bootstrap sample."""
    return torch.randint(n_clips, (samples, n_clips), generator=torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_that_of_a_plain_numpy_bootstrap(seed: int) -> None:
    counts, other = random_counts(seed), random_counts(seed + 100)
    found = interval(counts, samples=200, seed=seed)
    gain = interval(counts, other, samples=200, seed=seed)
    own = [numpy_macro_f1(counts.numpy(), clips) for clips in draws(30, 200, seed)]
    base = [numpy_macro_f1(other.numpy(), clips) for clips in draws(30, 200, seed)]
    everyone = np.arange(30)
    whole = [numpy_macro_f1(x.numpy(), everyone) for x in (counts, other)]
    assert found.value == pytest.approx(whole[0])
    assert [found.low, found.high] == pytest.approx(np.quantile(own, [0.025, 0.975]).tolist())
    assert gain.value == pytest.approx(whole[0] - whole[1])
    # paired: the differences of the same draws
    assert [gain.low, gain.high] == pytest.approx(np.quantile(np.subtract(own, base), [0.025, 0.975]).tolist())


def test_the_estimate_is_the_score_of_the_pooled_counts() -> None:
    counts = random_counts(7, n_runs=1)
    scored = METRIC.summarise(dict(zip(METRIC.columns, counts[0].sum(1), strict=True)))
    assert interval(counts, samples=10).value == pytest.approx(scored.macro)


def test_any_metric_and_any_objective_are_resampled() -> None:
    counts, metric = random_counts(8, n_runs=2), Onsets()
    found = bootstrap(metric, Pooled(), counts, samples=100, seed=4)
    scores = []
    for clips in draws(30, 100, 4):
        pooled = [[int(column[clips].sum()) for column in run.numpy()] for run in counts]
        scores.append(np.mean([2 * hits / (2 * hits + misses + false) for hits, misses, false in pooled]))
    assert [found.low, found.high] == pytest.approx(np.quantile(scores, [0.025, 0.975]).tolist())


def test_a_class_that_is_not_drawn_is_left_out_of_that_sample() -> None:
    counts = random_counts(3, n_runs=1, n_clips=4, n_classes=2)
    counts[:, 2, :, 1] = torch.tensor([2, 0, 0, 0])
    counts[:, 0, 1:, 1] = 0
    weights = torch.tensor([[0.0, 2, 1, 1], [1, 1, 1, 1]], dtype=torch.float64)
    found = resampled(METRIC, Macro(), counts, weights).tolist()
    expected = [numpy_macro_f1(counts.numpy(), np.array(c)) for c in ([1, 1, 2, 3], [0, 1, 2, 3])]
    assert found == pytest.approx(expected)


def test_an_agent_gains_exactly_nothing_over_itself() -> None:
    counts = random_counts(1)
    gain = interval(counts, counts, samples=50)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


def test_pairing_makes_the_interval_of_a_small_gain_narrow() -> None:
    counts = random_counts(5, n_runs=1, n_clips=200)
    better = counts.clone()
    first = ((better[0, 0] < better[0, 1]) & (better[0, 0] < better[0, 2])).nonzero()[:20]
    better[0, 0, first[:, 0], first[:, 1]] += 1
    gain, alone = interval(better, counts), interval(better)
    assert 0 < gain.low < gain.value < gain.high
    assert gain.high - gain.low < 0.5 * (alone.high - alone.low)


def test_intervals_cover_the_truth_about_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(0)
    # One class, one reference a clip, found with probability 0.6 and never anything else: F1 = 2p / (p + 1).
    truth, covered, n = 2 * 0.6 / 1.6, 0, 200
    reference = torch.ones(1, 1, 100, 1, dtype=torch.int64)
    for seed in range(n):
        hits = torch.from_numpy(rng.random((1, 1, 100, 1)) < 0.6).long()
        found = interval(torch.cat([hits, hits, reference], 1), samples=300, seed=seed)
        covered += found.low <= truth <= found.high
    # 95 % of 200 with a standard deviation of 3
    assert 180 <= covered <= 200
