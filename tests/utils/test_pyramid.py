"""Extremes over ranges against NumPy's, range by range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.utils.pyramid import RangePyramid

KINDS = {"least": (torch.minimum, np.min), "most": (torch.maximum, np.max)}


def draw(seed: int, shape: tuple[int, ...], dtype: torch.dtype, n: int) -> tuple[torch.Tensor, ...]:
    """Draws values with ties, ranges of frames, and where each lies."""
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.integers(0, 20, shape))
    values = values.float() / 19 if dtype == torch.float32 else values.to(dtype)
    first, last = np.sort(rng.integers(0, shape[1], (2, n)), axis=0)
    return values, torch.from_numpy(first), torch.from_numpy(last), torch.from_numpy(rng.integers(0, 2**31, n))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 70), st.integers(1, 4),
    st.sampled_from((torch.float32, torch.uint8, torch.int16)),
)  # fmt: skip
def test_extremes_of_columns_are_numpys(
    kind: str, seed: int, n_rows: int, width: int, n_columns: int, dtype: torch.dtype
) -> None:
    pick, oracle = KINDS[kind]
    values, first, last, where = draw(seed, (n_rows, width, n_columns), dtype, 25)
    column = where % n_columns
    before = values.clone()
    found = RangePyramid(values, pick).of_columns(first, last, column)
    assert found.dtype == dtype
    assert torch.equal(values, before)
    for row in range(n_rows):
        x = values[row].numpy()
        expected = [oracle(x[a : b + 1, k]) for a, b, k in zip(first, last, column, strict=True)]
        assert found[row].tolist() == [x.item() for x in expected]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 70))
def test_extremes_of_rows_are_numpys(kind: str, seed: int, n_rows: int, width: int) -> None:
    pick, oracle = KINDS[kind]
    values, first, last, where = draw(seed, (n_rows, width), torch.float32, 25)
    row = where % n_rows
    expected = [oracle(values[r, a : b + 1].numpy()) for r, a, b in zip(row, first, last, strict=True)]
    for longest in (None, int((last - first).max()) + 1):
        assert RangePyramid(values[..., None], pick, longest).of_rows(row, first, last).tolist() == expected


def test_a_pyramid_is_as_high_as_its_longest_range() -> None:
    heights = [
        RangePyramid(torch.rand(1, 70, 1), torch.minimum, longest).levels.shape[1] for longest in (0, 1, 4, 99, None)
    ]
    assert heights == [1, 1, 3, 7, 7]


@pytest.mark.parametrize("pick", [torch.minimum, torch.maximum])
def test_no_query_gives_no_answer(pick: Callable) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    pyramid = RangePyramid(torch.rand(2, 5, 1), pick)
    assert pyramid.of_columns(none, none, none).shape == (2, 0)
    assert pyramid.of_rows(none, none, none).shape == (0,)
