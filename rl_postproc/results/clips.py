"""Plots of clips: scores, events and references."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Patch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.results.extent import MOST_CLASSES, clock, differing_time, excerpt, heading, inches, outline, short
from rl_postproc.results.figures import COLOURS, with_plain_text


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

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from rl_postproc import SimulationConfig, simulate, tune
        >>> from rl_postproc.results.clips import plot_clip
        >>> from rl_postproc.results.figures import save
        >>> scores = simulate(SimulationConfig(n_clips=5, classes=["Dog"]))
        >>> with TemporaryDirectory() as folder:
        ...     figure = plot_clip(scores, 0, {"threshold 0.5": tune(scores, "default").apply(scores)})
        ...     save(figure, f"{folder}/clip.png").name
        'clip.png'
    """
    view = _View.of(scores, clip, events, classes, MOST_CLASSES)
    figure = Figure(figsize=inches(7.5, 0.9 + 1.05 * len(view.classes)), layout="constrained")
    _draw(figure, scores, view)
    _add_legend(figure, [*view.tables])
    return with_plain_text(figure)


def plot_clips(scores: ScoreSet, clips: Mapping[int, str], events: Mapping[str, Events]) -> Figure:
    """Draws several clips below each other, as `plot_clip` does, each under a heading; fewer classes of each.

    Args:
        scores: the score set.
        clips: heading of each clip, by its index.
        events: as in `plot_clip`.
    """
    views = {clip: _View.of(scores, clip, events, None, MOST_CLASSES // len(clips)) for clip in clips}
    sizes = [0.9 + 0.8 * len(view.classes) for view in views.values()]
    figure = Figure(figsize=inches(7.5, 0.3 + sum(sizes)), layout="constrained")
    parts = figure.subfigures(len(clips), 1, height_ratios=sizes, squeeze=False)
    for part, (clip, view) in zip(parts[:, 0], views.items(), strict=True):
        _draw(part, scores, view)
        part.suptitle(heading(clips[clip]), x=0.01, ha="left", fontsize=9)
    _add_legend(figure, [*next(iter(views.values())).tables])
    return with_plain_text(figure)


@dataclass(frozen=True)
class _View:
    """What is drawn of a clip: event lists of this clip alone, classes, seconds, and what has been left out."""

    clip: int
    tables: dict[str, Events]
    classes: list[int]
    begin: float
    end: float
    caption: str

    @classmethod
    def of(
        cls, scores: ScoreSet, clip: int, events: Mapping[str, Events], classes: Sequence[int] | None, most_classes: int
    ) -> _View:
        """Chooses what to draw, see `plot_clip`."""
        n = int(scores.n_frames[clip])
        tables = dict(events)
        if scores.references is not None:
            tables["reference"] = scores.references
        shown = {name: table.select(torch.tensor([clip])) for name, table in tables.items()}
        if classes is None:
            most = scores.scores[clip, :, :n].amax(1).cpu()
            busy = most > 0.5
            for table in shown.values():
                busy[table.label.cpu()] = True
            classes = busy.nonzero()[:, 0].tolist() or [int(most.argmax())]
        seconds = float(scores.edges[clip if len(scores.edges) > 1 else 0, n])
        differs = differing_time([*shown.values()][:2], scores.n_classes, seconds)
        who = " and ".join(f"'{short(name)}'" for name in [*shown][:2])
        caption = "seconds"
        if len(classes) > most_classes:
            caption += f"; {most_classes} of {len(classes)} classes, in which {who} differ longest"
            time = differs[list(classes)].sum(1)
            classes = sorted(classes[i] for i in time.argsort(descending=True, stable=True)[:most_classes].tolist())
        begin, end = excerpt(differs[list(classes)], seconds)
        if end - begin < seconds:
            caption += f"; {clock(begin)} to {clock(end)} of {clock(seconds)}, where {who} differ most"
        return cls(clip, shown, list(classes), begin, end, caption)


def _draw(figure: FigureBase, scores: ScoreSet, view: _View) -> None:
    """Draws a class a row."""
    n = int(scores.n_frames[view.clip])
    x = scores.scores[view.clip, :, :n].cpu()
    edges = scores.edges[view.clip if len(scores.edges) > 1 else 0, : n + 1].cpu().numpy()
    first = max(0, int(np.searchsorted(edges, view.begin, side="right")) - 1)
    last = max(first + 1, int(np.searchsorted(edges, view.end)))
    colours = _colours([*view.tables])
    axes = figure.subplots(len(view.classes), 1, sharex=True, squeeze=False)[:, 0]
    for axis, k in zip(axes, view.classes, strict=True):
        low, high, borders = outline(x[k, first:last].numpy(), edges[first : last + 1])
        axis.stairs(high, borders, color="#333333", linewidth=1, fill=False)
        if len(low) < last - first:
            axis.stairs(high, borders, baseline=low, color="#333333", alpha=0.4, fill=True)
        for lane, (name, table) in enumerate(view.tables.items()):
            own = (table.label == k) & (table.offset >= view.begin) & (table.onset <= view.end)
            times = zip(table.onset[own].tolist(), table.offset[own].tolist(), strict=True)
            spans = [(onset, offset - onset) for onset, offset in times]
            axis.broken_barh(spans, (-0.22 * (lane + 1), 0.17), color=colours[name])
        axis.set_xlim(view.begin, view.end)
        axis.set_ylim(-0.22 * len(view.tables) - 0.05, 1.02)
        axis.set_yticks([0, 1])
        name = short(scores.classes[k]).replace("_", "\n")
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    axes[-1].set_xlabel("\n".join(textwrap.wrap(view.caption, 90)))


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Returns a colour for each event list; the references come last."""
    known = COLOURS["before"], COLOURS["after"]
    return {
        name: known[i] if name != "reference" and i < len(known) else COLOURS["reference"]
        for i, name in enumerate(names)
    }


def _add_legend(figure: Figure, names: Sequence[str]) -> None:
    colours = _colours(names)
    handles = [Patch(color=colours[name], label=short(name)) for name in names]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncol=len(names), frameon=False)
