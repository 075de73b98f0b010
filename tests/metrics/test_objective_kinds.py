"""Every objective: its value by hand, its gradient against differences, and its best constants against all there are."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from cases import small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_cases import Onsets
from program import ROOT
from rl_postproc.agents import make_agent

from rl_postproc.config import TaskConfig
from rl_postproc.counts.choice import objective_gain
from rl_postproc.metrics import (
    Cost,
    ErrorRate,
    EventBased,
    F1AtPrecision,
    FBeta,
    Macro,
    Micro,
    Objective,
    PrecisionAtRecall,
    Weighted,
)
from rl_postproc.metrics.base import floating, total_counts
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.metrics.objectives.constrained import lower_bound
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [{"stage": "median", "kernel": [0.0, 0.5]}, {"stage": "threshold", "threshold": [0.1, 0.3, 0.5, 0.8]}]

ALL: list[Objective] = [
    Macro(),
    Micro(),
    Weighted(),
    FBeta(beta=0.5),
    FBeta(beta=2, average="micro"),
    ErrorRate(),
    ErrorRate(average="micro"),
    Cost(miss=2.0, false_alarm={"class_01": 3.0}),
    F1AtPrecision(precision=0.6),
    F1AtPrecision(precision={"class_01": 0.9}, confidence=0.8),
    PrecisionAtRecall(recall=0.4),
]
IDS = [f"{o.name}_{i}" for i, o in enumerate(ALL)]


@pytest.fixture(scope="module")
def task() -> TuningTask:
    scores = small_simulation(n_clips=40)
    return TuningTask.build(scores, STACK)


def counts(*rows: tuple[int, int, int]) -> dict[str, torch.Tensor]:
    """Returns float counts from hits, estimates and references of each class."""
    return dict(zip(DETECTION, torch.tensor(rows, dtype=torch.float64).T, strict=True))


def test_values_are_those_by_hand() -> None:
    metric, own = EventBased(), counts((6, 10, 8), (1, 4, 4), (0, 3, 0))
    f = [12 / 18, 2 / 8]
    expected = {
        Macro(): sum(f) / 2,
        Micro(): 14 / 29,
        Weighted(): (8 * f[0] + 4 * f[1]) / 12,
        FBeta(beta=2): (5 * 6 / (10 + 4 * 8) + 5 / (4 + 16)) / 2,
        FBeta(beta=2, average="micro"): 5 * 7 / (17 + 4 * 12),
        ErrorRate(): -((2 + 4) / 8 + (3 + 3) / 4) / 2,
        ErrorRate(average="micro"): -(6 + 6 + 3) / 12,
        Cost(miss=2.0, false_alarm=0.5): -(2 * 5 + 0.5 * 10),
        F1AtPrecision(precision=0.5): (f[0] + 0.25 - 0.5) / 2,
        F1AtPrecision(precision=0.25): sum(f) / 2,
        PrecisionAtRecall(recall=0.75): (0.6 + 0.25 - 0.75) / 2,
    }
    for objective, value in expected.items():
        assert float(objective.value(metric, own)) == pytest.approx(value, abs=1e-12), objective
        terms = objective.class_terms(metric, own)
        assert (terms is None) == objective.pooled
        if terms is not None:
            assert float(terms.nanmean()) == pytest.approx(value, abs=1e-12), objective


def test_errors_are_those_of_the_metric_where_it_counts_them() -> None:
    columns = {"substitutions": [1.0], "deletions": [2.0], "insertions": [4.0], "reference": [10.0], "true_positives": [7.0],
               "estimated": [12.0]}  # fmt: skip
    own = {name: torch.tensor(column) for name, column in columns.items()}
    assert float(ErrorRate().value(EventBased(), own)) == pytest.approx(-0.7)


def test_the_lower_bound_is_wilsons() -> None:
    from scipy.stats import binomtest

    for right, n in ((0, 5), (3, 5), (5, 5), (70, 90)):
        expected = binomtest(right, n, alternative="greater").proportion_ci(0.9, method="wilson").low
        found = lower_bound(torch.tensor(float(right)), torch.tensor(float(n)), 1.2815515655446004)
        assert float(found) == pytest.approx(max(0.0, expected), abs=1e-6)
    assert float(lower_bound(torch.tensor(0.0), torch.tensor(0.0), 1.0)) == 0


counts_of_a_class = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)).map(
    lambda x: (x[0], x[0] + x[1], x[0] + x[2])
)


@pytest.mark.parametrize("objective", [o for o in ALL if not o.constrained], ids=str)
@settings(max_examples=25, deadline=None)
@given(rows=st.lists(counts_of_a_class, min_size=3, max_size=3), n_clips=st.integers(1, 50))
def test_the_reward_is_the_gradient_by_numerical_differences(
    objective: Objective, rows: list[tuple[int, int, int]], n_clips: int
) -> None:
    metric, own = EventBased(), counts(*rows)
    objective = objective.on(small_simulation(n_clips=2))
    point, step = objective.linearise(metric, own, n_clips), 1e-5
    for i, name in enumerate(metric.columns):
        for k in range(3):
            ends = []
            for sign in (step, -step):
                moved = {column: values.clone() for column, values in own.items()}
                moved[name][k] += sign
                ends.append(float(objective.value(metric, moved)))
            expected = n_clips * (ends[0] - ends[1]) / (2 * step)
            assert float(point.scale[k] * point.slope[i, k]) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_an_estimate_costs_what_it_is_worth_where_a_hit_is_worth_two() -> None:
    own = counts((6, 10, 8), (1, 4, 4))
    f1 = torch.tensor([12 / 18, 2 / 8])
    assert torch.allclose(Weighted().linearise(EventBased(), own, 5).lam, f1, atol=1e-6)
    half = FBeta(beta=0.5)
    assert torch.allclose(half.linearise(EventBased(), own, 5).lam, 2 * half._score(own).float() / 1.25, atol=1e-6)
    cost = Cost(miss=3.0, false_alarm=1.0).linearise(EventBased(), own, 5)
    assert torch.allclose(cost.lam, torch.tensor([0.5, 0.5]), atol=1e-6)


def test_the_price_of_a_minimum_rises_while_it_is_missed_and_falls_back_to_f1() -> None:
    metric, objective = EventBased(), F1AtPrecision(precision=0.8)
    free = Macro().linearise(metric, counts((6, 10, 8)), 5)
    point = objective.linearise(metric, counts((6, 10, 8)), 5)
    assert float(point.lam) == pytest.approx(4 * 0.8 - 2)
    risen = objective.linearise(metric, counts((6, 10, 8)), 5, point)
    assert float(risen.lam) == pytest.approx(1.2 + 2 * 0.2)
    met = objective.linearise(metric, counts((6, 6, 8)), 5, risen)
    assert float(met.lam) == pytest.approx(1.6 - 2 * 0.2)
    for _ in range(9):
        met = objective.linearise(metric, counts((6, 7, 8)), 5, met)
    assert float(met.lam) == pytest.approx(12 / 15)
    # A hit is still worth what it is for F1, and silence brings the price down.
    assert torch.equal(risen.scale, free.scale) and torch.equal(risen.slope[0], free.slope[0])
    assert float(objective.linearise(metric, counts((0, 0, 8)), 5, risen).lam) == pytest.approx(0.8 * 1.6)
    recall = PrecisionAtRecall(recall=0.9)
    point = recall.linearise(metric, counts((6, 10, 8)), 5)
    assert float(recall.linearise(metric, counts((6, 10, 8)), 5, point).lam) == pytest.approx(float(point.lam) - 0.3)


@pytest.mark.parametrize("objective", ALL, ids=IDS)
def test_the_best_constants_are_the_best_of_all_combinations(task: TuningTask, objective: Objective) -> None:
    own = task.with_objective(objective)
    totals = floating(own.table.totals())
    n, best, known = own.stack.space.n_candidates, -math.inf, own.scores.n_classes
    candidates = torch.tensor(list(itertools.product(range(n), repeat=known)))
    picked = {
        name: column[candidates, torch.arange(known)] if len(column) > 1 else column.expand(len(candidates), -1)
        for name, column in totals.items()
    }
    best = float(own.objective.value(own.metric, picked).max())
    found = floating(total_counts(own.table.of_choice(own.best_constants)))
    assert float(own.objective.value(own.metric, found)) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("objective", ALL, ids=IDS)
def test_exact_search_is_at_least_as_good_as_the_grid(task: TuningTask, objective: Objective) -> None:
    own = task.with_objective(objective)
    reached = []
    for agent in ("exact_search", "grid_search"):
        processor = make_agent({"agent": agent, "selection": "maximum"}).fit(own, 0).post_processor
        found = own.metric.count(own.scores.require_references(), processor.apply(own.scores))
        reached.append(float(own.objective.value(own.metric, floating(total_counts(found)))))
    assert reached[0] >= reached[1] - 1e-9


@pytest.mark.parametrize("objective", [o for o in ALL if not o.pooled], ids=str)
def test_a_gain_orders_settings_as_the_objective_does_and_never_falls_with_hits(objective: Objective) -> None:
    scores = small_simulation(n_clips=2)
    objective, reference = objective.on(scores), torch.tensor([5, 3, 0])
    gain = objective_gain(objective, EventBased(), reference, 3)
    for k in range(3):
        rows = [(h, e) for e in range(8) for h in range(min(e, int(reference[k])) + 1)]
        hits, found = torch.tensor(rows).T
        value = gain(hits, found, torch.full_like(hits, k))
        table = dict(zip(rows, value.tolist(), strict=True))
        for (h, e), own in table.items():
            assert table.get((h + 1, e), math.inf) >= own
            assert table.get((h, e + 1), -math.inf) <= own


def test_smoothing_keeps_to_settings_that_reach_the_minimum(task: TuningTask) -> None:
    objective = F1AtPrecision(precision=0.3)
    own = task.with_objective(objective)
    feasible = objective.class_terms(own.metric, floating(own.table.totals())) >= 0
    chosen = own.table.best_per_class(own.objective, smoothing=0.4)
    for k, index in enumerate(chosen.tolist()):
        assert bool(feasible[index, k]) or not bool(feasible[:, k].any())
    assert bool(feasible.any()) and not bool(feasible.all())


def test_settings_by_class_know_their_classes_and_the_cost_its_hours(task: TuningTask) -> None:
    scores = task.scores
    objective = Cost(false_alarm={"class_01": 3.0}).on(scores)
    own = counts((0, 1, 0), (0, 1, 0), (0, 1, 0))
    hours = float(scores.durations.sum()) / 3600
    expected = [3.0 if name == "class_01" else 1.0 for name in scores.classes]
    assert float(objective.value(EventBased(), own)) == pytest.approx(-sum(expected) / hours)
    with pytest.raises(UserError, match="must know the classes"):
        Cost(false_alarm={"class_01": 3.0}).value(EventBased(), own)
    with pytest.raises(UserError, match=r"number for the class 'class_09'.*did you mean 'class_0"):
        TuningTask.build(scores, STACK, objective=Cost(miss={"class_09": 3.0}))
    with pytest.raises(UserError, match=r"'f_beta' is made of true positives.*does not count true positives"):
        TuningTask.build(scores, STACK, Onsets(), objective="f_beta")
    # What it knows of the clips is no setting.
    assert objective.model_dump() == Cost(false_alarm={"class_01": 3.0}).model_dump()
    config = TaskConfig.model_validate({"objective": {"objective": "f1_at_precision", "precision": {"class_01": 0.9}}})
    assert config.objective == F1AtPrecision(precision={"class_01": 0.9})


def test_a_minimum_that_no_setting_reaches_is_told_with_what_was_reached(task: TuningTask) -> None:
    from rl_postproc import tune
    from rl_postproc.utils.errors import DataWarning

    objective = F1AtPrecision(precision=0.999)
    with pytest.warns(
        DataWarning, match=r"precision is not met on inner folds.*of 3 classes.*reaches 0\.\d+ of 0\.999"
    ):
        tune(task.scores, "grid_search", stack=STACK, objective=objective)
    with pytest.warns(DataWarning, match=r"not met on the training clips"):
        tune(task.scores, "default", stack=STACK, objective=objective)
    # The highest precision is taken there.
    own = task.with_objective(objective)
    totals = floating(own.table.totals())
    precision = totals["true_positives"] / totals["estimated"].clamp(min=1)
    chosen = precision.gather(0, own.best_constants[None])[0]
    assert torch.equal(chosen, precision.amax(0))


@pytest.mark.parametrize("agent", ["grid_search", "event_value"])
def test_whether_a_minimum_is_reached_is_told_by_inner_folds(agent: str) -> None:
    from rl_postproc.simulation.config import SimulationConfig
    from rl_postproc.simulation.data_set import simulate

    scores = simulate(SimulationConfig(n_clips=80, classes=["Speech", "Dishes"], difficulty=0.3, seed=3))
    outcomes = set()
    for minimum in (0.3, 0.999):
        objective = F1AtPrecision(precision=minimum, confidence=0.9)
        fit = make_agent(agent).fit(TuningTask.build(scores, "median_threshold", objective=objective), 0)
        assert fit.held_out is not None
        missed = objective.missed(EventBased(), fit.held_out, scores.classes)
        hits, found = (fit.held_out[name].double() for name in ("true_positives", "estimated"))
        reached = lower_bound(hits, found, objective.margin)
        for k, name in enumerate(scores.classes):
            outcomes.add(name in missed)
            assert (name in missed) == (float(reached[k]) < minimum)
            assert name not in missed or missed[name] == (pytest.approx(float(reached[k])), minimum)
    assert outcomes == {True, False}


@pytest.mark.slow
def test_minimum_precisions_that_are_promised_with_confidence_are_kept_on_other_clips(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The smaller form of benchmarks/minimum_precision.py."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from minimum_precision import one_seed, summary  # pyright: ignore[reportMissingImports]

    runs = [one_seed(seed, 500, "grid_search", 0.65) for seed in range(8)]
    plain, sure = (summary([run[name] for run in runs], 0.65) for name in ("minimum", "… with confidence 0.9"))
    assert sure["broken"] <= 0.1 < plain["broken"]
    assert sure["promised"] > 0.25
    assert sure["met"] > plain["met"]
