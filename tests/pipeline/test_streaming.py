"""Clips in pieces: the events of the whole clip, to the last bit, wherever the borders of the pieces fall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_cases import DECIDE, EVENTS, SCORES, scores_of, stacks

from rl_postproc.data.clip_source import Piece
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.stack import Stack
from rl_postproc.pipeline.streaming import not_in_pieces, stream_events
from rl_postproc.stages.base import Kind, Stage


def in_pieces(scores: ScoreSet, seed: int, most: int) -> Iterator[Piece]:
    rng, n, start = np.random.default_rng(seed), int(scores.n_frames[0]), 0
    x, edges = scores.scores[0].T.numpy(), scores.edges[0].numpy()
    while start < n:
        stop = min(n, start + int(rng.integers(1, most + 1)))
        yield edges[start : stop + 1], x[start:stop]
        start = stop


def assert_same(scores: ScoreSet, config: list[dict[str, Any]], seed: int, most: int) -> None:
    stack = Stack.from_config(config)
    rng = np.random.default_rng(seed)
    values = torch.tensor(
        [[float(rng.choice(p.candidates)) for p in stack.space.parameters] for _ in range(scores.n_classes)]
    )
    expected = stack.track_events(scores, values)
    duration = float(scores.durations[0])
    found = stream_events(lambda: in_pieces(scores, seed, most), stack, values, scores.hop, duration)
    for name in ("track", "onset", "offset", "confidence"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), (name, config, values)


@settings(max_examples=150)
@given(config=stacks, n_frames=st.integers(1, 120), seed=st.integers(0, 10_000), most=st.sampled_from([1, 2, 7, 40]))
def test_any_stack_gives_the_same_in_any_pieces(config: list, n_frames: int, seed: int, most: int) -> None:
    assert_same(scores_of(n_frames, seed), config, seed, most)


@settings(max_examples=20)
@given(first=stacks, second=stacks, seed=st.integers(0, 10_000))
def test_each_class_goes_through_its_own_alternative(first: list, second: list, seed: int) -> None:
    config = [{"stage": "one_of", "stacks": {"a": first, "b": second}}]
    assert_same(scores_of(80, seed), config, seed, 9)


@pytest.mark.parametrize("decide", DECIDE, ids=lambda config: f"{config['stage']} {config.get('extent', '')}")
@pytest.mark.parametrize("filters", [[], *([config] for config in SCORES)], ids=str)
def test_long_clips_in_small_pieces(filters: list, decide: dict[str, Any]) -> None:
    for seed in range(3):
        assert_same(scores_of(2500, seed), [*filters, decide], seed, 30)


class Widest(Stage):
    """A stage that looks at the clip as a whole and says nothing about pieces."""

    stage: Literal["widest"] = "widest"
    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "scores"

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> torch.Tensor:
        return x.cummax(0).values


def test_a_stage_that_says_nothing_about_pieces_is_named() -> None:
    assert not_in_pieces(Stack.from_config([SCORES[0], SCORES[-2], DECIDE[3], EVENTS[0]])) == ""
    hidden = [{"stage": "one_of", "stacks": {"a": [DECIDE[0]], "b": [{"stage": "widest"}, DECIDE[0]]}}]
    assert not_in_pieces(Stack.from_config(hidden)) == "widest"


def test_pieces_may_lie_in_a_file_that_cannot_be_written_to(recwarn: pytest.WarningsRecorder) -> None:
    scores, stack = scores_of(50, 0), Stack.default()
    values = stack.space.defaults.repeat(scores.n_classes, 1)
    pieces = [(edges, np.ascontiguousarray(x)) for edges, x in in_pieces(scores, 0, 20)]
    for _, x in pieces:
        x.flags.writeable = False
    torch.set_warn_always(True)  # torch says it once otherwise, perhaps in another test
    try:
        found = stream_events(lambda: pieces, stack, values, scores.hop, float(scores.durations[0]))
    finally:
        torch.set_warn_always(False)
    assert torch.equal(found.onset, stack.track_events(scores, values).onset)
    assert not recwarn
