"""The error diary of one event list, or of two, as tables and as a plot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.box import HORIZONTALS
from rich.table import Table

from rl_postproc.diary import KINDS, Diary, contributions
from rl_postproc.results.extent import heading, inches, short
from rl_postproc.results.figures import LINES

_CLASS_WIDTH = 13
"""Letters of a class that are shown, so that all kinds stay within the width of a terminal."""


def diary_table(diaries: Sequence[Diary], names: Sequence[str], title: str) -> Table:
    """Returns counts and gains if mended by kind of error, and for two lists what makes their difference.

    Args:
        diaries: of one event list, or of two.
        names: what the lists are called.
        title: heading.
    """
    table = Table(title=title, title_justify="left", box=HORIZONTALS)
    table.add_column("kind of error")
    for name in names:
        table.add_column(f"{name}\nmissed", justify="right")
        table.add_column("\nfalse alarms", justify="right")
        table.add_column("macro F1,\nmended", justify="right")
    if len(diaries) == 2:
        table.add_column("part of the\ndifference", justify="right")
    parts = _macro(contributions(*diaries)) if len(diaries) == 2 else None
    own = [float(_macro(found.f1[None])[0]) for found in diaries]
    for i, (kind, what) in enumerate(KINDS.items()):
        cells = [f"{kind}: {what}"]
        for found, score in zip(diaries, own, strict=True):
            gain = 100 * (float(_macro(found.mended)[i]) - score)
            cells += [str(int(found.missed[i].sum())), str(int(found.false[i].sum())), f"{gain:+.2f}"]
        table.add_row(*cells, *([] if parts is None else [f"{100 * float(parts[i]):+.2f}"]))
    table.add_section()
    last = ["all; macro F1 as it is"]
    for found, score in zip(diaries, own, strict=True):
        last += [str(int(found.missed.sum())), str(int(found.false.sum())), f"{100 * score:.2f}"]
    table.add_row(*last, *([] if parts is None else [f"{100 * float(parts.sum()):+.2f}"]))
    return table


def diary_classes_table(diaries: Sequence[Diary], title: str) -> Table:
    """Returns the errors of each class by kind, missed references and false alarms together; of two lists as ``12→9``."""
    table = Table(title=title, title_justify="left", box=HORIZONTALS, padding=(0, 0, 0, 1))
    table.add_column("class", max_width=_CLASS_WIDTH, no_wrap=True)
    for name in ("F1", *KINDS):
        table.add_column(name, justify="right", no_wrap=True, min_width=9 if name == "F1" else len(name))
    errors = [found.missed + found.false for found in diaries]
    for k, label in enumerate(diaries[0].classes):
        scores = ["" if bool(found.f1[k].isnan()) else f"{100 * float(found.f1[k]):.1f}" for found in diaries]
        counts = ["→".join(str(int(own[i, k])) for own in errors) for i in range(len(KINDS))]
        table.add_row(label, "→".join(scores) if all(scores) else "no reference", *counts)
    return table


def plot_diary(diaries: Sequence[Diary], names: Sequence[str], title: str) -> Figure:
    """Draws what mending each kind of error would gain, and for two lists what each kind makes of their difference."""
    figure = Figure(figsize=inches(8 if len(diaries) == 2 else 5, 3.8), layout="constrained")
    axes = figure.subplots(1, len(diaries), squeeze=False)[0]
    y, height = np.arange(len(KINDS))[::-1], 0.8 / len(diaries)
    for i, (found, name) in enumerate(zip(diaries, names, strict=True)):
        gain = _macro(found.mended) - _macro(found.f1[None])
        place = y + (len(diaries) - 1 - 2 * i) * height / 2
        axes[0].barh(place, 100 * gain.numpy(), height=height, color=LINES[i], label=short(name))
    axes[0].set_yticks(y, list(KINDS))
    axes[0].set_xlabel("macro F1 gained if mended, in points")
    if len(diaries) == 2:
        parts = 100 * _macro(contributions(*diaries)).numpy()
        axes[1].barh(y, parts, height=0.6, color=[LINES[2] if part >= 0 else LINES[5] for part in parts])
        axes[1].axvline(0, color="#444444", linewidth=0.8)
        axes[1].set_yticks(y, [""] * len(y))
        axes[1].set_xlabel(f"part of the difference ({parts.sum():+.2f}), in points")
    figure.suptitle(heading(title), x=0.01, ha="left")
    figure.legend(loc="outside lower left", ncol=2, frameon=False, fontsize=8)
    return figure


def _macro(by_class: torch.Tensor) -> torch.Tensor:
    """Returns the mean over the classes with references ``[...]`` of figures ``[..., class]``."""
    return by_class.nanmean(-1).nan_to_num(0.0)
