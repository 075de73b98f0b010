"""Stacks of any stages in any order that fits: the sweep counts what each candidate gives when it is applied."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import small_simulation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

SCORES: dict[str, dict[str, Any]] = {
    "median": {"kernel": [0, 0.3]},
    "mean": {"kernel": [0, 0.3]},
    "gaussian": {"deviation": [0, 0.1]},
    "clip_gate": {"level": [0, 0.6]},
    "normalise": {"strength": [0, 0.7]},
}
DECIDE: dict[str, dict[str, Any]] = {
    "threshold": {"threshold": [0.2, 0.5, 1.0]},
    "hysteresis": {"onset": [0.4, 0.7], "offset": {"candidates": [0.2, 0.5], "default": 0.2}},
}
EVENTS: dict[str, dict[str, Any]] = {
    "gap_fill": {"gap": [0, 0.25]},
    "duration": {"shortest": [0, 0.3], "longest": [3, 600]},
    "padding": {"before": [0, 0.1], "after": [0, 0.07]},
}


@pytest.fixture(scope="module")
def scores() -> ScoreSet:
    return small_simulation(6, 2, short=0.4)


def stacks(events: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    def of(kinds: dict[str, dict[str, Any]], n: int) -> st.SearchStrategy[list[dict[str, Any]]]:
        return st.lists(st.sampled_from([{"stage": k, **v} for k, v in kinds.items()]), min_size=n, max_size=n)

    return st.tuples(of(SCORES, 2 - events), of(DECIDE, 1), of(EVENTS, events)).map(
        lambda parts: [*parts[0], *parts[1], *parts[2]]
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=st.integers(0, 2).flatmap(stacks))
def test_the_table_holds_what_every_candidate_gives(scores: ScoreSet, config: list[dict[str, Any]]) -> None:
    task = TuningTask.build(scores, config)
    table, references = task.table, scores.require_references()
    for candidate, values in enumerate(task.stack.space.values):
        expected = task.metric.count(references, task.stack.events(scores, values))
        for name, column in table.counts.items():
            own = column if column.ndim == 2 else column[..., candidate]
            assert torch.equal(own.long(), expected[name]), (config, candidate, name)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["threshold", "median"], r"Stage 'median' takes scores, but decisions reach it; reorder the stack"),
        (["gap_fill", "threshold"], r"Stage 'gap_fill' takes events, but scores reach it"),
        (["threshold", "hysteresis"], r"Stage 'hysteresis' takes scores, but decisions"),
        (["threshold", "duration", "clip_gate"], r"Stage 'clip_gate' takes scores, but events"),
        (["mean", "gaussian", "normalise"], r"ends with scores; add a stage that decides"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Stack.from_config([{"stage": name} for name in order])
