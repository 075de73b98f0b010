"""The count table: what is best on it, by trying everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from cases import make_set, sed_eval_totals, small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts import CountTable
from rl_postproc.metrics import EventBased, f1
from rl_postproc.stack import ParameterSpace, Stack, decode_events
from rl_postproc.stages import Parameter
from rl_postproc.sweep import sweep


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
    return CountTable(
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
    best = max(table.score(torch.tensor(choice)).macro_f1 for choice in every)
    assert table.score(table.best_per_class()).macro_f1 == pytest.approx(best, abs=1e-12)


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
    found = table.best_per_class()
    assert tuple(found.tolist()) in allowed
    best = max(table.score(torch.tensor(choice)).macro_f1 for choice in allowed)
    assert table.score(found).macro_f1 == pytest.approx(best, abs=1e-12)


@settings(max_examples=150)
@given(tables)
def test_best_global_is_the_best_single_candidate(table: CountTable) -> None:
    if not bool((table.reference.sum(0) > 0).any()):
        return
    one = lambda i: table.score(torch.full((table.n_classes,), i)).macro_f1  # noqa: E731
    best = max(one(i) for i in range(table.space.n_candidates))
    assert one(table.best_global()) == pytest.approx(best, abs=1e-12)


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
    table = CountTable(
        true_positives, torch.ones_like(true_positives), torch.ones(1, 1, dtype=torch.int64),
        ParameterSpace(("kernel", "threshold"), parameters),
    )  # fmt: skip
    assert table.best_per_class().tolist() == [expected]
    assert table.best_global() == expected


def test_a_class_without_references_takes_a_candidate_with_the_fewest_false_alarms() -> None:
    table = draw_table(0, [6], n_classes=2)
    reference = table.reference.clone()
    reference[:, 1] = 0
    estimated = table.estimated.clone()
    estimated[:, 1] = torch.tensor([3, 2, 1, 1, 1, 2], dtype=torch.uint8)
    table = CountTable(table.true_positives, estimated, reference, table.space)
    assert int(table.best_per_class()[1]) == 3


@settings(max_examples=100)
@given(tables, st.integers(0, 2**32 - 1))
def test_of_choice_gathers_each_clips_and_classes_own_candidate(table: CountTable, seed: int) -> None:
    rng = np.random.default_rng(seed)
    choice = torch.from_numpy(rng.integers(0, table.space.n_candidates, table.reference.shape))
    tp, estimated = table.of_choice(choice)
    for clip, label in np.ndindex(*table.reference.shape):
        assert tp[clip, label] == table.true_positives[clip, label, choice[clip, label]]
        assert estimated[clip, label] == table.estimated[clip, label, choice[clip, label]]
    constant = table.of_choice(choice[0])
    spread = table.of_choice(choice[:1].expand(table.n_clips, -1))
    assert all(torch.equal(a, b) for a, b in zip(constant, spread, strict=True))


def test_totals_of_narrow_integers_do_not_overflow() -> None:
    table = draw_table(0, [2], n_clips=500)
    table = CountTable(
        torch.full_like(table.true_positives, 200), torch.full_like(table.estimated, 255), table.reference, table.space
    )
    tp, estimated, reference = table.totals()
    assert tp.eq(100_000).all()
    assert estimated.eq(127_500).all()
    assert torch.equal(reference, table.reference.sum(0))


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    table = draw_table(1, [4, 3], n_clips=9)
    clips = torch.tensor([7, 0, 3])
    rest = torch.tensor([i for i in range(9) if i not in clips.tolist()])
    parts = [table.select(clips).totals(), table.select(rest).totals()]
    for whole, a, b in zip(table.totals(), *parts, strict=True):
        assert torch.equal(whole, a + b)
    assert torch.equal(table.select(clips).reference, table.reference[clips])


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
    choice = torch.randint(table.space.n_candidates, table.reference.shape, generator=torch.Generator().manual_seed(0))
    events = decode_events(scores, stack.decide(scores, table.space.values[choice]))
    tp, estimated = table.of_choice(choice)
    expected = sed_eval_totals(scores.require_references(), events, metric)
    assert [tp.sum(0).tolist(), estimated.sum(0).tolist(), table.reference.sum(0).tolist()] == expected
    assert tp.sum() > 0


def test_a_sweep_in_small_chunks_reports_progress_and_changes_nothing() -> None:
    scores = small_simulation(n_clips=7)
    told = []
    whole = sweep(scores, Stack.default(), EventBased())
    parts = sweep(scores, Stack.default(), EventBased(), progress=lambda *x: told.append(x), chunk_bytes=1)
    assert torch.equal(whole.true_positives, parts.true_positives)
    assert torch.equal(whole.estimated, parts.estimated)
    assert told == [(i + 1, 7) for i in range(7)]


def test_long_tracks_need_wider_integers() -> None:
    scores = make_set(np.tile([0.9, 0.1], 300)[None, None])
    table = sweep(scores, Stack.from_config([{"stage": "threshold", "threshold": [0.5]}]), EventBased())
    assert int(table.estimated) == 300
