"""Whether confidences come true: of events said to be right with 70 %, about 70 % should be."""

from __future__ import annotations

from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import Metric

_BINS = 10


def calibration(metric: Metric, references: Events, events: Events) -> list[dict[str, float]]:
    """Returns the events in ten bins of confidence: how many, how many were expected to be right, and how many are.

    Args:
        metric: says which events are right.
        references: reference events.
        events: over the same clips and classes.

    Returns:
        A row for each bin that holds events; none where all events are equally sure, or the metric tells of none by itself.
    """
    confidence = events.confidence.double()
    right = metric.right(references, events)
    if right is None or not len(events) or bool((confidence == confidence[0]).all()):
        return []
    which = (confidence * _BINS).long().clamp(max=_BINS - 1)
    n = torch.bincount(which, minlength=_BINS)
    expected = torch.bincount(which, confidence, minlength=_BINS)
    found = torch.bincount(which, right.double(), minlength=_BINS)
    columns = zip(n.tolist(), expected.tolist(), found.tolist(), strict=True)
    return [{"bin": i / _BINS, "events": k, "expected": e, "right": r} for i, (k, e, r) in enumerate(columns) if k]


def pooled(runs: list[list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Returns the bins of several runs together, with the shares that were expected and found, and its standard error."""
    bins: dict[float, list[dict[str, float]]] = {}
    for run in runs:
        for row in run:
            bins.setdefault(row["bin"], []).append(row)
    found = []
    for begin, rows in sorted(bins.items()):
        n, expected, right = (sum(row[name] for row in rows) for name in ("events", "expected", "right"))
        share = right / n
        # Runs on the same clips tell little more than one of them.
        error = (share * (1 - share) / (n / len(runs))) ** 0.5
        found.append({"bin": begin, "events": n, "expected": expected / n, "right": share, "error": error})
    return found
