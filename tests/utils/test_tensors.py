"""Operations on tensors against plain loops."""

from __future__ import annotations

import json

import torch
from hypothesis import given
from hypothesis import strategies as st

from rl_postproc.utils.tensors import argsort, decimals, divide, first_of_equals, flatnonzero, ragged_ranges

whole = st.integers(-5, 40)


@given(st.lists(st.tuples(whole, st.integers(0, 4)), max_size=8))
def test_ragged_ranges_are_the_numbers_of_each_range_in_turn(ranges: list[tuple[int, int]]) -> None:
    expected = [(i, number) for i, (first, size) in enumerate(ranges) for number in range(first, first + size)]
    first, size = torch.tensor(ranges, dtype=torch.int64).reshape(-1, 2).unbind(1)
    owner, number = ragged_ranges(first, size)
    assert list(zip(owner.tolist(), number.tolist(), strict=True)) == expected
    assert owner.dtype == number.dtype == torch.int64


def test_decimals_are_the_shortest_that_become_the_same_float32() -> None:
    assert decimals(torch.tensor([[0.81, 0.1], [1.0, 1e-7]])) == [[0.81, 0.1], [1.0, 1e-7]]
    assert decimals(torch.tensor(0.3)) == 0.3
    assert decimals(torch.tensor([0.1], dtype=torch.float64)) == [0.1]
    assert decimals(torch.tensor([3])) == [3]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30))
def test_decimals_lose_nothing(values: list[float]) -> None:
    x = torch.tensor(values)
    assert torch.equal(torch.tensor(json.loads(json.dumps(decimals(x)))), x)


def test_decimals_lose_nothing_of_any_bits() -> None:
    bits = torch.randint(-(2**31), 2**31, (200_000,), generator=torch.Generator().manual_seed(0)).int()
    x = bits.view(torch.float32)
    x = x[x.isfinite()]
    assert torch.equal(torch.tensor(decimals(x)).view(torch.int32), x.view(torch.int32))
    assert all(float(f"{value:.9g}") == value for value in decimals(x))  # nine digits tell any float32


@given(st.lists(st.integers(0, 2), max_size=12))
def test_first_of_equals_points_to_where_each_stretch_begins(values: list[int]) -> None:
    expected = []
    for i, value in enumerate(values):
        expected.append(expected[-1] if i and value == values[i - 1] else i)
    found = first_of_equals(torch.tensor(values, dtype=torch.int64))
    assert found.tolist() == expected
    assert found.dtype == torch.int64


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), max_size=6))
def test_flatnonzero_counts_through_all_dimensions(rows: list[list[bool]]) -> None:
    mask = torch.tensor(rows, dtype=torch.bool).reshape(len(rows), 3)
    assert flatnonzero(mask).tolist() == [i for i, x in enumerate(x for row in rows for x in row) if x]


@given(st.lists(st.lists(whole, min_size=4, max_size=4), min_size=1, max_size=4))
def test_argsort_orders_each_row(rows: list[list[int]]) -> None:
    x = torch.tensor(rows)
    order = argsort(x)
    assert x.gather(-1, order).tolist() == [sorted(row) for row in rows]
    assert order.sort(-1).values.tolist() == [[0, 1, 2, 3]] * len(rows)


@given(st.lists(st.integers(0, 2**40), max_size=6), st.integers(1, 1000))
def test_divide_gives_whole_quotients(values: list[int], by: int) -> None:
    assert divide(torch.tensor(values, dtype=torch.int64), by).tolist() == [value // by for value in values]
