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
    "boxes": {"window": [0.2, 0.5], "absolute": [0.1, 0.3], "relative": [2, 1001]},
}
EVENTS: dict[str, dict[str, Any]] = {
    "gap_fill": {"gap": [0, 0.25]},
    "duration": {"shortest": [0, 0.3], "longest": [3, 600]},
    "padding": {"before": [0, 0.1], "after": [0, 0.07]},
    "shift": {"onset": [-0.3, 0.1], "offset": [-0.2, 0, 0.2]},
    "confidence": {"threshold": [0.2, 0.45, 0.7]},
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


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 2).flatmap(stacks), second=st.integers(0, 2).flatmap(stacks))
def test_the_candidates_of_alternatives_are_those_of_each(scores: ScoreSet, first: list, second: list) -> None:
    both = TuningTask.build(scores, [{"stage": "one_of", "stacks": {"a": first, "b": second}}])
    space, references, n = both.stack.space, scores.require_references(), 0
    for name, config in (("a", first), ("b", second)):
        alone = TuningTask.build(scores, config)
        own = slice(n, n + alone.stack.space.n_candidates)
        for column, counts in alone.table.counts.items():
            beside = both.table.counts[column]
            assert torch.equal(beside if beside.ndim == 2 else beside[..., own], counts)
        mine = [i for i, key in enumerate(space.names) if key.startswith(f"{name}.")]
        assert torch.equal(space.values[own][:, mine], alone.stack.space.values)
        n = own.stop
    assert n == space.n_candidates
    # Mixed at random over clips and classes, as a policy would choose.
    choice = torch.randint(n, (scores.n_clips, scores.n_classes), generator=torch.Generator().manual_seed(0))
    expected = both.metric.count(references, both.stack.events(scores, space.values[choice]))
    for column, counts in both.table.of_choice(choice).items():
        assert torch.equal(counts, expected[column]), column
    index = torch.stack([(space.values[:, i, None] == torch.tensor(p.candidates)).int().argmax(1)
                         for i, p in enumerate(space.parameters)], 1)  # fmt: skip
    assert torch.equal(space.candidate(index), torch.arange(n))
    assert Stack.from_config(both.stack.to_config()).stages == both.stack.stages


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ([{"stage": "median"}, {"stage": "one_of", "stacks": {"a": [{"stage": "threshold"}]}}], "stands alone in a stack"),
        ([{"stage": "one_of", "stacks": {}}], "at least 1 item"),
        ([{"stage": "one_of", "stacks": {"a": [{"stage": "median"}]}}], "in 'a': The stack ends with scores"),
        ([{"stage": "one_of", "stacks": {"a": {}}}], "'a' must be a list of stages"),
        ([{"stage": "one_of", "stacks": [{"stage": "threshold"}]}], "give stacks by name"),
        ([{"stage": "one_of", "stacks": {"a": [{"stage": "treshold"}]}}], "did you mean 'threshold'"),
        ([{"stage": "one_of", "stacks": {"a": [{"stage": "one_of", "stacks": {"b": [{"stage": "threshold"}]}}]}}],
         "another one_of"),
        ([{"stage": "one_of", "stacks": {"a": [{"stage": "threshold",
                                                "threshold": {"candidates": [0.2, 0.5], "scope": "global"}}]}}],
         "'threshold.threshold' is global"),
    ],
)  # fmt: skip
def test_alternatives_that_make_no_sense_are_refused(stack: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Stack.from_config(stack)


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
