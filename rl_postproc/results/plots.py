"""Plots of results and of clips, as files."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.results.extent import (
    MOST_CLASSES,
    clock,
    differing_time,
    excerpt,
    heading,
    inches,
    most_different_classes,
    outline,
    short,
)
from rl_postproc.results.tables import score_label
from rl_postproc.utils.files import whole_file

matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
COLOURS = {"before": "#c44e52", "after": "#4c72b0", "reference": "#55a868"}


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure whole or not at all."""
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # names in scripts that the font lacks are shown as boxes
        with_plain_text(figure).savefig(temporary, dpi=130, bbox_inches="tight")
    return Path(path)


def with_plain_text(figure: Figure) -> Figure:
    """Has a figure show its names as they are: a dollar sign in them begins no formula."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
    return figure


def plot_agents(rows: Sequence[Mapping[str, Any]], title: str, score: str = "f1") -> Figure:
    """Draws the held-out macro score of each agent: a bar for the mean over seeds, a dot a seed, a tick for training.

    Args:
        rows: result rows with ``agent``, ``macro_SCORE`` and ``train_macro_SCORE`` as fractions.
        title: heading of the plot.
        score: name of the score.
    """
    names = list(dict.fromkeys(row["agent"] for row in rows))
    held = [[100 * row[f"macro_{score}"] for row in rows if row["agent"] == name] for name in names]
    train = [np.mean([100 * row[f"train_macro_{score}"] for row in rows if row["agent"] == name]) for name in names]
    figure = Figure(figsize=inches(6.5, 0.8 + 0.42 * len(names)))
    axes = figure.add_subplot()
    y = np.arange(len(names))[::-1]
    axes.barh(y, [np.mean(h) for h in held], color=COLOURS["after"], height=0.6, label="held out")
    axes.scatter(train, y, marker="|", s=160, color="#444444", label="on its own training clips", zorder=3)
    for position, values in zip(y, held, strict=True):
        if len(values) > 1:
            axes.scatter(values, [position] * len(values), s=10, color="white", edgecolor="black", zorder=4)
        axes.text(0.5, position, f"{np.mean(values):.1f}", va="center", color="white", fontweight="bold")
    axes.set_yticks(y, [short(name) for name in names])
    axes.set_xlabel(f"macro {score_label(score)} in %")
    axes.set_title(heading(title), loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.18), ncol=2, frameon=False, fontsize=8)
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


def plot_clip(
    scores: ScoreSet, clip: int, events: Mapping[str, Events], classes: Sequence[int] | None = None
) -> Figure:
    """Draws the scores of a clip, events by name, and the references.

    At most twenty classes and a minute are drawn: of more, those in which the first two event lists differ longest (a
    single one is compared with the references). The caption below tells what has been left out.

    Args:
        scores: the score set.
        clip: index of the clip.
        events: detected events over the clips of the set, by name, drawn in order below the scores.
        classes: indices of the classes to draw; by default those with references, events or scores above 0.5.
    """
    n = int(scores.n_frames[clip])
    x = scores.scores[clip, :, :n].cpu()
    edges = scores.edges[clip if len(scores.edges) > 1 else 0, : n + 1].cpu().numpy()
    tables = dict(events)
    if scores.references is not None:
        tables["reference"] = scores.references
    shown = {name: table.select(torch.tensor([clip])) for name, table in tables.items()}
    if classes is None:
        busy = x.amax(1) > 0.5
        for table in shown.values():
            busy[table.label.cpu()] = True
        classes = busy.nonzero()[:, 0].tolist() or [int(x.amax(1).argmax())]
    seconds = float(edges[-1])
    differs = differing_time([*shown.values()][:2], scores.n_classes, seconds)
    who = " and ".join(f"'{short(name)}'" for name in [*shown][:2])
    caption = "seconds"
    if len(classes) > MOST_CLASSES:
        caption += f"; {MOST_CLASSES} of {len(classes)} classes, in which {who} differ longest"
        time = differs[list(classes)].sum(1)
        classes = sorted(classes[i] for i in time.argsort(descending=True, stable=True)[:MOST_CLASSES].tolist())
    begin, end = excerpt(differs[list(classes)], seconds)
    if end - begin < seconds:
        caption += f"; {clock(begin)} to {clock(end)} of {clock(seconds)}, where {who} differ most"
    first = max(0, int(np.searchsorted(edges, begin, side="right")) - 1)
    last = max(first + 1, int(np.searchsorted(edges, end)))
    figure = Figure(figsize=inches(7.5, 0.9 + 1.05 * len(classes)), layout="constrained")
    axes = figure.subplots(len(classes), 1, sharex=True, squeeze=False)[:, 0]
    palette = {name: colour for name, colour in zip(events, (COLOURS["before"], COLOURS["after"]), strict=False)}
    for axis, k in zip(axes, classes, strict=True):
        low, high, borders = outline(x[k, first:last].numpy(), edges[first : last + 1])
        axis.stairs(high, borders, color="#333333", linewidth=1, fill=False)
        if len(low) < last - first:
            axis.stairs(high, borders, baseline=low, color="#333333", alpha=0.4, fill=True)
        for lane, (name, table) in enumerate(shown.items()):
            own = (table.label == k) & (table.offset >= begin) & (table.onset <= end)
            times = zip(table.onset[own].tolist(), table.offset[own].tolist(), strict=True)
            spans = [(onset, offset - onset) for onset, offset in times]
            axis.broken_barh(spans, (-0.22 * (lane + 1), 0.17), color=palette.get(name, COLOURS["reference"]))
        axis.set_xlim(begin, end)
        axis.set_ylim(-0.22 * len(shown) - 0.05, 1.02)
        axis.set_yticks([0, 1])
        name = short(scores.classes[k]).replace("_", "\n")
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    axes[-1].set_xlabel("\n".join(textwrap.wrap(caption, 90)))
    handles = [Patch(color=palette.get(n, COLOURS["reference"]), label=short(n)) for n in shown]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncol=len(shown), frameon=False)
    return with_plain_text(figure)
