"""Plots of results: agents, classes, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rl_postproc.results.calibration import pooled
from rl_postproc.results.extent import heading, inches, most_different_classes, short
from rl_postproc.results.figures import COLOURS, LINES
from rl_postproc.results.tables import score_label


def plot_agents(
    rows: Sequence[Mapping[str, Any]],
    title: str,
    score: str = "f1",
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Draws the held-out macro score of each agent: a bar for the mean over seeds, a dot a seed, a tick for training.

    Args:
        rows: result rows with ``agent``, ``macro_SCORE`` and ``train_macro_SCORE`` as fractions.
        title: heading of the plot.
        score: name of the score.
        intervals: where the 95 % interval of an agent's mean begins and ends, as fractions.
    """
    names = list(dict.fromkeys(row["agent"] for row in rows))
    held = [[100 * row[f"macro_{score}"] for row in rows if row["agent"] == name] for name in names]
    train = [np.mean([100 * row[f"train_macro_{score}"] for row in rows if row["agent"] == name]) for name in names]
    figure = Figure(figsize=inches(6.5, 1.2 + 0.42 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    y = np.arange(len(names))[::-1]
    axes.barh(y, [np.mean(h) for h in held], color=COLOURS["after"], height=0.6, label="held out")
    axes.scatter(train, y, marker="|", s=160, color="#444444", label="on its own training clips", zorder=3)
    ends = [100 * np.array((intervals or {}).get(name, (np.nan, np.nan))) for name in names]
    if intervals:
        drawn = "clips and seeds" if max(map(len, held)) > 1 else "clips"
        style = {"color": "#000000", "linewidth": 1, "zorder": 3}
        axes.hlines(y, *np.transpose(ends), label=f"95 % interval over {drawn}", **style)
    for position, values in zip(y, held, strict=True):
        if len(values) > 1:
            axes.scatter(values, [position] * len(values), s=10, color="white", edgecolor="black", zorder=4)
        axes.text(0.5, position, f"{np.mean(values):.1f}", va="center", color="white", fontweight="bold")
    axes.set_yticks(y, [short(name) for name in names])
    axes.set_xlabel(f"macro {score_label(score)} in %")
    axes.set_title(heading(title), loc="left")
    figure.legend(loc="outside lower left", ncol=3, frameon=False, fontsize=8)
    return figure


def plot_classes(rows: Sequence[Mapping[str, Any]], title: str, score: str = "f1") -> Figure:
    """Draws the held-out score of each class (rows) for each agent (columns) as a table of colours.

    Of many classes those are drawn on which agents differ most, and the title says so. A class without a score, such as
    one without references, says so.
    """
    names = list(dict.fromkeys(row["agent"] for row in rows))
    classes = list(rows[0]["classes"])
    values = np.array(
        [
            [np.mean([100 * _number(r["classes"][c][score]) for r in rows if r["agent"] == name]) for name in names]
            for c in classes
        ]
    )
    chosen, which = most_different_classes(values)
    values, classes = values[chosen], [classes[k] for k in chosen]
    most = np.nan_to_num(values).max()
    figure = Figure(figsize=inches(2.4 + 0.9 * len(names), 1 + 0.34 * len(classes)))
    axes = figure.add_subplot()
    axes.imshow(values, cmap="viridis", aspect="auto", vmin=0, vmax=max(1.0, float(most)))
    for i, j in np.ndindex(values.shape):
        known = not np.isnan(values[i, j])
        colour = "white" if known and values[i, j] < 0.6 * most else "black"
        text, size = (f"{values[i, j]:.1f}", 8) if known else ("no reference", 6)
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)
    axes.set_xticks(range(len(names)), [short(name) for name in names], rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), [short(name) for name in classes])
    axes.set_title("\n".join(filter(None, (heading(title), which))), loc="left")
    return figure


def _number(score: float | None) -> float:
    """Returns a score, NaN where it is not defined."""
    return np.nan if score is None else score


