"""Mean and Gaussian smoothing against scipy, each track up to its own end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import Frames
from rl_postproc.stages.gaussian import GaussianFilter
from rl_postproc.stages.mean import MeanFilter

HOP = 0.05
MODES = {"reflect": "reflect", "zeros": "constant"}


def tracks(seed: int, width: int, n: int) -> tuple[torch.Tensor, Frames]:
    """Draws tracks ``[frame, track]`` of different lengths, 0 beyond their ends."""
    rng = np.random.default_rng(seed)
    n_frames = torch.from_numpy(rng.integers(1, width + 1, n))
    x = torch.from_numpy(rng.random((width, n)).astype(np.float32)) * (torch.arange(width)[:, None] < n_frames)
    edges = torch.arange(width + 1, dtype=torch.float64)[None] * HOP
    return x, Frames(n_frames, HOP, edges, n_frames * HOP)


def expected(x: torch.Tensor, frames: Frames, function: Any) -> torch.Tensor:
    out = torch.zeros_like(x)
    for i, n in enumerate(frames.n_frames.tolist()):
        out[:n, i] = torch.from_numpy(function(x[:n, i].double().numpy())).float()
    return out


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000), width=st.integers(1, 90), half=st.integers(0, 60), edge=st.sampled_from(sorted(MODES))
)
def test_the_mean_is_scipys_uniform_filter(seed: int, width: int, half: int, edge: str) -> None:
    (x, frames), size = tracks(seed, width, 5), 2 * half + 1
    kernel = torch.full((5,), size * HOP if half else 0.0)
    found = MeanFilter.model_validate({"edge": edge})(x, frames, kernel=kernel)

    def oracle(track: np.ndarray) -> np.ndarray:
        if edge == "reflect":  # padded here, since scipy pads wrongly where the window is much longer than the track
            padded = np.pad(track, half, mode="symmetric")
        else:
            padded = np.pad(track, half)
        return scipy.ndimage.uniform_filter1d(padded, size, mode="constant")[half : half + len(track)]

    torch.testing.assert_close(found, expected(x, frames, oracle), atol=2e-6, rtol=0)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000), width=st.integers(30, 90), sigma=st.sampled_from([0.4, 1.0, 2.5, 6.0]),
    edge=st.sampled_from(sorted(MODES)),
)  # fmt: skip
def test_the_bell_is_scipys_gaussian_filter(seed: int, width: int, sigma: float, edge: str) -> None:
    x, frames = tracks(seed, width, 5)
    found = GaussianFilter.model_validate({"edge": edge})(x, frames, deviation=torch.full((5,), sigma * HOP))

    def oracle(track: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter1d(track, sigma, mode=MODES[edge], truncate=4.0)

    torch.testing.assert_close(found, expected(x, frames, oracle), atol=2e-6, rtol=0)


@pytest.mark.parametrize("stage", [MeanFilter(), GaussianFilter()])
def test_no_length_leaves_scores_as_they_are(stage: Any) -> None:
    x, frames = tracks(3, 40, 6)
    (name,) = stage.parameters
    assert torch.equal(stage(x, frames, **{name: torch.zeros(6)}), x)


def test_means_do_not_depend_on_where_a_clip_begins() -> None:
    n, reach, cut = 100_000, 15, 90_000
    x = torch.rand(n, 8, generator=torch.Generator().manual_seed(0)) ** 5
    x[cut:] *= 1e-4  # so that what comes before would round sums of doubles

    def mean(own: torch.Tensor) -> torch.Tensor:
        edges = torch.arange(len(own) + 1, dtype=torch.float64)[None] * HOP
        frames = Frames(torch.full((8,), len(own)), HOP, edges, edges[0, -1].expand(8))
        return MeanFilter()(own, frames, kernel=torch.full((8,), (2 * reach + 1) * HOP))

    assert torch.equal(mean(x)[cut + reach :], mean(x[cut:])[reach:])
