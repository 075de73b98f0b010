"""The best set of events against all sets, and against a linear programme."""

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.scheduling import best_sets


def make_events(rows: list[tuple[int, int, int]]) -> DecodedEvents:
    """Returns events ``(track, first, last)``, which decoding has sorted and made distinct."""
    rows = sorted(set(rows))
    track, first, last = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).unbind(1)
    nothing = torch.zeros(0, dtype=torch.int64)
    return DecodedEvents(track, first, last, nothing, nothing, nothing, nothing, 3, 1, 1)


def overlap(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
    return a[0] == b[0] and a[1] <= b[2] and b[1] <= a[2]


intervals = st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 5)).map(lambda e: (e[0], e[1], e[1] + e[2]))


@given(st.lists(intervals, max_size=9), st.data())
@settings(max_examples=300)
def test_no_set_of_events_that_share_no_frame_is_worth_more(rows, data):
    events = make_events(rows)
    rows = sorted(set(rows))
    values = data.draw(st.lists(st.integers(-3, 5), min_size=len(rows), max_size=len(rows)))
    chosen = best_sets(events, torch.tensor(values, dtype=torch.float32)).tolist()
    best = 0
    for wanted in itertools.product([False, True], repeat=len(rows)):
        own = [row for row, keep in zip(rows, wanted, strict=True) if keep]
        if not any(overlap(a, b) for a, b in itertools.combinations(own, 2)):
            best = max(best, sum(v for v, keep in zip(values, wanted, strict=True) if keep))
    taken = [row for row, keep in zip(rows, chosen, strict=True) if keep]
    assert not any(overlap(a, b) for a, b in itertools.combinations(taken, 2))
    assert sum(v for v, keep in zip(values, chosen, strict=True) if keep) == best
    assert all(v > 0 for v, keep in zip(values, chosen, strict=True) if keep)


def test_on_hundreds_of_events_the_total_is_that_of_an_integer_programme():
    generator = np.random.default_rng(0)
    first = generator.integers(0, 400, 300)
    rows = sorted({(0, int(f), int(f + n)) for f, n in zip(first, generator.integers(0, 60, 300), strict=True)})
    values = generator.normal(0.2, 1, len(rows))
    chosen = best_sets(make_events(rows), torch.tensor(values))
    frames = np.zeros((460, len(rows)))
    for i, (_, begin, end) in enumerate(rows):
        frames[begin : end + 1, i] = 1
    found = milp(
        -values, constraints=LinearConstraint(frames, -np.inf, 1), integrality=np.ones(len(rows)), bounds=(0, 1)
    )
    assert (frames @ chosen.double().numpy()).max() <= 1
    assert abs(values[chosen.numpy()].sum() + found.fun) < 1e-6


def test_events_that_touch_may_both_be_chosen_and_nothing_is_chosen_of_nothing():
    events = make_events([(0, 0, 3), (0, 4, 5), (1, 0, 0)])
    assert best_sets(events, torch.tensor([1.0, 1.0, 0.0])).tolist() == [True, True, False]
    assert best_sets(make_events([]), torch.zeros(0)).tolist() == []
