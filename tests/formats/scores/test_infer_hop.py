"""The hop behind event times."""

from __future__ import annotations

import numpy as np
import pytest

from rl_postproc.formats.scores.infer_hop import infer_hop, to_frames
from rl_postproc.utils.errors import UserError

EXACT = [0.064, 0.02, 0.01, 0.016, 0.1, 1.0]
INEXACT = [512 / 22050, 256 / 44100]
CHOICES = {
    "all": np.arange(600),
    "third": np.random.default_rng(0).choice(600, 200, replace=False),
    "late": np.arange(300, 600),
}
CASES = [(hop, decimals, which) for hop in EXACT + INEXACT for decimals in (3, 6) for which in CHOICES]


# Where only late times are known, and coarsely, several hops fit.
@pytest.mark.parametrize(
    ("hop", "decimals", "which"), [case for case in CASES if case[0] in EXACT or case[1:] != (3, "late")]
)
def test_hop_is_told_from_times(hop: float, decimals: int, which: str) -> None:
    frames = CHOICES[which]
    times = np.round(frames * hop, decimals)
    found = infer_hop(times)
    assert found == (hop if hop in EXACT else pytest.approx(hop, rel=1e-5))
    assert np.array_equal(to_frames(times, found)[0], frames)
    assert to_frames(times, found)[1].all()


def test_hop_is_told_where_no_two_times_are_neighbours() -> None:
    assert infer_hop(np.array([0, 2, 4, 6, 9, 11, 13, 15]) * 0.064) == 0.064


def test_hop_is_told_despite_a_few_stray_times() -> None:
    times = np.append(np.arange(400) * 0.064, [0.1, 5.03])
    assert infer_hop(times) == 0.064
    assert np.flatnonzero(~to_frames(times, 0.064)[1]).tolist() == [400, 401]


def test_times_without_grid_are_refused() -> None:
    with pytest.raises(UserError, match="follow no frame grid"):
        infer_hop(np.random.default_rng(0).uniform(0, 10, 500))
