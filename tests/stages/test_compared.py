"""Filters on what scores are compared with, against filters on the scores themselves."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import Frames
from rl_postproc.stages import Stage
from rl_postproc.stages.chain import run_stages
from rl_postproc.stages.compared import Ranks
from rl_postproc.stages.majority import majority_filter
from rl_postproc.stages.median import median_filter
from rl_postproc.stages.sorting_networks import EDGE_MODES, EdgeMode

KERNELS = (1, 3, 5, 21, 253, 255, 257, 601)
DECISIONS: list[dict[str, Any]] = [
    {"stage": "threshold"},
    {"stage": "hysteresis"},
    {"stage": "hysteresis", "extent": "forward"},
]


def drawn(seed: int, width: int, levels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws six tracks of a few levels, in stretches of different lengths, some of which end early."""
    generator = torch.Generator().manual_seed(seed)
    n_frames = torch.randint(1, width + 1, (6,), generator=generator)
    n_frames[: seed % 2 * 6 or 1] = width  # all tracks, or the first
    lasting = torch.randint(1, 40, (width,), generator=generator)
    x = torch.randint(levels, (width, 6), generator=generator).repeat_interleave(lasting, 0)[:width]
    return x.to(torch.uint8) * (torch.arange(width)[:, None] < n_frames), n_frames


@pytest.mark.parametrize("edge", EDGE_MODES)
def test_a_majority_is_the_median(edge: EdgeMode) -> None:
    for seed, (width, levels) in enumerate(product((1, 2, 40, 700), (1, 2, 3, 6))):
        x, n_frames = drawn(seed, width, levels)
        before, valid = x.clone(), torch.arange(width)[:, None] < n_frames
        for kernel, expected in zip(KERNELS, median_filter(x, n_frames, KERNELS, edge), strict=True):
            assert torch.equal(majority_filter(x, n_frames, kernel, edge) * valid, expected), (width, levels, kernel)
        assert torch.equal(x, before)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.sampled_from(DECISIONS), st.sampled_from(EDGE_MODES))
def test_decisions_on_filtered_scores_are_those_on_filtered_ranks(
    seed: int, width: int, config: dict[str, Any], edge: EdgeMode
) -> None:
    filters, decides = [Stage.make(c, "stack") for c in ({"stage": "median", "edge": edge}, config)]
    generator = torch.Generator().manual_seed(seed)
    n_frames = torch.randint(1, width + 1, (8,), generator=generator)
    # Scores that equal thresholds, thresholds that equal each other, and an offset above the onset.
    x = torch.randint(11, (width, 8), generator=generator).float() / 10 * (torch.arange(width)[:, None] < n_frames)
    values = torch.randint(11, (8, 1 + len(decides.parameters)), generator=generator).float() / 10
    frames = Frames(n_frames, 0.1, torch.arange(width + 1)[None] * 0.1, n_frames * 0.1)
    filtered = filters(x, frames, kernel=values[:, 0])
    expected = decides(filtered, frames, **dict(zip(decides.parameters, values[:, 1:].unbind(1), strict=True)))
    found = run_stages([filters, decides], x, frames, values)
    assert isinstance(found, torch.Tensor)
    assert torch.equal(found, expected)


def test_stages_that_need_scores_get_them() -> None:
    stages = {name: Stage.make({"stage": name}, "stack") for name in ("median", "mean", "threshold", "boxes")}

    def ranks(*names: str) -> Ranks | None:
        own = [stages[name] for name in names]
        return Ranks.of(own, torch.full((2, sum(len(stage.parameters) for stage in own)), 0.5))

    assert ranks("median", "threshold") is not None
    assert [ranks("threshold"), ranks("mean", "threshold"), ranks("median", "mean", "threshold")] == [None] * 3
    assert ranks("median", "boxes") is None
