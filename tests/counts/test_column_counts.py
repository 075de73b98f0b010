"""Counts of items at any threshold, and the best threshold of each column, against plain comparison."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from cases import count_hits, small_simulation
from hypothesis import given
from hypothesis import strategies as st

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import macro_gain, micro_gain
from rl_postproc.counts.column_counts import ColumnCounts, MergedSteps
from rl_postproc.metrics import EventBased, Tagging
from rl_postproc.pipeline.stack import Stack

LEVELS = (0.0, 0.05, 0.1, 0.3, 0.31, 0.5, 0.9, 1.0)
shapes = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 4))


def draw_items(seed: int, n_items: int, n_columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores with ties, zeros and ones, and what is true, ``[item, column]``; some columns and items are empty."""
    rng = np.random.default_rng(seed)
    scores = rng.choice(np.array(LEVELS, dtype=np.float32), (n_items, n_columns))
    return torch.from_numpy(scores), torch.from_numpy(rng.random((n_items, n_columns)) < rng.random())


@given(shapes, st.floats(0, 1, width=32))
def test_counts_at_any_threshold_are_those_of_plain_comparison(shape: tuple[int, int, int], threshold: float) -> None:
    scores, truth = draw_items(*shape)
    hits, found = ColumnCounts.of_items(scores, truth).at(torch.full((scores.shape[1],), threshold))
    assert torch.equal(found, (scores > threshold).sum(0))
    assert torch.equal(hits, ((scores > threshold) & truth).sum(0))


def all_thresholds(scores: torch.Tensor) -> torch.Tensor:
    """All scores, a threshold between any two neighbours, 0 and 1, float32 ``[threshold]``."""
    values = sorted({0.0, 1.0, *scores.flatten().tolist()})
    return torch.tensor([*values, *((a + b) / 2 for a, b in pairwise(values))])


@given(shapes, st.sampled_from([None, 0.0, 0.3, 0.7, 1.0]))
def test_no_threshold_gains_more_than_the_one_chosen(shape: tuple[int, int, int], lam: float | None) -> None:
    scores, truth = draw_items(*shape)
    counts, columns = ColumnCounts.of_items(scores, truth), torch.arange(scores.shape[1])
    gain = macro_gain(counts.reference) if lam is None else micro_gain(lam)
    best = counts.best(gain)
    above = scores > all_thresholds(scores)[:, None, None]
    tried = gain((above & truth).sum(1), above.sum(1), columns)
    assert torch.equal(gain(best.true_positives, best.estimated, columns), tried.amax(0))
    assert torch.equal(torch.stack(counts.at(best.threshold)), torch.stack(best[1:]))


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.sampled_from((3, 1 << 32)))
def test_merged_steps_are_sorted_and_keep_every_change(seed: int, n_steps: int, n_columns: int) -> None:
    rng = np.random.default_rng(seed)
    column = torch.from_numpy(rng.choice([0, 1, 2, n_columns - 1], n_steps))
    value = torch.from_numpy(rng.choice(np.array(LEVELS, dtype=np.float32), n_steps))
    changes = torch.from_numpy(rng.integers(-2, 3, (2, n_steps)).astype(np.int16))
    merged = MergedSteps.of(column, value, *changes)
    keys = list(zip(merged.column.tolist(), merged.value.tolist(), strict=True))
    assert keys == sorted({*zip(column.tolist(), value.tolist(), strict=True)})
    for key, *net in zip(keys, merged.true_positives.tolist(), merged.estimated.tolist(), strict=True):
        same = (column == key[0]) & (value == torch.tensor(key[1]))
        assert net == changes[:, same].sum(1).tolist()


@pytest.mark.parametrize("metric", [EventBased(), Tagging()])
def test_counts_of_a_metric_agree_with_decisions_at_any_threshold(metric: EventBased | Tagging) -> None:
    scores, kernels = small_simulation(n_clips=10), (0.0, 0.5)
    stack = Stack.from_config([{"stage": "median", "kernel": list(kernels)}, {"stage": "threshold"}])
    counts = sweep_all_thresholds(scores, stack, metric)
    for threshold in np.random.default_rng(0).random(20, dtype=np.float32):
        hits, found = counts.at(torch.full((counts.n_columns,), float(threshold)))
        by_filter = [filtered.at(torch.full((scores.n_classes,), float(threshold))) for filtered in counts.by_filter()]
        for i, kernel in enumerate(kernels):
            expected = count_hits(scores, metric, stack.decide(scores, torch.tensor([kernel, float(threshold)])))
            for summed, own, part in zip((hits, found), by_filter[i], expected, strict=True):
                assert torch.equal(summed.reshape(2, -1)[i], part.sum(0))
                assert torch.equal(own, part.sum(0))
