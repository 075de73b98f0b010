"""Counts at every threshold of events' confidences: on any grid of thresholds they are the grid's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from rl_postproc.agents import make_agent

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

SCORES: list[list[dict[str, Any]]] = [
    [],
    [{"stage": "median", "kernel": [0, 0.3]}],
    [{"stage": "mean", "kernel": [0.2]}],
]
BOXES = {"stage": "boxes", "window": [0.2, 0.5], "absolute": [0.1, 0.3]}
DECODERS: list[list[dict[str, Any]]] = [
    [BOXES],
    [BOXES, {"stage": "duration", "shortest": [0, 0.3]}],
    [BOXES, {"stage": "shift", "onset": [-0.1, 0.1], "offset": 0}],
]


def stack_of(before: list, decoder: list | None, thresholds: list[float]) -> Stack:
    grid = {"candidates": thresholds, "default": thresholds[0]}
    if decoder is None:
        hysteresis = {"stage": "hysteresis", "offset": {"candidates": [0.05, 0.2], "default": 0.05}, "onset": grid}
        return Stack.from_config([*before, hysteresis])
    return Stack.from_config([*before, *decoder, {"stage": "confidence", "threshold": grid}])


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    before=st.sampled_from(SCORES),
    decoder=st.sampled_from([*DECODERS, None]),
    thresholds=st.lists(st.integers(10, 100), min_size=1, max_size=6, unique=True).map(
        lambda x: sorted(v / 100 for v in x)
    ),
)
def test_at_any_thresholds_they_are_those_of_the_grid(
    seed: int, before: list, decoder: list | None, thresholds: list[float]
) -> None:
    task = TuningTask.build(small_simulation(5, 2, seed=seed, short=0.4), stack_of(before, decoder, thresholds))
    counts = sweep_all_thresholds(task.scores, task.stack, task.metric)
    looked_up = counts.table(thresholds)
    for name, column in task.table.counts.items():
        assert torch.equal(column.int(), looked_up.counts[name].int()), name


@pytest.mark.parametrize("decoder", [*DECODERS, None])
def test_the_exact_search_is_never_below_the_grid_on_its_clips_and_gets_what_it_promises(decoder: list | None) -> None:
    stack = stack_of([], decoder, [0.1, 0.3, 0.5, 0.7])
    task = TuningTask.build(small_simulation(20, 3), stack)
    scores = []
    for agent in ("exact_search", "grid_search"):
        fit = make_agent({"agent": agent, "selection": "maximum"}).fit(task, 0)
        events = fit.post_processor.apply(task.scores)
        found = task.metric.count(task.scores.require_references(), events)
        scores.append(task.metric.summarise({name: column.sum(0) for name, column in found.items()}).macro)
    assert scores[0] >= scores[1] - 1e-12
    assert scores[0] > 0


def test_a_choice_of_stacks_has_no_one_threshold() -> None:
    task = TuningTask.build(small_simulation(4, 2), "rich")
    for agent in ("exact_search", "sgl_thresh", "num_thresh", "heu_thresh"):
        with pytest.raises(UserError, match="learns the threshold of a stack that ends with one"):
            make_agent(agent).check(task)
    boxes = TuningTask.build(small_simulation(4, 2), [{"stage": "boxes"}, {"stage": "confidence"}])
    with pytest.raises(UserError, match="learns the threshold"):
        make_agent("sgl_thresh").check(boxes)
