"""λ without references: where probabilities are right, it is what labels would give, and wishes come true."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_postproc.agents.universal import operating_point
from rl_postproc.agents.universal.operating_point import OperatingPoint, Wish, expected

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.scheduling import best_sets

N_CLASSES = 3


def apart(n: int, seed: int = 0) -> tuple[DecodedEvents, torch.Tensor, torch.Tensor]:
    """Events that do not overlap, their probabilities, and matches drawn from these."""
    rng = np.random.default_rng(seed)
    track = torch.from_numpy(np.sort(rng.integers(0, 200 * N_CLASSES, n)))
    first = torch.arange(n) * 3
    none = torch.zeros(0, dtype=torch.int64)
    events = DecodedEvents(track, first, first + 1, none, none, none, none, 200 * N_CLASSES, 1, 1)
    p = torch.from_numpy(rng.beta(0.6, 1.0, n))
    return events, p, torch.from_numpy(rng.random(n)) < p


def test_the_highest_expected_f1_is_the_highest_f1_where_probabilities_are_right() -> None:
    events, p, matches = apart(30_000)
    label = events.track % N_CLASSES
    lam = OperatingPoint(recalled=1.0, trust=1.0).lam(events, p, N_CLASSES, 1.0, Wish())
    for k in range(N_CLASSES):
        own = label == k
        n_references = int(matches[own].sum())

        def f1(least: float, own: torch.Tensor = own, n_references: int = n_references) -> float:
            chosen = own & (p > least / 2)
            return 2 * int(matches[chosen].sum()) / (int(chosen.sum()) + n_references)

        best = max(f1(x) for x in np.arange(0.02, 1.5, 0.02))
        assert f1(float(lam[k])) > best - 0.01
        assert float(lam[k]) == pytest.approx(best, abs=0.06)  # at the optimum λ is the F1 itself


@pytest.mark.parametrize("wanted", [0.5, 0.7, 0.9])
def test_a_wished_precision_is_reached_and_no_more_than_needed(wanted: float) -> None:
    events, p, matches = apart(30_000)
    lam = OperatingPoint().lam(events, p, N_CLASSES, 1.0, Wish(of="precision", value=wanted))
    chosen = p > float(lam[0]) / 2
    assert wanted - 0.02 < float(matches[chosen].double().mean()) < wanted + 0.1


def test_a_wished_recall_counts_the_references_that_no_event_matches() -> None:
    events, p, matches = apart(30_000)
    lam = OperatingPoint(recalled=0.8).lam(events, p, N_CLASSES, 1.0, Wish(of="recall", value=0.6))
    recall = float(matches[p > float(lam[0]) / 2].sum()) / (float(matches.sum()) / 0.8)
    assert 0.6 <= recall + 0.01 < 0.68


def test_a_wished_rate_is_not_exceeded_in_any_class() -> None:
    events, p, _ = apart(3_000)
    lam = OperatingPoint().lam(events, p, N_CLASSES, 2.0, Wish(of="events_per_hour", value=100))
    chosen = p > lam[events.track % N_CLASSES] / 2
    n = torch.bincount((events.track % N_CLASSES)[chosen], minlength=N_CLASSES)
    assert bool((n <= 200).all()) and bool((n > 100).all())


def test_a_class_without_events_keeps_the_prior() -> None:
    events, p, _ = apart(50)
    lam = OperatingPoint().lam(events, torch.zeros_like(p), N_CLASSES, 1.0, Wish())
    assert lam.tolist() == pytest.approx([0.42] * N_CLASSES)


@pytest.mark.parametrize("together", [1 << 20, 700, 1])
def test_sets_are_chosen_at_each_λ_by_itself(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating_point, "_EVENTS", together)
    rng, n, grid = np.random.default_rng(0), 300, torch.arange(1, 8, dtype=torch.float64) / 10
    track, first = (torch.from_numpy(np.sort(x)) for x in (rng.integers(0, 12, n), rng.integers(0, 60, n)))
    none = torch.zeros(0, dtype=torch.int64)
    last = first + torch.from_numpy(rng.integers(0, 30, n))
    events = DecodedEvents(track, first, last, none, none, none, none, 12, 1, 1)
    p = torch.from_numpy(rng.beta(0.6, 1.0, n)).float()
    n_chosen, matches = expected(events, p, N_CLASSES, grid)
    for i, lam in enumerate(grid.tolist()):
        chosen = best_sets(events, 2 * p - lam)
        label = events.track[chosen] % N_CLASSES
        assert n_chosen[i].tolist() == torch.bincount(label, minlength=N_CLASSES).tolist()
        assert torch.equal(matches[i], torch.bincount(label, p[chosen].double(), minlength=N_CLASSES))
