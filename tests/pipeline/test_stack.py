"""Stacks: the space that follows from the stages, and what a wrong config is told."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from cases import decode_events, make_set, runs
from hypothesis import given
from hypothesis import strategies as st
from plugin_cases import Boxes, Echo, Erosion, Hysteresis, Padding, Shortest

from rl_postproc.pipeline.space import ParameterSpace
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import Parameter, Stage
from rl_postproc.stages.median import MedianFilter
from rl_postproc.stages.threshold import Threshold
from rl_postproc.utils.errors import UserError

values = st.lists(st.integers(0, 1000), min_size=1, max_size=5, unique=True).map(
    lambda v: [x / 1000 for x in sorted(v)]
)


@given(st.lists(values, min_size=1, max_size=4))
def test_candidates_are_all_combinations_in_row_major_order(grids: list[list[float]]) -> None:
    parameters = tuple(Parameter(candidates=tuple(g), default=g[0]) for g in grids)
    space = ParameterSpace(tuple(f"p{i}" for i in range(len(grids))), parameters)
    expected = torch.tensor(list(itertools.product(*grids)))
    assert torch.equal(space.values, expected)
    assert space.n_candidates == len(expected)
    assert space.sizes == tuple(map(len, grids))
    index = torch.tensor(list(itertools.product(*(range(len(g)) for g in grids))))
    assert torch.equal(space.candidate(index), torch.arange(len(expected)))


def test_the_space_is_derived_from_the_stages_in_their_order() -> None:
    stack = Stack.from_config([
        {"stage": "median", "kernel": {"candidates": [0, 0.3], "scope": "global"}},
        {"stage": "threshold", "threshold": {"low": 0.1, "high": 0.9, "count": 5, "default": 0.5}},
    ])  # fmt: skip
    assert stack.space.names == ("median.kernel", "threshold.threshold")
    assert [p.scope for p in stack.space.parameters] == ["global", "class"]
    assert stack.space.parameters[1].candidates == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert torch.equal(stack.space.defaults, torch.tensor([0.0, 0.5]))
    assert stack.space.global_group.tolist() == [0] * 5 + [1] * 5


def test_without_global_parameters_all_candidates_form_one_group() -> None:
    assert Stack.default().space.global_group.unique().tolist() == [0]


def test_the_default_stack_by_default_thresholds_at_one_half_without_a_filter() -> None:
    rng = np.random.default_rng(0)
    scores = make_set(rng.random((2, 3, 30)), n_frames=[30, 12])
    decisions = Stack.default().decide(scores, Stack.default().space.defaults)
    assert torch.equal(decisions, scores.scores > 0.5)
    assert Stack.default().ends_with_threshold


def test_one_number_is_a_parameter_with_nothing_to_tune() -> None:
    stack = Stack.from_config([{"stage": "median", "kernel": 0.3}, {"stage": "threshold", "threshold": 0.7}])
    assert stack.space.sizes == (1, 1)
    assert torch.equal(stack.space.defaults, torch.tensor([0.3, 0.7]))


def test_candidates_given_alone_have_a_default() -> None:
    assert Parameter.model_validate([0.1, 0.2, 0.9]).default == 0.2
    assert Parameter.model_validate([0.1, 0.2, 0.8, 0.9]).default == 0.2


@pytest.mark.parametrize("name", Stage.types())
def test_every_stage_survives_the_way_through_its_config(name: str) -> None:
    stage = Stage.types()[name].model_validate({"stage": name})
    again = Stage.types()[name].model_validate(stage.model_dump(mode="json"))
    assert again == stage
    assert again.parameters == stage.parameters
    assert set(stage.units.values()) <= {"seconds", "signed seconds", "probability", "ratio", "choice", "number"}
    assert list(stage.units) == list(stage.parameters)


def test_a_stack_survives_the_way_through_its_config() -> None:
    stack = Stack.from_config([
        {"stage": "median", "kernel": [0, 0.3], "edge": "zeros"},
        {"stage": "threshold", "threshold": {"candidates": [0.2, 0.4], "default": 0.4, "scope": "global"}},
    ])  # fmt: skip
    again = Stack.from_config(stack.to_config())
    assert again.stages == stack.stages
    assert again.space == stack.space


THRESHOLD = {"stage": "threshold"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([{"stage": "medain"}, THRESHOLD], r"stack\[0\].*unknown stage 'medain'.*did you mean 'median'"),
        ([{"stage": ["median"]}, THRESHOLD], r"stack\[0\].*unknown stage"),
        (["median", THRESHOLD], r"stack\[0\].*unknown stage"),
        ([{}, THRESHOLD], r"stack\[0\].*unknown stage"),
        ([{"stage": "median", "kernl": [0]}, THRESHOLD], r"stack\[0\]: stage 'median'.*'kernl'.*did you mean 'kernel'"),
        ([{"stage": "median", "edge": "reflekt"}, THRESHOLD], r"'edge' is 'reflekt'.*'reflect'"),
        ([{"stage": "median", "kernel": [0.5, 0.1]}, THRESHOLD], r"'kernel'.*increase strictly"),
        ([{"stage": "median", "kernel": [0.1, 0.1]}, THRESHOLD], r"'kernel'.*increase strictly"),
        ([{"stage": "median", "kernel": [-0.1, 0.1]}, THRESHOLD], r"'kernel'.*negative"),
        ([{"stage": "threshold", "threshold": [0.1, 1.1]}], r"'threshold'.*\[0, 1\]"),
        ([{"stage": "threshold", "threshold": {"candidates": [0.1], "default": 7}}], r"'threshold'.*\[0, 1\]"),
        ([{"stage": "threshold", "threshold": []}], r"at least 1"),
        ([{"stage": "threshold", "threshold": "half"}], r"'half'"),
        ([{"stage": "threshold", "threshold": ["half", 0.2]}], r"'half'"),
        ([{"stage": "threshold", "threshold": [float("nan")]}], r"finite"),
        ([{"stage": "threshold", "threshold": {"low": 0.1, "count": 5}}], r"count goes with the numbers low and high"),
        ([{"stage": "threshold", "threshold": {"low": "a", "high": 1, "count": 5}}], r"low and high"),
        ([{"stage": "threshold", "threshold": {"low": 0, "high": 1, "count": 1}}], r"count.*at least 2"),
        ([{"stage": "threshold", "threshold": {"low": 0.9, "high": 0.1, "count": 1.5}}], r"count.*at least 2"),
        ([{"stage": "threshold", "threshold": {"candidates": [0.1], "scop": "class"}}], r"did you mean 'scope'"),
        ([{"stage": "threshold", "threshold": {"candidates": [0.1], "scope": "globl"}}], r"'class' or 'global'"),
        ([THRESHOLD, {"stage": "median"}], r"'median' takes scores, but decisions reach it"),
        ([{"stage": "median"}], r"ends with scores.*threshold"),
        ([{"stage": "median", "kernel": [0, 601]}], r"at most 600"),
        ([{"stage": "threshold", "threshold": {"low": 0, "high": 1, "count": 10**9}}], r"count.*at most 10000"),
        ([], r"ends with scores"),
    ],
)
def test_a_wrong_config_is_one_sentence_that_names_the_key(config: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Stack.from_config(config)
    assert "\n" not in str(caught.value)
    assert re.search(r"[.]$", str(caught.value))


def test_values_of_each_shape_are_used_for_every_clip_and_class() -> None:
    scores = make_set(np.random.default_rng(0).random((3, 2, 20)))
    stack = Stack.default()
    one = torch.tensor([0.3, 0.49])
    expected = stack.decide(scores, one)
    assert torch.equal(stack.decide(scores, one.expand(2, 2)), expected)
    assert torch.equal(stack.decide(scores, one.expand(3, 2, 2)), expected)
    assert not expected.all()
    assert expected.any()


def test_a_stage_used_twice_has_a_name_of_its_own_and_its_own_values() -> None:
    stack = Stack.from_config([
        {"stage": "median", "kernel": [0, 0.3]}, {"stage": "median", "kernel": [0, 0.5]}, {"stage": "threshold"},
    ])  # fmt: skip
    assert stack.space.names == ("median.kernel", "median_2.kernel", "threshold.threshold")
    scores = make_set(np.random.default_rng(0).random((1, 1, 12)))
    track = scores.scores[0, 0].numpy()
    for first, second in itertools.product((0.0, 0.3), (0.0, 0.5)):
        filtered = track
        for size in (first, second):
            filtered = scipy.ndimage.median_filter(filtered, size=max(1, round(size / 0.1)), mode="reflect")
        decided = stack.decide(scores, torch.tensor([first, second, 0.5]))
        assert decided[0, 0].tolist() == (filtered > 0.5).tolist()


def test_the_parts_of_a_stack_are_found_by_what_its_stages_declare() -> None:
    parts = {
        (Echo(), Threshold()): (1, True, 0, "decisions"),
        (Threshold(), Erosion(), Padding()): (0, True, 2, "events"),
        (MedianFilter(), Hysteresis()): (1, False, 1, "decisions"),
        (Boxes(), Shortest()): (0, False, 2, "events"),
    }
    for stages, (n_filters, decides, n_after, gives) in parts.items():
        stack = Stack(stages)
        assert (len(stack.filters), len(stack.after), stack.gives) == (n_filters, n_after, gives)
        assert (stack.threshold is not None) == decides
        assert stack.ends_with_threshold == (decides and not n_after)
        assert (*stack.filters, *((stack.threshold,) if stack.threshold else ()), *stack.after) == stages


def test_the_events_of_a_stack_are_those_of_its_decisions_and_carry_confidences_where_it_gives_some() -> None:
    scores = make_set(np.random.default_rng(2).random((3, 2, 30)), n_frames=[30, 17, 1])
    stack = Stack.default()
    values = torch.tensor([0.3, 0.49])
    events = stack.events(scores, values)
    assert events.to_rows() == decode_events(scores, stack.decide(scores, values)).to_rows()
    assert events.confidence.eq(1).all() and len(events) > 5
    boxes = Stack([Boxes()]).events(scores, torch.tensor([0.8]))
    expected = []
    for clip, label in np.ndindex(3, 2):
        track = scores.scores[clip, label, : int(scores.n_frames[clip])]
        expected += [float(track[a : b + 1].max()) for a, b in runs((track > 0.8).tolist())]
    assert boxes.confidence.tolist() == expected


def test_events_of_a_stack_follow_the_values_of_each_clip_and_class() -> None:
    scores = make_set(np.random.default_rng(3).random((2, 2, 30)))
    stack = Stack([Threshold(), Shortest(), Padding()])
    chosen = torch.tensor([[[0.3, 0.0, 0.037], [0.5, 0.15, 0.0]], [[0.7, 0.0, 0.213], [0.4, 0.35, 0.037]]])
    together = stack.events(scores, chosen)
    for clip, label in np.ndindex(2, 2):
        alone = stack.events(scores, chosen[clip, label])
        mine, theirs = ((e.clip == clip) & (e.label == label) for e in (together, alone))
        assert together.onset[mine].tolist() == alone.onset[theirs].tolist()
        assert together.offset[mine].tolist() == alone.offset[theirs].tolist()
    assert len(together) > 10


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((Boxes(), Erosion()), "'test_erosion' takes decisions, but events reach it"),
        ((Shortest(), Threshold()), "'test_shortest' takes events, but scores reach it"),
        ((Threshold(), Padding(), Echo()), "'test_echo' takes scores, but events reach it"),
    ],
)
def test_stages_that_do_not_fit_each_other_are_refused(stages: tuple[Stage, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Stack(stages)
