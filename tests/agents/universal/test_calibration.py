"""Calibration on few labels, against a general optimiser, and its limits without labels and with many."""

from __future__ import annotations

import numpy as np
import torch
from rl_postproc.agents.universal.calibration import calibrate
from scipy.optimize import minimize
from scipy.special import expit


def drawn(n: int, gain: float, shift: list[float], seed: int = 0) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, len(shift), n)
    x = rng.normal(-1, 1.5, n)
    matches = rng.random(n) < expit(gain * x + np.array(shift)[label])
    return torch.from_numpy(x), torch.from_numpy(label), torch.from_numpy(matches), torch.arange(n)


def test_newtons_method_finds_what_a_general_optimiser_finds() -> None:
    x, label, matches, _ = drawn(300, 1.5, [1.0, -0.5, 0.0])
    track = torch.arange(300) // 4
    gain, shift = calibrate(x, label, matches, track, 3)

    def loss(theta: np.ndarray) -> float:
        logits = (1 + theta[0]) * x.numpy() + theta[1] + theta[2:][label.numpy()]
        y = matches.numpy()
        likely = np.logaddexp(0, np.where(y, -logits, logits)) / 4
        return float(likely.sum() + 0.5 * ((theta / np.array([0.3, 0.5, 0.5, 0.5, 0.5])) ** 2).sum())

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose([gain, *shift.tolist()], [1 + best[0], *(best[1] + best[2:])], atol=1e-4)


def test_many_labels_win_and_none_leave_everything_as_it_is() -> None:
    x, label, matches, track = drawn(200_000, 0.7, [1.0, -1.0])
    gain, shift = calibrate(x, label, matches, track, 2)
    np.testing.assert_allclose([gain, *shift.tolist()], [0.7, 1.0, -1.0], atol=0.05)
    gain, shift = calibrate(x[:0], label[:0], matches[:0], track[:0], 2)
    assert (gain, shift.tolist()) == (1.0, [0.0, 0.0])
