"""The runs of all levels against those of one level after another."""

from __future__ import annotations

import pytest
import torch

from rl_postproc.data.track_events import runs
from rl_postproc.utils.level_runs import level_runs


@pytest.mark.parametrize("lasting", [1, 4])
def test_each_run_exists_at_the_levels_between_two(lasting: int) -> None:
    generator = torch.Generator().manual_seed(lasting)
    for n_filters, width, n_tracks, n_levels in (
        (1, 1, 1, 1),
        (1, 1, 3, 2),
        (2, 9, 1, 3),
        (3, 30, 4, 9),
        (2, 50, 0, 3),
    ):
        for _ in range(10):
            values = torch.randint(n_levels + 1, (n_filters, width, n_tracks), generator=generator, dtype=torch.uint8)
            values = values.repeat_interleave(lasting, 1)
            found = level_runs(values)
            for level in range(n_levels + 1):
                here = (found.low <= level) & (level < found.high)
                own = zip(*(found[i][here].tolist() for i in (3, 0, 1, 2)), strict=True)
                expected = [(f, *run) for f in range(n_filters)
                            for run in zip(*(c.tolist() for c in runs((values[f] > level).T)), strict=True)]  # fmt: skip
                assert sorted(own) == expected
