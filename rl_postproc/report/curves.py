"""Precision, recall and F1 over thresholds, class by class, with the points that systems have reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from rl_postproc.metrics.f1 import DETECTION, f1
from rl_postproc.report.contents import Chart
from rl_postproc.report.figures import MARKERS, lines
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

Rates = Mapping[str, float | None]
"""Precision, recall and F1 of a class, None where undefined."""


def threshold_charts(
    task: TuningTask,
    reached: Mapping[str, Mapping[str, Rates]],
    chosen: Mapping[str, Mapping[str, Sequence[float]]],
    most: int = 60,
) -> list[Chart]:
    """Returns the precision-recall curve and F1 over the threshold of each class that has references.

    Drawn are the candidates of the threshold, with the filter at its default, and with that of the best F1 on these clips.

    Args:
        task: the clips, with a stack whose threshold is one parameter.
        reached: ``precision``, ``recall`` and ``f1`` of each class by system, as far as they are known.
        chosen: thresholds that constants have, by system and class, such as one a fold.
        most: classes that are drawn, those with the most references.

    Raises:
        UserError: the stack has no threshold that is one parameter, or the metric counts no events.
    """
    stack, space = task.stack, task.stack.space
    if stack.is_choice or not stack.ends_with_threshold or not space.names[-1].startswith("threshold"):
        raise UserError("The stack does not end with one threshold, so that there are no curves over it.")
    if not set(DETECTION) <= set(task.metric.columns):
        raise UserError(f"The metric '{task.metric.name}' has no precision and recall, so that there are no curves.")
    if space.sizes[-1] < 2:
        raise UserError("The stack has a single threshold, so that there is no curve over it.")
    totals = task.summed.totals()
    shape = (task.scores.n_classes, space.n_candidates // space.sizes[-1], space.sizes[-1])
    hits, found, expected = (_by_filter(totals[name], shape) for name in ("true_positives", "estimated", "reference"))
    score = f1(hits, found, expected)
    best = score.nan_to_num(-1.0).amax(2).argmax(1)
    default = _default_filter(task)
    thresholds = list(space.parameters[-1].candidates)
    with_events = [
        k for k in torch.argsort(expected[:, 0, 0], descending=True, stable=True).tolist() if expected[k, 0, 0]
    ]
    curves, over = {}, {}
    for k in sorted(with_events[:most]):
        name = task.scores.classes[k]
        rows = {
            "filter at its default": default,
            f"filter of the best F1 here: {_called(task, int(best[k]))}": int(best[k]),
        }
        precision = {said: _shares(hits[k, i], found[k, i]) for said, i in rows.items()}
        recall = {said: _shares(hits[k, i], expected[k, i]) for said, i in rows.items()}
        curves[name] = lines({said: (recall[said], precision[said]) for said in rows}, "recall in %", "precision in %")
        over[name] = lines({said: (thresholds, [_percent(x) for x in score[k, i].tolist()]) for said, i in rows.items()},
                           "threshold", "F1 in %")  # fmt: skip
        for i, (system, by_class) in enumerate(reached.items()):
            own, marker = by_class.get(name), {"symbol": MARKERS[i % len(MARKERS)], "size": 10}
            if own is None:
                continue
            point = {"type": "scatter", "mode": "markers", "name": system, "marker": marker}
            curves[name]["data"].append(
                {**point, "x": [_percent(own.get("recall"))], "y": [_percent(own.get("precision"))]}
            )
            if values := chosen.get(system, {}).get(name):
                over[name]["data"].append({**point, "x": list(values), "y": [_percent(own.get("f1"))] * len(values)})
    said = "Lines are all thresholds on these clips, markers what systems reached"
    return [
        Chart("Precision and recall", f"{said}, class by class; the table of classes holds the values of the markers.",
              curves, "class"),
        Chart("F1 over the threshold", f"{said} at the thresholds that they chose (of constants; one for each fold).",
              over, "class"),
    ]  # fmt: skip


def _by_filter(column: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """Returns a column of totals ``[candidate, class]`` (or ``[1, class]``) as ``[class, filter, threshold]``."""
    return column.cpu().T.expand(shape[0], shape[1] * shape[2]).reshape(shape)


def _default_filter(task: TuningTask) -> int:
    """Returns the number of the filter setting whose values are nearest to the defaults."""
    values = task.stack.space.values[:: task.stack.space.sizes[-1], :-1]
    return int((values - task.stack.space.defaults[:-1]).abs().sum(1).argmin())


def _called(task: TuningTask, number: int) -> str:
    """Returns the parameters of a filter setting, such as ``median.kernel 0.32``."""
    values = task.stack.space.values[number * task.stack.space.sizes[-1], :-1].tolist()
    return (
        ", ".join(f"{name} {value:.4g}" for name, value in zip(task.stack.space.names, values, strict=False)) or "none"
    )


def _shares(part: torch.Tensor, whole: torch.Tensor) -> list[float | None]:
    """Returns percents, None where there is nothing to divide by."""
    return [_percent(a / b) if b else None for a, b in zip(part.tolist(), whole.tolist(), strict=True)]


def _percent(share: float | None) -> float | None:
    return None if share is None or share != share else round(100 * share, 3)
