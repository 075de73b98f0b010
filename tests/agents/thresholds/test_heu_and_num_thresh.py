"""heuThresh and numThresh, against replicas that go one step at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_postproc.agents.thresholds.heu_thresh import HeuThresh
from rl_postproc.agents.thresholds.num_thresh import NumThresh
from sklearn.metrics import f1_score
from threshold_cases import random_tags

from rl_postproc.counts.column_counts import ColumnCounts


def _f1(tags: torch.Tensor, truth: torch.Tensor) -> float:
    return 2 * int((tags & truth).sum()) / max(1, int(tags.sum() + truth.sum()))


def test_heu_thresh_accepts_what_one_trial_after_the_other_accepts():
    x, truth = random_tags(40, 3, seed=4)
    agent = HeuThresh(rounds=4, trials=60)
    found = agent.search(ColumnCounts.of_items(x, truth), np.random.default_rng(7))
    rng = np.random.default_rng(7)
    best, best_f1 = np.full(3, 0.3), f1_score(truth.numpy(), x.numpy() > 0.3, average="micro")
    accepted = 0
    for _ in range(4):
        t, ratio, noise = np.full(3, 0.3), 0.2, rng.standard_normal((60, 3))
        for z in noise:
            tried = t + ratio * (t + 0.6 * z)
            ratio -= 1e-3
            value = f1_score(truth.numpy(), x.numpy() > tried.astype(np.float32), average="micro")
            if value > best_f1:
                t, best, best_f1, accepted = tried, tried, value, accepted + 1
    assert accepted > 2
    assert found.numpy() == pytest.approx(best.clip(0, 1), abs=1e-6)


def test_heu_thresh_by_class_is_a_chain_for_each_class():
    x, truth = random_tags(40, 3, seed=4)
    found = HeuThresh(rounds=3, trials=50, average="macro").search(
        ColumnCounts.of_items(x, truth), np.random.default_rng(7)
    )
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((3, 50, 3))
    for c in range(3):
        t, best = 0.3, _f1(x[:, c] > 0.3, truth[:, c])
        for z in noise[:, :, c]:
            for m in range(50):
                tried = t + (0.2 - 1e-4 * m) * (t + 0.6 * z[m])
                value = _f1(x[:, c] > np.float32(tried), truth[:, c])
                if value > best:
                    t, best = tried, value
        assert float(found[c]) == pytest.approx(min(max(t, 0), 1), abs=1e-6)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_num_thresh_takes_the_numerical_gradient_of_f1(average):
    x, truth = random_tags(50, 3, seed=6)
    agent, t = NumThresh(average=average), np.array([0.3, 0.55, 0.8])
    gradient, quality, trials = agent.gradient(ColumnCounts.of_items(x, truth), torch.from_numpy(t))

    def f1(at: np.ndarray) -> float:
        return f1_score(truth.numpy(), x.numpy() > at.astype(np.float32), average=average)

    assert quality == pytest.approx(f1(t), abs=1e-12)
    tried = 1
    for c in range(3):
        for width in range(1, 11):
            moved = t.copy()
            moved[c] += 0.01 * width
            tried += 1
            if f1(moved) != f1(t):
                break
        assert float(gradient[c]) == pytest.approx((f1(moved) - f1(t)) / (0.01 * width), abs=1e-9)
    assert trials == tried
