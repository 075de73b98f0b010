"""The exact search of thresholds, against every combination, the grid and sed_eval."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from cases import small_simulation
from rl_postproc.agents import make_agent
from rl_postproc.agents.search.exact_search import best_constants
from sklearn.metrics import f1_score
from threshold_cases import THRESHOLD, macro_f1, random_tags, tag_task, thresholds_of

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.metrics import Macro, Micro
from rl_postproc.metrics.event_based.sed_eval import sed_eval_counts
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_exact_search_finds_the_best_of_all_combinations(average):
    for seed in range(6):
        scores, truth = random_tags(5, 3, seed)
        found = thresholds_of(
            {"agent": "exact_search", "average": average, "selection": "maximum"}, tag_task(scores, truth)
        )
        levels = [sorted({0.0, 1.0, *column.tolist()}) for column in scores.T]
        known = truth.any(0).numpy()

        def quality(t, scores=scores, truth=truth, known=known) -> float:
            tags = (scores > torch.as_tensor(t)).numpy()
            if average == "micro":
                return f1_score(truth.numpy(), tags, average="micro", zero_division=0)
            return np.mean(f1_score(truth.numpy(), tags, average=None, zero_division=0)[known])

        best = max(quality(t) for t in itertools.product(*levels))
        assert quality(found) == pytest.approx(best, abs=1e-12)


def test_exact_search_chooses_filters_as_the_grid_does_where_the_grid_has_every_score():
    scores = small_simulation(n_clips=30)
    levels = torch.linspace(0, 1, 21)
    quantised = scores.scores.mul(20).round().div(20)
    scores = type(scores)(**{**scores.__dict__, "scores": quantised})
    middles = ((levels[1:] + levels[:-1]) / 2).tolist()
    stack = [
        {"stage": "median", "kernel": [0.0, 0.3, 0.8]},
        {"stage": "threshold", "threshold": {"candidates": middles, "default": middles[5]}},
    ]
    task = TuningTask.build(scores, stack)

    reached = [
        macro_f1(task, make_agent({"agent": name, "selection": "maximum"}).fit(task, 0).post_processor.choose(scores))
        for name in ("exact_search", "grid_search")
    ]
    assert reached[0] == pytest.approx(reached[1], abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_the_exact_optimum_scores_in_sed_eval_what_it_promises_and_beats_the_grid(average):
    task = TuningTask.build(small_simulation(n_clips=40), [{"stage": "median", "kernel": [0.0, 0.6]}, *THRESHOLD])
    counts = sweep_all_thresholds(task.scores, task.stack, task.metric)
    values, promised = best_constants(task, counts, Macro() if average == "macro" else Micro())
    events = task.stack.events(task.scores, values)
    _, score = sed_eval_counts(task.scores.require_references(), events, task.metric)
    assert (score.macro if average == "macro" else score.micro) == pytest.approx(promised, abs=1e-12)
    grid = task.table.score(task.table.best_per_class(task.objective))
    assert promised >= (grid.macro if average == "macro" else grid.micro)


def test_filters_of_global_scope_are_the_same_for_all_classes():
    stack = [{"stage": "median", "kernel": {"candidates": [0.0, 0.3, 0.8], "scope": "global"}}, *THRESHOLD]
    task = TuningTask.build(small_simulation(n_clips=30), Stack.from_config(stack))
    for average in ("macro", "micro"):
        values = (
            make_agent({"agent": "exact_search", "average": average, "selection": "maximum"})
            .fit(task, 0)
            .post_processor.choose(task.scores)
        )
        assert len(values[:, 0].unique()) == 1
