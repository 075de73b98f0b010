"""Curves over thresholds: each point is what the filters and that threshold give, counted from events."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation

from rl_postproc.metrics import EventBased, SegmentBased, total_counts
from rl_postproc.report.curves import threshold_charts
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

STACK = [
    {"stage": "median", "kernel": [0, 0.3, 0.6]},
    {"stage": "threshold", "threshold": [0.2, 0.4, 0.5, 0.6, 0.8]},
]


def test_every_point_is_what_the_threshold_gives() -> None:
    scores = small_simulation(30)
    task = TuningTask.build(scores, STACK)
    name = scores.classes[1]
    reached = {"mine": {name: {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}}}
    curves, over = threshold_charts(task, reached, {"mine": {name: [0.4, 0.6]}})
    assert list(curves.figures) == list(over.figures) == list(scores.classes)
    default, best, mine = curves.figures[name]["data"]
    f1_default, f1_best, f1_mine = over.figures[name]["data"]
    assert (mine["x"], mine["y"], mine["name"]) == ([25], [50], "mine")
    assert (f1_mine["x"], f1_mine["y"]) == ([0.4, 0.6], [pytest.approx(33.333), pytest.approx(33.333)])
    highest = {}
    for kernel in (0, 0.3, 0.6):
        found = []
        for i, threshold in enumerate((0.2, 0.4, 0.5, 0.6, 0.8)):
            events = task.stack.events(scores, torch.tensor([kernel, threshold]))
            counts = {
                key: int(own[1]) for key, own in total_counts(EventBased().count(scores.references, events)).items()
            }
            hits, n, expected = (counts[key] for key in ("true_positives", "estimated", "reference"))
            found.append(200 * hits / (n + expected))
            if kernel == 0:
                assert default["x"][i] == pytest.approx(100 * hits / expected, abs=1e-3)
                assert default["y"][i] == (pytest.approx(100 * hits / n, abs=1e-3) if n else None)
        highest[kernel] = found
    assert f1_default["y"] == pytest.approx(highest[0], abs=1e-3)
    top = max(highest.values(), key=max)
    assert f1_best["y"] == pytest.approx(top, abs=1e-3)
    assert "median.kernel" in best["name"]


@pytest.mark.parametrize(
    ("stack", "metric", "said"),
    [
        ([{"stage": "hysteresis"}], EventBased(), "does not end with one threshold"),
        ("rich", EventBased(), "does not end with one threshold"),
        ([{"stage": "median"}, {"stage": "threshold", "threshold": [0.5]}], EventBased(), "a single threshold"),
        ([{"stage": "threshold"}, {"stage": "duration"}], EventBased(), "does not end with one threshold"),
    ],
    ids=["hysteresis", "choice", "one", "stage-behind"],
)
def test_where_there_is_no_curve_the_reason_is_told(stack: object, metric: object, said: str) -> None:
    task = TuningTask.build(small_simulation(6), stack, metric)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match=said):
        threshold_charts(task, {}, {})


def test_segments_have_curves_too() -> None:
    task = TuningTask.build(small_simulation(10), STACK, SegmentBased())
    curves, _ = threshold_charts(task, {}, {})
    for figure in curves.figures.values():
        recall = [x for x in figure["data"][0]["x"] if x is not None]
        assert recall == sorted(recall, reverse=True)