def plot_curves(curves: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], title: str, score: str = "f1") -> Figure:
    """Draws the macro score against steps: on clips set aside where an agent watches some, else on training clips.

    Agents that watch clips have their training score beside it, dotted. Of agents with several members the first is drawn.

    Args:
        curves: the curves of each agent, one a seed: the line is their mean, the band goes from the least to the greatest.
        title: title of the figure.
        score: name of the score.
    """
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=LINES)
    watched = False
    for agent, runs in curves.items():
        first = [_first_run(run) for run in runs]
        held = any(f"held_out_macro_{score}" in row for run in first for row in run)
        watched |= held
        line = _plot_score(
            axes, first, f"{'held_out' if held else 'train'}_macro_{score}", label=short(agent), linewidth=1.2
        )
        if held and line is not None:
            _plot_score(axes, first, f"train_macro_{score}", color=line.get_color(), linestyle=":", linewidth=0.8)
    axes.set_xlabel("decisions (one clip and one class each)")
    where = "clips set aside (dotted: training clips)" if watched else "training clips"
    axes.set_ylabel(f"macro {score_label(score)} in %, {where}", fontsize=8 if watched else None)
    axes.set_title(heading(title), loc="left")
    if axes.lines:
        figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def _first_run(rows: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    """Returns the rows with steps up to where they begin anew, with another member or a refit."""
    found: list[Mapping[str, float]] = []
    for row in rows:
        if "steps" in row:
            if found and row["steps"] <= found[-1]["steps"]:
                break
            found.append(row)
    return found


def _plot_score(axes: Axes, runs: Sequence[Sequence[Mapping[str, float]]], name: str, **style: Any) -> Line2D | None:
    """Draws the mean over runs of a figure in percent, and a band from the least to the greatest."""
    points = [np.array([(row["steps"], 100 * row[name]) for row in run if name in row]) for run in runs]
    points = [run for run in points if len(run)]
    if not points:
        return None
    # Early stopping and other batches may leave other steps: the band covers what all seeds have reached.
    steps = np.unique(np.concatenate([run[:, 0] for run in points]))
    steps = steps[steps <= min(run[-1, 0] for run in points)]
    values = np.stack([np.interp(steps, *run.T) for run in points])
    (line,) = axes.plot(steps, values.mean(0), **style)
    if len(points) > 1:
        axes.fill_between(steps, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
    return line


def plot_learning_curve(curve: Mapping[str, Sequence[Mapping[str, float]]], title: str, score: str = "f1") -> Figure:
    """Draws the held-out macro score of each agent against the number of labelled clips, with 95 % intervals.

    Args:
        curve: for each agent a mapping a point: ``clips``, and ``value``, ``low`` and ``high`` as fractions.
        title: heading of the plot.
        score: name of the score.
    """
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=LINES)
    clips = sorted({int(point["clips"]) for points in curve.values() for point in points})
    for agent, points in curve.items():
        x = [clips.index(int(point["clips"])) for point in points]
        value, low, high = (np.array([100 * point[name] for point in points]) for name in ("value", "low", "high"))
        (line,) = axes.plot(x, value, marker="o", markersize=3, linewidth=1.2, label=short(agent))
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set_xticks(range(len(clips)), [str(n) for n in clips])
    axes.set_xlabel("labelled clips")
    axes.set_ylabel(f"macro {score_label(score)} in %")
    axes.set_title(heading(title), loc="left")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def plot_calibration(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draws how many events are right against how many were expected to be, by confidence, with two standard errors.

    Args:
        rows: result rows with ``agent`` and, where events differ in confidence, ``calibration``.
        title: heading of the plot.
    """
    names = list(dict.fromkeys(row["agent"] for row in rows if "calibration" in row))
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=LINES)
    axes.plot([0, 100], [0, 100], color="#888888", linewidth=0.8)
    for name in names:
        bins = pooled([row["calibration"] for row in rows if row["agent"] == name and "calibration" in row])
        x, y, error = (np.array([100 * own[key] for own in bins]) for key in ("expected", "right", "error"))
        axes.errorbar(x, y, 2 * error, marker="o", markersize=3, linewidth=1, elinewidth=0.6, label=short(name))
    axes.set_xlabel("confidence of the events in %")
    axes.set_ylabel("right in %")
    axes.set_title(heading(title), loc="left")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure
