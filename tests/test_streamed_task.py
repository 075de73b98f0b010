"""Sums over sparse shards that are read in parts are those of the dense set, to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rl_postproc.agents import make_agent
from rl_postproc.agents.base import check_agent
from sparse_cases import FLOOR, sparse_set

from rl_postproc.counts.grid import sweep
from rl_postproc.counts.totals import group_totals, sweep_totals
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Macro, Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.streamed_task import StreamedTask, above_floor
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import DataWarning, UserError

LEVELS = [FLOOR, 0.5, 0.7, 0.9]
STACK = [{"stage": "median", "kernel": [0, 0.3, 0.6]}, {"stage": "threshold", "threshold": LEVELS}]
STACKS = {
    "median": STACK,
    "later stages": [*STACK, {"stage": "gap_fill", "gap": [0.0, 0.2]}],
    "hysteresis": [{"stage": "hysteresis", "onset": LEVELS, "offset": [0.1, 0.2]}],
}
METRICS = ["event_based", "segment_based", "tagging", "intersection_based"]


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("metric", METRICS)
def test_totals_of_shards_are_those_of_the_dense_set(stack: list, metric: str, tmp_path: Path) -> None:
    scores, streamed = sparse_set(tmp_path, 20)
    built, counted = Stack.from_config(stack), Metric.make(metric)
    expected, found = sweep(scores, built, counted), sweep_totals(streamed, built, counted)
    assert found.n_clips == 1
    for name, column in expected.totals().items():
        assert torch.equal(found.totals()[name], column), name
    if metric == "event_based":
        assert torch.equal(found.best_per_class(Macro()), expected.best_per_class(Macro()))


def test_groups_of_clips_are_summed_in_one_pass(tmp_path: Path) -> None:
    scores, streamed = sparse_set(tmp_path)
    built, group = Stack.from_config(STACK), torch.arange(scores.n_clips) % 3
    table = sweep(scores, built, EventBased())
    for given in (scores, streamed):
        for g, found in enumerate(group_totals(given, built, EventBased(), group, 3, chunk_bytes=5000)):
            expected = table.select((group == g).nonzero()[:, 0]).totals()
            assert all(torch.equal(found.totals()[name], column) for name, column in expected.items())


@pytest.mark.parametrize(
    "settings",
    [
        {"agent": "grid_search"},
        {"agent": "grid_search", "selection": "maximum"},
        {"agent": "grid_search", "scope": "global", "selection": "smoothed"},
        {"agent": "grid_search", "fractions": {"median.kernel": [0.2, 0.5]}},
    ],
    ids=str,
)
def test_the_grid_search_of_shards_is_that_of_the_dense_set(settings: dict, tmp_path: Path) -> None:
    scores, streamed = sparse_set(tmp_path)
    agent = make_agent(settings)
    expected, found = (agent.fit(TuningTask.build(given, STACK), 0) for given in (scores, streamed))
    assert torch.equal(found.post_processor.choose(scores), expected.post_processor.choose(scores))
    assert found.evaluations == expected.evaluations


def rounded_up(scores: ScoreSet, n_levels: int) -> ScoreSet:
    """Returns scores that are whole levels, the next higher ones, none between 0 and the floor."""
    x = torch.ceil(scores.scores.double() * n_levels) / n_levels
    low = scores.scores <= FLOOR
    return ScoreSet.build(torch.where(low, 0.0, x).float(), scores.edges, scores.clip_ids, scores.classes, scores.n_frames,
                          scores.durations, scores.references)  # fmt: skip


@pytest.mark.parametrize("agent", ["sgl_thresh", "heu_thresh", "num_thresh"])
def test_thresholds_of_shards_are_those_of_scores_rounded_to_levels(agent: str, tmp_path: Path) -> None:
    scores, streamed = sparse_set(tmp_path)
    few = {"sgl_thresh": {"bins": 20}, "heu_thresh": {"rounds": 2, "trials": 20}, "num_thresh": {"iterations": 10}}
    built, n_levels = make_agent({"agent": agent, **few[agent]}), 20 if agent == "sgl_thresh" else 512
    task = TuningTask.build(streamed, STACK)
    check_agent(built, task)
    found = built.fit(task, 0).post_processor.choose(scores)
    counts = task.threshold_counts(n_levels)
    assert counts.levels is not None
    assert torch.isin(found[:, -1], counts.levels).all()
    expected = built.fit(TuningTask.build(rounded_up(scores, n_levels), STACK), 0).post_processor.choose(scores)
    assert torch.equal(found[:, :-1], expected[:, :-1])
    assert torch.equal(found[:, -1], counts.rounded(expected[:, -1]))
    # The counts at the thresholds found are those of the scores as they are.
    column = torch.arange(scores.n_classes)
    setting = (counts.settings[:, None] == found[None, :, :-1]).all(-1).byte().argmax(0)
    hits, estimated = counts.at(found[:, -1].repeat(len(counts.settings)))
    own = setting * scores.n_classes + column
    events = task.stack.events(scores, found)
    total = task.metric.count(scores.require_references(), events)
    assert torch.equal(hits[own], total["true_positives"].sum(0))
    assert torch.equal(estimated[own], total["estimated"].sum(0))


def test_thresholds_below_the_floor_are_raised_and_that_is_told(tmp_path: Path) -> None:
    _, streamed = sparse_set(tmp_path)
    stack = [{"stage": "threshold", "threshold": [0.1, 0.2, 0.5]}]
    with pytest.warns(DataWarning, match=f"2 below {FLOOR} are replaced by {FLOOR}"):
        task = TuningTask.build(streamed, stack)
    assert task.stack.space.parameters[0].candidates == (FLOOR, 0.5)


def test_stacks_that_may_hear_what_is_left_out_are_refused() -> None:
    with pytest.raises(UserError, match=r"may make events of scores below 0\.3"):
        above_floor(Stack.from_config([{"stage": "normalise"}, {"stage": "threshold"}]), 0.3)
    with pytest.raises(UserError, match="one of those of 'one_of'"):
        above_floor(Stack.from_config([{"stage": "one_of", "stacks": {"a": STACK, "b": STACK}}]), 0.3)


def test_what_needs_every_clip_is_refused(tmp_path: Path) -> None:
    _, streamed = sparse_set(tmp_path)
    task = TuningTask.build(streamed, STACK)
    assert isinstance(task, StreamedTask)
    with pytest.raises(UserError, match="'few_clips' with another one"):
        _ = task.table
    with pytest.raises(UserError, match="agent 'event_value' needs the scores of all 26 clips in memory"):
        check_agent(make_agent("event_value"), task)
    with pytest.raises(UserError, match="set objective: event"):
        check_agent(make_agent({"agent": "sgl_thresh", "objective": "frame"}), task)
    assert task.fingerprint == TuningTask.build(streamed, STACK).fingerprint
    assert task.select(torch.arange(3)).fingerprint != task.fingerprint
