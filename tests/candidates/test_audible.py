"""What filters and thresholds decode where silence is left out, against what they decode of the whole."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
import torch
from cases import make_set

from rl_postproc.candidates.audible import AudibleFrames, reach_of_filters
from rl_postproc.candidates.events import decode_candidates
from rl_postproc.counts.levels import filtered_levels
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import Kind, Parameter, Seconds, Stage
from rl_postproc.stages.sorting_networks import EDGE_MODES, EdgeMode, odd_kernel
from rl_postproc.stages.track_groups import by_value
from rl_postproc.utils.level_runs import level_runs

HOP = 0.1
REACH = 12  # of the longest of these filters


class Highest(Stage):
    """The highest score of a window, which makes the most of its reach."""

    stage: Literal["test_highest"] = "test_highest"
    length: Seconds = Parameter(candidates=(0.0, 1.0), default=0.0)
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"
    monotone: ClassVar[bool] = True

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        def highest(own: torch.Tensor, n_frames: torch.Tensor, length: float) -> torch.Tensor:
            radius = odd_kernel(length, frames.hop) // 2
            return torch.nn.functional.pad(own, (0, 0, radius, radius)).unfold(0, 2 * radius + 1, 1).amax(2)

        return by_value(highest, x, frames.n_frames, values["length"])

    def reach(self, hop: float, **values: torch.Tensor) -> int:
        return odd_kernel(float(values["length"].max()), hop) // 2


def stack_of(edge: EdgeMode) -> Stack:
    """Returns two filters, whose reaches add up."""
    return Stack.from_config([
        {"stage": "test_highest"},
        {"stage": "median", "kernel": [0.0, 0.5, 1.5], "edge": edge},
        {"stage": "threshold", "threshold": [0.2, 0.5, 0.8]},
    ])  # fmt: skip


def sparse(seed: int, gap: int, n_frames: list[int]) -> ScoreSet:
    """Draws clips of two classes, stretches of sound in silence of about some length; the first track is silent."""
    generator = torch.Generator().manual_seed(seed)
    width, rows = max(n_frames), []
    for n in n_frames:
        for _ in range(2):
            x, t = torch.zeros(width), int(torch.randint(gap + 3, (1,), generator=generator))
            while t < n:
                length = int(torch.randint(1, 15, (1,), generator=generator))
                x[t : t + length] = torch.rand(len(x[t : t + length]), generator=generator)
                t += length + gap + int(torch.randint(-3, 4, (1,), generator=generator))
            x[n:] = 0
            rows.append(x)
    scores = torch.stack(rows).view(len(n_frames), 2, width)
    scores[0, 0] = 0.1  # below the lowest threshold
    return make_set(scores, [], edges=torch.arange(width + 1, dtype=torch.float64)[None] * HOP, n_frames=n_frames)


@pytest.mark.parametrize("edge", EDGE_MODES)
@pytest.mark.parametrize("gap", [REACH, 2 * REACH, 2 * REACH + 3, 90])
def test_the_events_are_those_of_the_whole(edge: EdgeMode, gap: int) -> None:
    stack = stack_of(edge)
    for seed in range(8):
        scores = sparse(seed, gap, [400, 250, 30])
        values, _ = filtered_levels(scores, stack, slice(0, 3))
        expected = sorted(zip(*(column.tolist() for column in level_runs(values)), strict=True))
        found = decode_candidates(scores, stack)
        own = found.track[found.event], found.first[found.event], found.last[found.event]
        columns = (*own, found.filter, found.low, found.high)
        assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == expected
        assert (found.n_tracks, found.n_filters, found.n_levels) == (6, 6, 3)


def test_silent_tracks_and_long_silence_are_left_out() -> None:
    stack = stack_of("reflect")
    assert reach_of_filters(stack.filters, HOP) == REACH
    levels = torch.zeros(3, 1000, dtype=torch.uint8)
    levels[1, 500:503] = 2
    levels[2, 2], levels[2, 999] = 1, 1
    found = AudibleFrames.of(levels, torch.full((3,), 1000), REACH)
    assert found.track.tolist() == [1, 2]
    assert found.n_frames.tolist() == [3 + 2 * (REACH + 1), 3 + REACH + 1 + REACH + 2]
    assert found.levels.shape == (2, int(found.n_frames.max()))
    for track, n in enumerate(found.n_frames.tolist()):
        frames = found.frame_of(torch.full((n,), track), torch.arange(n))
        assert (frames.diff() > 0).all()
        assert torch.equal(levels[found.track[track], frames], found.levels[track, :n])
        assert found.levels[track].sum() == levels[found.track[track]].sum()


def test_filters_that_look_at_the_whole_or_mix_scores_get_the_whole() -> None:
    for name in ("normalise", "mean"):
        stack = Stack.from_config([{"stage": name}, {"stage": "threshold"}])
        assert reach_of_filters(stack.filters, HOP) is None
