"""Objectives and their linearisations: against the closed form for F1, and against numerical differences for others."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_cases import Onsets, Pooled

from rl_postproc.metrics import Counts, EventBased, Linearisation, Macro, Metric, Objective, Tagging
from rl_postproc.metrics.f1 import DETECTION

counts_of_a_class = st.tuples(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 4000))


def f1_counts(rows: list[tuple[int, int, int]]) -> dict[str, torch.Tensor]:
    """Returns possible counts from hits, false alarms and misses of each class."""
    hits, false_alarms, misses = torch.tensor(rows).T
    return dict(zip(DETECTION, (hits, hits + false_alarms, hits + misses), strict=True))


def closed_form(counts: Counts, n_clips: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns weight and λ of macro F1, by hand: with K classes with references n_clips / (K (E + R)), and F1."""
    hits, found, wanted = (counts[name].double() for name in DETECTION)
    total, known = (found + wanted).clamp(min=1), wanted > 0
    weight = n_clips / (known.sum().clamp(min=1) * total)
    return torch.where(known, weight, 0.0).float(), torch.where(known, 2 * hits / total, 0.0).float()


@settings(max_examples=300)
@given(st.lists(counts_of_a_class, min_size=1, max_size=6), st.integers(1, 5000), st.integers(0, 2**32 - 1))
def test_the_reward_of_macro_f1_is_the_closed_form_to_the_last_digit(
    rows: list[tuple[int, int, int]], n_clips: int, seed: int
) -> None:
    totals = f1_counts(rows)
    weight, lam = closed_form(totals, n_clips)
    point = Macro().linearise(EventBased(), totals, n_clips)
    assert torch.equal(point.scale, weight)
    assert torch.equal(point.lam, lam)
    clips = torch.randint(0, 30, (7, 3, len(rows)), generator=torch.Generator().manual_seed(seed))
    hits, found, wanted = clips.unbind(1)
    reward = point.reward(clips)
    assert reward.dtype == torch.float32
    assert torch.equal(reward, weight * (2 * hits - lam * (found + wanted)))


@pytest.mark.parametrize("metric", [EventBased(), Tagging()], ids=lambda metric: metric.name)
def test_a_class_without_references_gets_no_reward_however_much_it_detects(metric: Metric) -> None:
    point = Macro().linearise(metric, f1_counts([(3, 2, 1), (0, 9, 0), (0, 0, 4)]), 10)
    assert point.scale[1] == 0 and bool(point.slope[:, 1].eq(0).all())
    assert point.scale[2] > 0 and point.lam.tolist() == pytest.approx([2 / 3, 0.0, 0.0])
    assert not bool(torch.signbit(point.lam[1:]).any())
    reward = point.reward(torch.full((1, 3, 3), 5))
    assert reward[0, 1] == 0
    assert bool(reward[0, [0, 2]].ne(0).all())


def test_without_any_references_there_is_nothing_to_gain() -> None:
    totals = f1_counts([(0, 3, 0), (0, 0, 0)])
    assert float(Macro().value(EventBased(), {name: x.double() for name, x in totals.items()})) == 0
    assert Macro().linearise(EventBased(), totals, 5).reward(torch.ones(2, 3, 2)).eq(0).all()


def numerical_gradient(objective: Objective, metric: Metric, counts: Counts, step: float = 1e-4) -> torch.Tensor:
    """Returns central differences of the objective by each column and class, float64 ``[column, class]``."""
    base = torch.stack([counts[name].double() for name in metric.columns])
    found = torch.zeros_like(base)
    for place in torch.ones_like(base).nonzero().tolist():
        ends = []
        for sign in (1, -1):
            moved = base.clone()
            moved[tuple(place)] += sign * step
            ends.append(float(objective.value(metric, dict(zip(metric.columns, moved, strict=True)))))
        found[tuple(place)] = (ends[0] - ends[1]) / (2 * step)
    return found


