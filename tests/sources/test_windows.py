"""Windows: what depends on as many frames as a segment comes out of each as of the whole recording."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

pytest.importorskip("torch")

from rl_postproc.sources.panns.windows import windows

REACH = 158
"""Frames on each side of a segment that it depends on, by the poolings and convolutions of Cnn14."""


def frames_of(padded: np.ndarray) -> np.ndarray:
    """One number a frame, that of all of its samples."""
    sums = np.concatenate([[0], np.cumsum(padded.astype(np.float64))])
    starts = np.arange((len(padded) - 1024) // 320 + 1) * 320
    return sums[starts + 1024] - sums[starts]


def segments_of(frames: np.ndarray) -> np.ndarray:
    """One number a segment, that of all frames it depends on; there is nothing beyond the ends."""
    sums = np.concatenate([[0], np.cumsum(frames * (1 + np.arange(len(frames)) % 32))])
    n = len(frames) // 32
    first, last = np.arange(n) * 32 - REACH, np.arange(n) * 32 + 31 + REACH
    return sums[np.clip(last + 1, 0, len(frames))] - sums[np.clip(first, 0, len(frames))]


@settings(max_examples=60)
@example(250_000, 1, 7000, 0)
@example(102_400, 3, 60_000, 0)
@example(9920, 2, 100, 0)
@given(st.integers(1, 250_000), st.integers(1, 12), st.integers(100, 60_000), st.integers(0, 1000))
def test_windows_give_the_segments_of_the_whole(n: int, n_segments: int, block: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-9, 10, n).astype(np.float32)
    whole = np.pad(np.pad(samples, (0, max(0, 10240 - n))), 512, mode="reflect")
    parts = []
    for window in windows((samples[i : i + block] for i in range(0, n, block)), n_segments):
        assert 0 < window.keep <= n_segments and window.skip <= 5
        # Those of the margins that lie within reach of a border that is none are wrong, and not kept.
        parts.append(segments_of(frames_of(window.samples))[window.skip : window.skip + window.keep])
    np.testing.assert_array_equal(np.concatenate(parts), segments_of(frames_of(whole)))
