"""The count table: what is best on it, by trying everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from cases import make_set, sed_eval_totals, small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_cases import Pooled

from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.metrics import EventBased, Macro, f1
from rl_postproc.pipeline.space import ParameterSpace
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import Parameter
from rl_postproc.utils.errors import UserError


def table_of(
    true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor, space: ParameterSpace
) -> CountTable:
    """Builds a table of an F1 metric."""
    columns = {"true_positives": true_positives, "estimated": estimated, "reference": reference}
    return CountTable(columns, EventBased(), space)


def draw_table(
    seed: int, sizes: list[int], n_classes: int = 3, n_clips: int = 4, shared: tuple[int, ...] = ()
) -> CountTable:
    """Draws a table with small counts, so that ties abound; the parameters in ``shared`` are global."""
    rng = np.random.default_rng(seed)
    shape = n_clips, n_classes, int(np.prod(sizes))
    reference = rng.integers(0, 3, shape[:2])
    true_positives = np.minimum(rng.integers(0, 3, shape), reference[..., None])
    estimated = true_positives + rng.integers(0, 2, shape)
    parameters = tuple(
        Parameter(candidates=tuple(range(n)), default=0, scope="global" if i in shared else "class")
        for i, n in enumerate(sizes)
    )
    return table_of(
        torch.from_numpy(true_positives).to(torch.uint8),
        torch.from_numpy(estimated).to(torch.uint8),
        torch.from_numpy(reference),
        ParameterSpace(tuple(f"p{i}" for i in range(len(sizes))), parameters),
    )


tables = st.builds(
    draw_table, st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3), min_size=1, max_size=2), st.integers(1, 3)
)


@settings(max_examples=150)
@given(tables)
def test_best_per_class_is_the_best_of_all_constants(table: CountTable) -> None:
    every = itertools.product(range(table.space.n_candidates), repeat=table.n_classes)
    best = max(table.score(torch.tensor(choice)).macro for choice in every)
    assert table.score(table.best_per_class(Macro())).macro == pytest.approx(best, abs=1e-12)


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(0,), (1,), (0, 1)]))
def test_global_parameters_are_equal_in_all_classes_and_the_best_that_way(seed: int, shared: tuple[int, ...]) -> None:
    table = draw_table(seed, [3, 2], n_classes=2, shared=shared)
    values = table.space.values[:, list(shared)]
    allowed = [
        choice
        for choice in itertools.product(range(6), repeat=2)
        if torch.equal(values[choice[0]], values[choice[1]])
    ]  # fmt: skip
    found = table.best_per_class(Macro())
    assert tuple(found.tolist()) in allowed
    best = max(table.score(torch.tensor(choice)).macro for choice in allowed)
    assert table.score(found).macro == pytest.approx(best, abs=1e-12)


@settings(max_examples=150)
@given(tables)
def test_best_global_is_the_best_single_candidate(table: CountTable) -> None:
    if not bool((table.counts["reference"].sum(0) > 0).any()):
        return
    one = lambda i: table.score(torch.full((table.n_classes,), i)).macro  # noqa: E731
    best = max(one(i) for i in range(table.space.n_candidates))
    assert one(table.best_global(Macro())) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([0, 1, 1, 1, 0, 0, 1, 0], 2),  # the middle of the longest run
        ([1, 0, 0, 0, 0, 0, 0, 0], 0),
        ([0, 0, 0, 0, 0, 0, 0, 1], 7),
        ([1, 1, 0, 0, 0, 0, 0, 0], 0),  # of an even number the lower middle
        ([0, 1, 0, 0, 1, 1, 1, 1], 5),
        ([0, 0, 1, 1, 1, 1, 0, 0], 2),  # runs end with the last parameter's values: 2, 3 and 4, 5 are two runs
    ],
)
def test_ties_go_to_the_middle_of_the_longest_run_of_the_last_parameter(hits: list[int], expected: int) -> None:
    parameters = (
        Parameter(candidates=(0, 1), default=0),
        Parameter(candidates=(0, 1, 2, 3), default=0),
    )  # fmt: skip
    true_positives = torch.tensor(hits, dtype=torch.uint8)[None, None]
    table = table_of(
        true_positives, torch.ones_like(true_positives), torch.ones(1, 1, dtype=torch.int64),
        ParameterSpace(("kernel", "threshold"), parameters),
    )  # fmt: skip
    assert table.best_per_class(Macro()).tolist() == [expected]
    assert table.best_global(Macro()) == expected


def test_a_class_without_references_takes_a_candidate_with_the_fewest_false_alarms() -> None:
    table = draw_table(0, [6], n_classes=2)
    reference = table.counts["reference"].clone()
    reference[:, 1] = 0
    estimated = table.counts["estimated"].clone()
    estimated[:, 1] = torch.tensor([3, 2, 1, 1, 1, 2], dtype=torch.uint8)
    table = table_of(table.counts["true_positives"], estimated, reference, table.space)
    assert int(table.best_per_class(Macro())[1]) == 3


@pytest.mark.parametrize("reference", [0, 2])
def test_a_class_that_nothing_can_hit_takes_the_candidate_that_detects_least(reference: int) -> None:
    grid = Parameter(candidates=tuple(range(6)), default=0)
    estimated = torch.tensor([[[3, 2, 1, 1, 1, 2]]], dtype=torch.uint8)
    space = ParameterSpace(("threshold",), (grid,))
    table = table_of(torch.zeros_like(estimated), estimated, torch.tensor([[reference]]), space)
    assert table.best_per_class(Macro()).tolist() == [3]


def test_a_class_that_nothing_can_hit_has_no_say_in_what_is_shared() -> None:
    grids = (Parameter(candidates=(0, 1), default=0, scope="global"), Parameter(candidates=(0, 1), default=0))
    hits = torch.tensor([[[0, 1, 0, 0], [0, 0, 0, 0]]], dtype=torch.uint8)
    found = torch.tensor([[[1, 1, 9, 9], [9, 8, 1, 0]]], dtype=torch.uint8)
    table = table_of(hits, found, torch.ones(1, 2, dtype=torch.int64), ParameterSpace(("kernel", "threshold"), grids))
    assert table.best_per_class(Macro()).tolist() == [1, 1]


def test_without_any_references_the_one_candidate_for_all_detects_least() -> None:
    table = draw_table(3, [4], n_classes=2)
    found = torch.tensor([[4, 1, 2, 9], [1, 3, 1, 0]], dtype=torch.uint8).expand(4, -1, -1)
    none = torch.zeros_like(table.counts["reference"])
    table = table_of(torch.zeros_like(found), found, none, table.space)
    assert table.best_global(Macro()) == 2


def test_an_objective_that_does_not_split_by_class_is_refused_per_class_and_maximised_globally() -> None:
    table = draw_table(5, [3, 3])
    with pytest.raises(UserError, match="'test_pooled' does not split by class"):
        table.best_per_class(Pooled())
    micro = [table.score(torch.full((3,), i)).micro for i in range(9)]
    assert micro[table.best_global(Pooled())] == max(micro)
    assert len(set(micro)) > 3


@settings(max_examples=100)
@given(tables, st.integers(0, 2**32 - 1))
def test_of_choice_gathers_each_clips_and_classes_own_candidate(table: CountTable, seed: int) -> None:
    rng = np.random.default_rng(seed)
    choice = torch.from_numpy(rng.integers(0, table.space.n_candidates, table.counts["reference"].shape))
    found = table.of_choice(choice)
    assert list(found) == list(table.counts)
    for clip, label in np.ndindex(*table.counts["reference"].shape):
        for name in ("true_positives", "estimated"):
            assert found[name][clip, label] == table.counts[name][clip, label, choice[clip, label]]
    assert torch.equal(found["reference"], table.counts["reference"])
    assert all(column.dtype == torch.int64 for column in found.values())
    constant = table.of_choice(choice[0])
    spread = table.of_choice(choice[:1].expand(table.n_clips, -1))
    assert all(torch.equal(constant[name], spread[name]) for name in found)


def test_totals_of_narrow_integers_do_not_overflow() -> None:
    table = draw_table(0, [2], n_clips=500)
    hits, found = (torch.full_like(table.counts["estimated"], n) for n in (200, 255))
    table = table_of(hits, found, table.counts["reference"], table.space)
    totals = table.totals()
    assert totals["true_positives"].shape == (2, 3)
    assert totals["true_positives"].eq(100_000).all()
    assert totals["estimated"].eq(127_500).all()
    assert totals["reference"].tolist() == [table.counts["reference"].sum(0).tolist()]


def test_totals_are_by_candidate_and_class() -> None:
    table = draw_table(2, [2, 3], n_classes=2)
    totals = table.totals()
    for candidate, label in np.ndindex(6, 2):
        for name in ("true_positives", "estimated"):
            assert totals[name][candidate, label] == table.counts[name][:, label, candidate].sum()


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    table = draw_table(1, [4, 3], n_clips=9)
    clips = torch.tensor([7, 0, 3])
    rest = torch.tensor([i for i in range(9) if i not in clips.tolist()])
    parts = [table.select(clips).totals(), table.select(rest).totals()]
    for name, whole in table.totals().items():
        assert torch.equal(whole, parts[0][name] + parts[1][name])
    assert torch.equal(table.select(clips).counts["reference"], table.counts["reference"][clips])


@settings(max_examples=200)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(hits: int, misses: int, false_alarms: int) -> None:
    found = float(f1(torch.tensor(hits), torch.tensor(hits + false_alarms), torch.tensor(hits + misses)))
    if not hits + misses:
        assert np.isnan(found)
    elif not hits:
        assert found == 0
    else:
        precision, recall = hits / (hits + false_alarms), hits / (hits + misses)
        assert found == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_table_of_a_simulation_scores_as_sed_eval_does() -> None:
    scores = small_simulation()
    stack, metric = Stack.default(), EventBased()
    table = sweep(scores, stack, metric)
    shape, generator = table.counts["reference"].shape, torch.Generator().manual_seed(0)
    choice = torch.randint(table.space.n_candidates, shape, generator=generator)
    events = stack.events(scores, table.space.values[choice])
    found = [column.sum(0).tolist() for column in table.of_choice(choice).values()]
    assert found == sed_eval_totals(scores.require_references(), events, metric)
    assert sum(found[0]) > 0


def test_a_sweep_in_small_chunks_reports_progress_and_changes_nothing() -> None:
    scores = small_simulation(n_clips=7)
    told = []
    whole = sweep(scores, Stack.default(), EventBased())
    parts = sweep(scores, Stack.default(), EventBased(), progress=lambda *x: told.append(x), chunk_bytes=1)
    assert all(torch.equal(whole.counts[name], parts.counts[name]) for name in whole.metric.columns)
    assert told == [(i + 1, 7) for i in range(7)]


def test_long_tracks_need_wider_integers() -> None:
    scores = make_set(np.tile([0.9, 0.1], 300)[None, None])
    table = sweep(scores, Stack.from_config([{"stage": "threshold", "threshold": [0.5]}]), EventBased())
    assert int(table.counts["estimated"]) == 300