@pytest.mark.parametrize("objective", [Macro(), Pooled()], ids=lambda objective: objective.name)
@settings(max_examples=50)
@given(rows=st.lists(st.tuples(*[st.integers(1, 60)] * 3), min_size=1, max_size=4), n_clips=st.integers(1, 200))
def test_the_gradient_of_another_metric_is_that_of_numerical_differences(
    objective: Objective, rows: list[tuple[int, ...]], n_clips: int
) -> None:
    metric = Onsets()
    totals = dict(zip(metric.columns, torch.tensor(rows).T, strict=True))
    point = objective.linearise(metric, totals, n_clips)
    expected = n_clips * numerical_gradient(objective, metric, totals)
    assert torch.allclose((point.scale * point.slope).double(), expected, rtol=1e-4, atol=1e-7)
    assert point.columns == metric.columns
    assert point.slope.abs().amax(0).tolist() == [2.0] * len(rows)
    # The reward of single hits, misses and false alarms is their slope.
    for column in range(3):
        one = torch.zeros(3, len(rows))
        one[column] = 1
        assert torch.allclose(point.reward(one).double(), expected[column], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("metric", [EventBased(), Onsets()], ids=lambda metric: metric.name)
def test_the_reward_of_one_class_is_its_column_of_the_joint_reward(metric: Metric) -> None:
    generator = torch.Generator().manual_seed(0)
    totals = dict(zip(metric.columns, torch.tensor([[9, 5, 3], [14, 6, 8], [11, 7, 0]]), strict=True))
    point = Macro().linearise(metric, totals, 20)
    clips = torch.randint(0, 5, (12, 3, 3), generator=generator)
    labels = torch.randint(0, 3, (12,), generator=generator)
    joint, env = point.reward(clips), torch.arange(12)
    own = point.reward(clips[env, :, labels][..., None], labels)
    assert own.shape == (12, 1)
    assert torch.equal(own[:, 0], joint[env, labels])
    assert len(joint.unique()) > 10


def test_objectives_take_counts_of_any_leading_shape_and_keep_their_dtype() -> None:
    generator = torch.Generator().manual_seed(1)
    counts = {name: torch.randint(1, 20, (2, 5, 3), generator=generator).double() for name in DETECTION}
    for objective in (Macro(), Pooled()):
        found = objective.value(EventBased(), counts)
        alone = [
            [objective.value(EventBased(), {n: x[j, i] for n, x in counts.items()}) for i in range(5)] for j in (0, 1)
        ]
        assert found.tolist() == [[float(x) for x in row] for row in alone]
        assert objective.value(EventBased(), {name: x.float() for name, x in counts.items()}).dtype == torch.float32
    terms = Macro().class_terms(EventBased(), counts)
    assert torch.allclose(terms.mean(-1), Macro().value(EventBased(), counts))
    assert Pooled().class_terms(EventBased(), counts) is None


@pytest.mark.parametrize("metric", [EventBased(), Onsets()], ids=lambda metric: metric.name)
def test_a_summary_of_whole_numbers_is_the_score_of_each_class_their_mean_and_that_of_their_sum(metric: Metric) -> None:
    totals = dict(zip(metric.columns, torch.tensor([[2, 0, 0], [3, 4, 5], [5, 4, 0]]), strict=True))
    if metric.name == "test_onsets":  # hits, misses, false alarms
        totals = dict(zip(metric.columns, torch.tensor([[2, 0, 0], [3, 4, 0], [1, 4, 5]]), strict=True))
    score = metric.summarise(totals)
    assert score.by_class.dtype == torch.float64
    assert score.by_class[:2].tolist() == pytest.approx([2 * 2 / (3 + 5), 0.0])
    assert score.by_class[2].isnan()
    assert score.macro == pytest.approx(0.25)
    assert score.micro == pytest.approx(2 * 2 / (12 + 9))


def test_a_gradient_is_kept_whatever_its_sign_and_size() -> None:
    gradient = torch.tensor([[1e-9, 0.0, -3.0], [-4e-9, 0.0, 1.5]], dtype=torch.float64)
    point = Linearisation.of_gradient(("a", "b"), gradient)
    assert torch.allclose((point.scale * point.slope).double(), gradient, rtol=1e-6, atol=0)
    assert point.scale.tolist() == pytest.approx([2e-9, 0.0, 1.5])
