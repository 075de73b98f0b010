"""Learning curves from a run's own files, as charts of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl_postproc.report.contents import Chart, Section
from rl_postproc.report.figures import lines
from rl_postproc.results.tables import score_label

Curve = Sequence[Mapping[str, float]]


def learning_section(curves: Mapping[str, Sequence[Curve]], results: Mapping[str, Any], score: str) -> Section | None:
    """Returns how agents learned: the macro score against decisions, and against labelled clips; None without any curve.

    Args:
        curves: the curves of each agent, one a fold.
        results: where agents ran on several numbers of clips, ``learning_curve``.
        score: name of the score.
    """
    label, figures = score_label(score), {}
    for name, folds in curves.items():
        series = {}
        for what, key in (("training clips", f"train_macro_{score}"), ("clips set aside", f"held_out_macro_{score}")):
            for k, fold in enumerate(folds):
                rows = [row for row in fold if "steps" in row and key in row]
                if len(rows) > 1:
                    said = f"{what}, fold {k + 1}" if len(folds) > 1 else what
                    series[said] = _with_gaps([(row["steps"], 100 * row[key]) for row in rows])
        if series:
            figures[name] = lines(series, "decisions (one clip and one class each)", f"macro {label} in %")
    parts = []
    if figures:
        parts.append(Chart("Learning curves", "The score against decisions, a line for each fold; of several members and "
                           "refits one line each.", figures, "agent"))  # fmt: skip
    if "learning_curve" in results:
        series = {
            name: ([point["clips"] for point in points], [100 * point["value"] for point in points])
            for name, points in results["learning_curve"].items()
        }
        figure = lines(series, "labelled clips", f"held-out macro {label} in %")
        figure["layout"]["xaxis"]["type"] = "log"
        parts.append(Chart("Labelled clips", "The held-out score against labelled clips, a line for each agent.",
                           {"": figure}))  # fmt: skip
    return Section("Learning", parts) if parts else None


def _with_gaps(points: list[tuple[float, float]]) -> tuple[list[float | None], list[float | None]]:
    """Returns x and y of a line, with a gap where the steps begin anew, with another member or a refit."""
    x, y = list[float | None](), list[float | None]()
    for i, (steps, value) in enumerate(points):
        if i and steps <= points[i - 1][0]:
            x.append(None)
            y.append(None)
        x.append(steps)
        y.append(value)
    return x, y
