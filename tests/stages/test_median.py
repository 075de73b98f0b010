"""The median filter against scipy's two and a plain one, for every odd kernel."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import Frames
from rl_postproc.stages import median
from rl_postproc.stages.majority_votes import LONGEST, filter_by_votes, sums_of_windows
from rl_postproc.stages.median import MedianFilter, median_filter
from rl_postproc.stages.sorting_networks import (
    EDGE_MODES,
    EdgeMode,
    comparisons,
    filter_by_sorting,
    odd_kernel,
    pad_edges,
)

KERNELS = list(range(1, 132, 2))
DTYPES = (torch.float32, torch.uint8, torch.int16)


def reflected_median(track: np.ndarray, kernel: int) -> np.ndarray:
    """scipy's filter; where the window is over eight times the track scipy 1.17 pads wrongly, so it is padded here."""
    if kernel < 8 * len(track):
        return scipy.ndimage.median_filter(track, size=kernel, mode="reflect")
    return plain_median(np.pad(track, kernel // 2, mode="symmetric"), kernel)


def plain_median(padded: np.ndarray, kernel: int) -> np.ndarray:
    """The plain definition: the median of each window."""
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, kernel), axis=1).astype(padded.dtype)


def lowest_median(track: np.ndarray, kernel: int) -> np.ndarray:
    """Medians of windows over a track that is padded with the least value there is."""
    least = -np.inf if np.issubdtype(track.dtype, np.floating) else 0
    return plain_median(np.pad(track, kernel // 2, constant_values=least), kernel)


ORACLES = {
    "reflect": reflected_median,
    "zeros": lambda track, kernel: scipy.signal.medfilt(track.astype(np.float64), kernel).astype(track.dtype),
    "lowest": lowest_median,
}


def expected(x: torch.Tensor, n_frames: torch.Tensor, kernel: int, edge: str) -> torch.Tensor:
    """Filters each track by itself up to its own end."""
    out = torch.zeros_like(x)
    for i, n in enumerate(n_frames.tolist()):
        out[:n, i] = torch.from_numpy(ORACLES[edge](x[:n, i].numpy(), kernel))
    return out


def draw_tracks(seed: int, width: int, n_tracks: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws tracks ``[frame, track]`` of different lengths, with many equal values, 0 beyond their ends."""
    rng = np.random.default_rng(seed)
    n_frames = torch.from_numpy(rng.integers(1, width + 1, n_tracks))
    n_frames[0] = width
    levels = rng.choice([2, 5, 200])
    x = torch.from_numpy(rng.integers(0, levels, (width, n_tracks)) / (levels - 1))
    x = x.float() if dtype == torch.float32 else (x * (levels - 1)).to(dtype)
    return x.masked_fill(torch.arange(width)[:, None] >= n_frames, 0), n_frames


@pytest.mark.filterwarnings("ignore:kernel_size exceeds volume extent")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("edge", EDGE_MODES)
def test_every_odd_kernel_equals_its_namesake(edge: EdgeMode, dtype: torch.dtype) -> None:
    for width in (1, 2, 7, 64, 156):
        x, n_frames = draw_tracks(width, width, 6, dtype)
        found = median_filter(x, n_frames, KERNELS, edge)
        assert found.dtype == dtype
        for kernel, one in zip(KERNELS, found, strict=True):
            assert torch.equal(one, expected(x, n_frames, kernel, edge)), (width, kernel)


@pytest.mark.filterwarnings("ignore:kernel_size exceeds volume extent")
@settings(max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 9),
    st.lists(st.sampled_from(KERNELS), min_size=1, max_size=4),
    st.sampled_from(EDGE_MODES),
    st.sampled_from(DTYPES),
)
def test_any_set_of_kernels_equals_its_namesakes(
    seed: int, width: int, n_tracks: int, kernels: list[int], edge: EdgeMode, dtype: torch.dtype
) -> None:
    x, n_frames = draw_tracks(seed, width, n_tracks, dtype)
    before = x.clone()
    found = median_filter(x, n_frames, kernels, edge)
    assert torch.equal(x, before)
    for kernel, one in zip(kernels, found, strict=True):
        assert torch.equal(one, expected(x, n_frames, kernel, edge))


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.sampled_from(EDGE_MODES), st.sampled_from((1, 3, 5, 21)))
def test_the_filter_commutes_with_increasing_maps(seed: int, edge: EdgeMode, kernel: int) -> None:
    x, n_frames = draw_tracks(seed, 30, 4, torch.float32)
    first = median_filter(x, n_frames, [kernel], edge)[0].clamp(min=0)
    for threshold in (0.0, 0.2, 0.5, 1.0):
        binary = median_filter((x > threshold).to(torch.uint8), n_frames, [kernel], edge)[0]
        assert torch.equal(first > threshold, binary.bool())


def test_a_median_beyond_the_tile_size_is_the_same() -> None:
    x, n_frames = draw_tracks(1, 156, 1500, torch.float32)
    whole = median_filter(x, n_frames, [9], "reflect")
    parts = [median_filter(x[:, i : i + 1], n_frames[i : i + 1], [9], "reflect") for i in (0, 700, 1499)]
    assert torch.equal(whole[:, :, [0, 700, 1499]], torch.cat(parts, 2))


def test_the_stage_keeps_scores_in_the_unit_interval_where_the_window_is_mostly_outside() -> None:
    x = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    n_frames = torch.full((3,), 2)
    assert median_filter(x, n_frames, [5], "lowest").isneginf().all()
    stage = MedianFilter(edge="lowest")
    frames = Frames(n_frames, 0.1, torch.arange(3, dtype=torch.float64)[None] * 0.1, torch.full((3,), 0.2).double())
    assert stage(x, frames, kernel=torch.full((3,), 0.5)).eq(0).all()
    assert stage.sweep(x, frames).ge(0).all()


@pytest.mark.parametrize("kernels", [[2], [3, 4], [0], [-1]])
def test_even_kernels_are_refused(kernels: list[int]) -> None:
    with pytest.raises(ValueError, match="odd"):
        median_filter(torch.zeros(5, 1), torch.tensor([5]), kernels)


def test_an_unknown_edge_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="reflect"):
        pad_edges(torch.zeros(5, 1), torch.tensor([5]), 1, "nearest")  # pyright: ignore[reportArgumentType]


@given(st.floats(0, 20), st.sampled_from((0.01, 0.02, 0.032, 0.064, 0.1, 0.32)))
def test_odd_kernel_is_the_nearest_odd_number(seconds: float, hop: float) -> None:
    kernel = odd_kernel(seconds, hop)
    assert kernel % 2 == 1
    assert kernel >= 1
    assert abs(kernel - seconds / hop) <= 1 + 1e-3


@given(st.integers(0, 400), st.sampled_from((0.01, 0.02, 0.032, 0.05, 0.064, 0.1, 0.32)))
def test_odd_kernel_is_the_same_in_single_and_in_double_precision(frames: int, hop: float) -> None:
    seconds = frames * hop
    assert odd_kernel(seconds, hop) == odd_kernel(float(np.float32(seconds)), hop) == frames + 1 - frames % 2
    assert odd_kernel(seconds, hop) <= odd_kernel(seconds + hop, hop)


@pytest.mark.filterwarnings("ignore:kernel_size exceeds volume extent")
@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 9),
    st.lists(st.sampled_from(KERNELS), min_size=1, max_size=4).filter(lambda kernels: max(kernels) > 1),
    st.sampled_from(EDGE_MODES),
    st.sampled_from((1, 2, 50, 255)),
)
def test_majority_votes_equal_their_namesakes(
    seed: int, width: int, n_tracks: int, kernels: list[int], edge: EdgeMode, top: int
) -> None:
    rng = np.random.default_rng(seed)
    n_frames = torch.from_numpy(rng.integers(1, width + 1, n_tracks))
    # Tracks that are silent, that reach the top, and that lie between.
    x = torch.from_numpy(rng.integers(0, top + 1, (width, n_tracks)) * rng.integers(0, 2, n_tracks)).to(torch.uint8)
    x = x.masked_fill(torch.arange(width)[:, None] >= n_frames, 0)
    before = x.clone()
    found = filter_by_votes(x, n_frames, kernels, edge)
    assert torch.equal(x, before)
    assert torch.equal(found, filter_by_sorting(x, n_frames, kernels, edge))
    for kernel, one in zip(kernels, found, strict=True):
        assert torch.equal(one, expected(x, n_frames, kernel, edge))


@pytest.mark.parametrize("width", [1, 300])
@pytest.mark.parametrize("edge", EDGE_MODES)
def test_majority_votes_fill_a_byte_and_no_more(edge: EdgeMode, width: int) -> None:
    x = torch.full((width, 3), 255, dtype=torch.uint8)
    x[:, 1] = torch.arange(width) % 256
    n_frames, kernels = torch.full((3,), width), [1, LONGEST - 2, LONGEST]
    found = filter_by_votes(x, n_frames, kernels, edge)
    assert torch.equal(found, filter_by_sorting(x, n_frames, kernels, edge))


def test_majority_votes_beyond_the_tile_size_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, n_frames = draw_tracks(2, 156, 700, torch.uint8)
    x[:, ::3] = 0
    way = []
    monkeypatch.setattr(median, "filter_by_votes", lambda *a: way.append(a) or filter_by_votes(*a))
    kernels = [1, 3, 19, 85]
    levels = x.clamp(max=3)
    assert torch.equal(
        median_filter(levels, n_frames, kernels), filter_by_sorting(levels, n_frames, kernels, "reflect")
    )
    assert way
    way.clear()
    many = torch.from_numpy(np.random.default_rng(0).integers(0, 256, x.shape)).to(torch.uint8)
    median_filter(many, torch.full_like(n_frames, 156), [1, 3, 19])
    median_filter(levels, n_frames, [LONGEST + 2, 3])
    assert not way, "many levels or sums beyond a byte are sorted"


@given(st.lists(st.integers(2, LONGEST), min_size=1, max_size=10))
def test_sums_over_windows_are_made_of_sums_that_there_are(sizes: list[int]) -> None:
    made = {1}
    for size, (a, b) in sums_of_windows(sizes).items():
        assert a + b == size
        assert {a, b} <= made
        made.add(size)
    assert {*sizes} <= made


@pytest.mark.parametrize("kernels", [[3], [27], [201], [1, 3, 5, 9, 13, 19, 27, 39, 57, 85]])
def test_the_steps_of_the_networks_are_foretold(kernels: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for name in ("minimum", "maximum", "clamp"):
        own = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *a, own=own, **k: taken.append(1) or own(*a, **k))
    filter_by_sorting(torch.zeros(9, 1, dtype=torch.uint8), torch.tensor([9]), kernels, "zeros")
    assert comparisons(kernels) == pytest.approx(len(taken), rel=0.1, abs=2)
