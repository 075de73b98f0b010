"""Conformance of an objective."""

from __future__ import annotations

import torch

from rl_postproc.counts.grid import sweep
from rl_postproc.metrics.base import Counts, Metric, floating, total_counts
from rl_postproc.metrics.objectives import Objective
from rl_postproc.pipeline.stack import Stack
from rl_postproc.testing.base import require, sample_scores


def check_objective(objective: Objective, metric: Metric, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Checks an objective on a metric.

    Its name is registered and its config builds an equal one. It takes counts of any leading shape, keeps their dtype and
    has a gradient. Its terms, if it has some, have the objective as their mean. The linear reward has the columns of the
    metric and is finite. What the search of constants finds is as good as any single setting.

    Args:
        objective: the objective.
        metric: what it is tried on.
        seeds: of the score sets it is tried on.

    Raises:
        NonConformant: one of these does not hold.
    """
    name = f"objective '{objective.name}'"
    require(
        Objective.types().get(objective.name) is type(objective),
        f"{name} is not found by its name; import its module first",
    )
    require(
        type(objective).model_validate(objective.model_dump(mode="json")) == objective,
        f"{name}: its config builds another one",
    )
    stack = Stack.from_config([{"stage": "threshold", "threshold": {"low": 0.05, "high": 0.95, "count": 7}}])
    for seed in seeds:
        scores = sample_scores(seed)
        own = objective.on(scores)
        table = sweep(scores, stack, metric)
        totals = {
            column: x.expand(stack.space.n_candidates, -1).clone() for column, x in floating(table.totals()).items()
        }
        values = own.value(metric, totals)
        _check_shapes(name, own, metric, totals, values)
        terms = own.class_terms(metric, totals)
        if terms is not None:
            mean = terms.nanmean(-1).nan_to_num(0.0)
            require(torch.allclose(mean, values, atol=1e-9), f"{name}: the mean of its terms is not its value")
        point = own.linearise(metric, {column: x[3] for column, x in totals.items()}, scores.n_clips)
        require(point.columns == metric.columns, f"{name}: its reward has other columns than the metric")
        require(bool(point.slope.isfinite().all() & point.scale.isfinite().all()), f"{name}: its reward is not finite")
        if terms is not None or own.pooled:
            found = floating(total_counts(table.of_choice(table.best_per_class(own))))
            best = float(own.value(metric, found))
            require(best >= float(values.max()) - 1e-9, f"{name}: the search finds less than a single setting has")


def _check_shapes(name: str, objective: Objective, metric: Metric, totals: Counts, values: torch.Tensor) -> None:
    n = len(next(iter(totals.values())))
    require(values.shape == (n,), f"{name}: of counts [candidate, class] its value is not [candidate]")
    alone = [float(objective.value(metric, {column: x[i] for column, x in totals.items()})) for i in range(n)]
    require(
        torch.allclose(torch.tensor(alone, dtype=values.dtype), values, atol=1e-9),
        f"{name}: settings counted together have other values than each alone",
    )
    narrow = objective.value(metric, {column: x.float() for column, x in totals.items()})
    require(narrow.dtype == torch.float32, f"{name} does not keep the dtype of the counts")
    gradient = objective.gradient(metric, {column: x[n // 2] for column, x in totals.items()})
    require(bool(gradient.isfinite().all()), f"{name}: its gradient is not finite")
