"""Levels against torch's bisection."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts import levels
from rl_postproc.counts.levels import BINS, levels_of

UNIT = st.floats(0, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(st.lists(UNIT, min_size=1, max_size=60, unique=True), st.integers(0, 2**32 - 1))
def test_levels_are_the_numbers_of_thresholds_below(values: list[float], seed: int) -> None:
    thresholds = torch.tensor(sorted(values))
    edges = torch.arange(BINS + 1) / BINS
    special = torch.cat([thresholds, edges, torch.tensor([0.0, 1.0])]).numpy()
    around = np.concatenate([special, np.nextafter(special, np.float32(0)), np.nextafter(special, np.float32(1))])
    drawn = np.random.default_rng(seed).random(1000, dtype=np.float32)
    scores = torch.from_numpy(np.concatenate([around, drawn])).reshape(1, -1)
    assert torch.equal(levels_of(scores, thresholds), torch.bucketize(scores, thresholds).to(torch.uint8))


@pytest.mark.parametrize("least", [0.0, -0.5])
@pytest.mark.parametrize("count", [2, 50, 254, 400])
def test_levels_of_even_grids_and_of_scores_beyond_them(count: int, least: float) -> None:
    thresholds = torch.linspace(0, 1, count)
    scores = least + (1 - 2 * least) * torch.rand(70, 80, generator=torch.Generator().manual_seed(0))
    scores[0, : min(count, 80)] = thresholds[:80]
    found = levels_of(scores, thresholds)
    assert found.dtype == (torch.uint8 if count < 256 else torch.int16)
    assert torch.equal(found.int(), torch.bucketize(scores, thresholds).int())


def test_a_grid_of_fifty_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, bisected = torch.rand(100, 100), []
    own = torch.bucketize
    monkeypatch.setattr(levels.torch, "bucketize", lambda x, *a, **k: bisected.append(x.numel()) or own(x, *a, **k))
    levels_of(scores, torch.linspace(0.01, 0.99, 50))
    assert max(bisected) < scores.numel()
