"""Bootstrap intervals against plain numpy, and against the variance that theory gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plugin_cases import Onsets, Pooled
from scipy import stats

from rl_postproc.metrics import EventBased, Macro
from rl_postproc.results.bootstrap import Interval, bootstrap, compared, draw_runs, interval, resampled
from rl_postproc.results.tables import intervals_note

METRIC = EventBased()


def random_counts(seed: int, n_runs: int = 2, n_clips: int = 30, n_classes: int = 3, reference_seed: int = 0):
    """Draws possible counts ``[run, column, clip, class]``; the references are those of their own seed."""
    reference = np.random.default_rng(reference_seed).integers(0, 4, (n_clips, n_classes))
    rng = np.random.default_rng(seed)
    estimated = rng.integers(0, 5, (n_runs, n_clips, n_classes))
    tp = rng.integers(0, np.minimum(reference, estimated) + 1)
    return torch.from_numpy(np.stack([tp, estimated, np.broadcast_to(reference, tp.shape)], 1))


def scores_of(counts: torch.Tensor, agent: str = "own", **settings: int) -> torch.Tensor:
    return bootstrap(METRIC, Macro(), counts, agent, **settings)


def interval_of(counts: torch.Tensor, **settings: int) -> Interval:
    return interval(scores_of(counts, **settings))


def numpy_macro_f1(counts: np.ndarray, clips: np.ndarray, runs: np.ndarray | None = None) -> float:
    """Macro F1 of drawn clips, averaged over drawn runs, written out."""
    found = []
    for tp, estimated, reference in counts if runs is None else counts[runs]:
        scores = []
        for k in range(reference.shape[1]):
            t, e, r = (sum(int(x[c, k]) for c in clips) for x in (tp, estimated, reference))
            if r:
                scores.append(2 * t / (e + r))
        found.append(np.mean(scores) if scores else 0.0)
    return float(np.mean(found))


def draws(n_clips: int, samples: int, seed: int) -> np.ndarray:
    """The clips of every bootstrap sample."""
    return torch.randint(n_clips, (samples, n_clips), generator=torch.Generator().manual_seed(seed)).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_that_of_a_plain_numpy_bootstrap_over_clips_and_runs(seed: int) -> None:
    counts, other = random_counts(seed, n_runs=3), random_counts(seed + 100, n_runs=2)
    a, b = (scores_of(x, name, samples=200, seed=seed) for x, name in ((counts, "a"), (other, "b")))
    found, gain = interval(a), interval(a - b)
    clips, runs_a, runs_b = draws(30, 200, seed), draw_runs("a", 3, 200, seed), draw_runs("b", 2, 200, seed)
    own = [numpy_macro_f1(counts.numpy(), c, r) for c, r in zip(clips, runs_a.numpy(), strict=True)]
    base = [numpy_macro_f1(other.numpy(), c, r) for c, r in zip(clips, runs_b.numpy(), strict=True)]
    everyone = np.arange(30)
    whole = [numpy_macro_f1(x.numpy(), everyone) for x in (counts, other)]
    assert found.value == pytest.approx(whole[0])
    assert [found.low, found.high] == pytest.approx(np.quantile(own, [0.025, 0.975]).tolist())
    assert gain.value == pytest.approx(whole[0] - whole[1])
    # paired: the differences of the same clips
    assert [gain.low, gain.high] == pytest.approx(np.quantile(np.subtract(own, base), [0.025, 0.975]).tolist())


def test_runs_are_drawn_with_replacement_and_for_each_agent_by_itself() -> None:
    a, again, b, later = (draw_runs(name, 3, 3000, seed) for name, seed in (("a", 0), ("a", 0), ("b", 0), ("a", 1)))
    assert torch.equal(a, again) and not torch.equal(a, b) and not torch.equal(a, later)
    assert a.shape == (3000, 3)
    shares = a.flatten().bincount(minlength=3) / 9000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.03)
    assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.05


def test_an_interval_over_clips_is_scipys() -> None:
    counts = random_counts(11, n_runs=1, n_clips=150)
    tp, estimated, reference = counts[0].numpy()

    def macro(index: np.ndarray, axis: int = -1) -> np.ndarray:
        t, e, r = (x[index].sum(axis - 1 if axis < 0 else axis) for x in (tp, estimated, reference))
        return (2 * t / (e + r)).mean(-1)

    theirs = stats.bootstrap(
        (np.arange(150),), macro, n_resamples=4000, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    found = interval_of(counts, samples=4000)
    width = theirs.high - theirs.low
    assert [found.low, found.high] == pytest.approx([theirs.low, theirs.high], abs=0.06 * width)


def test_one_run_and_runs_that_are_all_alike_are_intervals_over_clips_alone() -> None:
    one = random_counts(2, n_runs=1)
    alike = scores_of(one.repeat(4, 1, 1, 1), samples=100)
    assert torch.allclose(scores_of(one, samples=100), alike, rtol=0, atol=1e-14)


def test_seeds_that_differ_widen_the_interval_by_their_own_variance() -> None:
    # Every clip is alike, so that clips add nothing: F1 of a run is 2h / (h + 10), h hits of 10 in every clip.
    hits = torch.tensor([2, 4, 6, 8])
    counts = torch.stack([torch.stack([h.expand(20, 1), h.expand(20, 1), torch.full((20, 1), 10)]) for h in hits])
    scores = scores_of(counts, samples=20000)
    by_run = (2 * hits / (hits + 10)).double()
    assert float(scores[0]) == pytest.approx(float(by_run.mean()))
    assert float(scores[1:].std()) == pytest.approx(float(by_run.std(correction=0)) / 2, rel=0.03)
    one = interval(scores_of(counts[:1], samples=100))
    assert one.high - one.low == pytest.approx(0, abs=1e-12)


def test_resampling_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = random_counts(4)
    whole = scores_of(counts, samples=100)
    monkeypatch.setattr("rl_postproc.results.bootstrap._CHUNK", 30 * 7)
    assert torch.equal(scores_of(counts, samples=100), whole)


def test_the_estimate_is_the_score_of_the_pooled_counts() -> None:
    counts = random_counts(7, n_runs=1)
    scored = METRIC.summarise(dict(zip(METRIC.columns, counts[0].sum(1), strict=True)))
    assert interval_of(counts, samples=10).value == pytest.approx(scored.macro)


def test_any_metric_and_any_objective_are_resampled() -> None:
    counts, metric = random_counts(8, n_runs=2), Onsets()
    found = interval(bootstrap(metric, Pooled(), counts, "own", samples=100, seed=4))
    scores = []
    for clips, runs in zip(draws(30, 100, 4), draw_runs("own", 2, 100, 4), strict=True):
        pooled = [[int(column[clips].sum()) for column in run.numpy()] for run in counts[runs]]
        scores.append(np.mean([2 * hits / (2 * hits + misses + false) for hits, misses, false in pooled]))
    assert [found.low, found.high] == pytest.approx(np.quantile(scores, [0.025, 0.975]).tolist())


def test_a_class_that_is_not_drawn_is_left_out_of_that_sample() -> None:
    counts = random_counts(3, n_runs=1, n_clips=4, n_classes=2)
    counts[:, 2, :, 1] = torch.tensor([2, 0, 0, 0])
    counts[:, 0, 1:, 1] = 0
    weights = torch.tensor([[0.0, 2, 1, 1], [1, 1, 1, 1]], dtype=torch.float64)
    found = resampled(METRIC, Macro(), counts, weights)[:, 0].tolist()
    expected = [numpy_macro_f1(counts.numpy(), np.array(c)) for c in ([1, 1, 2, 3], [0, 1, 2, 3])]
    assert found == pytest.approx(expected)


def test_pairing_makes_the_interval_of_a_small_gain_narrow() -> None:
    counts = random_counts(5, n_runs=1, n_clips=200)
    better = counts.clone()
    first = ((better[0, 0] < better[0, 1]) & (better[0, 0] < better[0, 2])).nonzero()[:20]
    better[0, 0, first[:, 0], first[:, 1]] += 1
    gain, alone = interval(scores_of(better) - scores_of(counts, "other")), interval_of(better)
    assert 0 < gain.low < gain.value < gain.high
    assert gain.high - gain.low < 0.5 * (alone.high - alone.low)


def test_intervals_cover_the_truth_about_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(0)
    # One class, one reference a clip, found with probability 0.6 and never anything else: F1 = 2p / (p + 1).
    truth, covered, n = 2 * 0.6 / 1.6, 0, 200
    reference = torch.ones(1, 1, 100, 1, dtype=torch.int64)
    for seed in range(n):
        hits = torch.from_numpy(rng.random((1, 1, 100, 1)) < 0.6).long()
        found = interval_of(torch.cat([hits, hits, reference], 1), samples=300, seed=seed)
        covered += found.low <= truth <= found.high
    # 95 % of 200 with a standard deviation of 3
    assert 180 <= covered <= 200


def normal_draws(n: int, correlation: float = 0.0, samples: int = 40000) -> torch.Tensor:
    """Differences of which the estimates are 0, 1, … and the draws are normal, each with a standard error of its own."""
    rng = np.random.default_rng(5)
    noise = np.sqrt(1 - correlation) * rng.standard_normal((n, samples)) + np.sqrt(correlation) * rng.standard_normal(
        samples
    )
    value, error = np.arange(n)[:, None], 0.1 * (1 + np.arange(n))[:, None]
    return torch.from_numpy(np.concatenate([value, value + error * noise], 1))


@pytest.mark.parametrize("n", [1, 3, 20])
def test_adjusted_intervals_of_independent_differences_are_sidaks(n: int) -> None:
    reach = stats.norm.ppf((1 + 0.95 ** (1 / n)) / 2)
    for k, found in enumerate(compared(normal_draws(n))):
        error = 0.1 * (1 + k)
        assert found.value == k
        assert [found.low, found.high] == pytest.approx([k - 1.96 * error, k + 1.96 * error], abs=0.05 * error)
        expected = [k - reach * error, k + reach * error]
        assert [found.low_adjusted, found.high_adjusted] == pytest.approx(expected, abs=0.05 * error)


def test_differences_that_go_together_need_no_adjustment_and_none_at_all_stays_nothing() -> None:
    found = compared(normal_draws(10, correlation=1.0))
    for k, one in enumerate(found):
        error = 0.1 * (1 + k)
        assert [one.low_adjusted, one.high_adjusted] == pytest.approx([one.low, one.high], abs=0.05 * error)
    nothing, something = compared(torch.stack([torch.zeros(101), torch.linspace(-1, 1, 101)]).double())
    assert (nothing.value, nothing.low_adjusted, nothing.high_adjusted) == (0, 0, 0)
    assert something.low_adjusted < something.high_adjusted


@pytest.mark.parametrize(
    ("agents", "seeds", "said", "unsaid"),
    [
        (["a", "b", "c"], [0], "2 comparisons, each interval 95 % by itself", "over clips and seeds"),
        (["a", "b"], [0, 1], "1 comparison, over clips and seeds", "other seeds"),
    ],
)
def test_the_note_counts_comparisons_and_says_what_is_left_out(agents, seeds, said, unsaid) -> None:
    rows = [{"agent": name, "seed": seed} for name in agents for seed in seeds]
    entries = [{"agent": name, **({"gain": {}} if name != "a" else {})} for name in agents]
    note = intervals_note({"rows": rows, "agents": entries})
    assert said in note and unsaid not in note and "other clips would change is not in them" in note
    assert "\n" not in note
    assert intervals_note({"rows": rows[:1], "agents": entries[:1]}) == ""
