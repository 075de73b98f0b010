"""The sweep against the decisions of each candidate, for stages of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from cases import count_hits, decode_events, make_set, sed_eval_totals
from event_cases import cases, collars, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_cases import Echo, Erosion

from rl_postproc.counts.grid import sweep
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import Parameter
from rl_postproc.stages.median import MedianFilter
from rl_postproc.stages.threshold import Threshold

thresholds = st.lists(st.integers(0, 8), min_size=1, max_size=5, unique=True).map(lambda k: [v / 8 for v in sorted(k)])

kernels = st.lists(st.sampled_from((0.0, 0.1, 0.3, 0.5, 0.9, 2.1)), min_size=1, max_size=3, unique=True).map(sorted)

threshold_stage = thresholds.map(lambda t: Threshold(threshold=Parameter(candidates=tuple(t), default=t[0])))

median_stage = st.builds(
    lambda k, edge: MedianFilter(kernel=Parameter(candidates=tuple(k), default=k[0]), edge=edge),
    kernels,
    st.sampled_from(("reflect", "zeros", "lowest")),
)

stacks = st.one_of(
    st.tuples(threshold_stage),
    st.tuples(median_stage, threshold_stage),
    st.tuples(median_stage, median_stage, threshold_stage),
    st.tuples(st.just(Echo()), threshold_stage),
    st.tuples(median_stage, st.just(Echo()), threshold_stage),
    st.tuples(threshold_stage, st.just(Erosion())),
    st.tuples(median_stage, threshold_stage, st.just(Erosion())),
).map(Stack)


@settings(max_examples=250)
@given(cases, stacks, collars, st.booleans(), st.integers(1, 64))
def test_the_sweep_counts_what_each_candidate_decides(
    case: dict[str, Any], stack: Stack, metric: EventBased, tied: bool, chunk_bytes: int
) -> None:
    scores, _ = random_case(case)
    if tied:  # scores on the thresholds themselves
        scores = make_like(scores, (scores.scores * 8).round() / 8)
    table = sweep(scores, stack, metric, chunk_bytes=chunk_bytes)
    assert table.counts["true_positives"].shape == (scores.n_clips, scores.n_classes, stack.space.n_candidates)
    for i, values in enumerate(stack.space.values):
        tp, estimated = count_hits(scores, metric, stack.decide(scores, values))
        assert torch.equal(table.counts["true_positives"][..., i].long(), tp), values
        assert torch.equal(table.counts["estimated"][..., i].long(), estimated), values
    last = stack.decide(scores, stack.space.values[-1])
    expected = sed_eval_totals(scores.require_references(), decode_events(scores, last), metric)
    assert [
        table.counts["true_positives"][..., -1].long().sum(0).tolist(),
        table.counts["estimated"][..., -1].long().sum(0).tolist(),
    ] == expected[:2]


def make_like(scores: ScoreSet, values: torch.Tensor) -> ScoreSet:
    """Returns the set with other scores."""
    return ScoreSet.build(
        values, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations, scores.references
    )


def test_every_test_only_stage_needs_no_more_than_its_class() -> None:
    stack = Stack.from_config([{"stage": "test_echo"}, {"stage": "threshold"}, {"stage": "test_erosion"}])
    assert stack.space.names == ("test_echo.share", "threshold.threshold", "test_erosion.length")
    assert Stack.from_config(stack.to_config()).space == stack.space
    assert not stack.ends_with_threshold


def test_a_parameter_of_each_clip_and_class_is_used_where_it_belongs() -> None:
    scores = make_set(np.random.default_rng(0).random((4, 3, 30)))
    stack = Stack.default()
    values = stack.space.values[
        torch.randint(stack.space.n_candidates, (4, 3), generator=torch.Generator().manual_seed(1))
    ]
    together = stack.decide(scores, values)
    for clip, label in np.ndindex(4, 3):
        alone = stack.decide(scores, values[clip, label])
        assert torch.equal(together[clip, label], alone[clip, label])
