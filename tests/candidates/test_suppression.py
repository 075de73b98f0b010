"""Non-maximum suppression against the plain loop."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.suppression import best_apart

intervals = st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 12)).map(
    lambda e: (e[0], e[1], e[1] + e[2])
)


def make_events(rows: list[tuple[int, int, int]]) -> DecodedEvents:
    track, first, last = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).unbind(1)
    nothing = torch.zeros(0, dtype=torch.int64)
    return DecodedEvents(track, first, last, nothing, nothing, nothing, nothing, 3, 1, 1)


def plain(rows: list[tuple[int, int, int]], values: list[float]) -> list[bool]:
    """The best event first, of equals the first; then the next that shares no frame with those before."""
    chosen: list[int] = []
    for i in sorted(range(len(rows)), key=lambda i: (-values[i], i)):
        apart = all(rows[i][0] != rows[j][0] or rows[i][1] > rows[j][2] or rows[i][2] < rows[j][1] for j in chosen)
        if values[i] > 0 and apart:
            chosen.append(i)
    return [i in chosen for i in range(len(rows))]


@given(st.lists(intervals, max_size=40, unique=True).map(sorted), st.data())
@settings(max_examples=500, deadline=None)
def test_suppression_is_that_of_the_plain_loop(rows: list[tuple[int, int, int]], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-1, 8), min_size=len(rows), max_size=len(rows)))
    found = best_apart(make_events(rows), torch.tensor(values, dtype=torch.float32) / 8)
    assert found.tolist() == plain(rows, values)


def test_a_chain_in_which_each_choice_waits_for_the_one_before_is_worked_off() -> None:
    rows = [(0, 2 * i, 2 * i + 2) for i in range(300)]
    values = [1 - i / 1000 for i in range(300)]
    assert best_apart(make_events(rows), torch.tensor(values)).tolist() == [i % 2 == 0 for i in range(300)]
