"""Result tables for the terminal and for files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from rl_postproc.certify import Report
from rl_postproc.files import write_text

CSV_COLUMNS: tuple[str, ...] = (
    "agent",
    "seed",
    "macro_f1",
    "micro_f1",
    "train_macro_f1",
    "train_micro_f1",
    "seconds",
    "evaluations",
    "certified_by",
)


def agents_table(rows: Sequence[Mapping[str, Any]], title: str, intervals: Sequence[Mapping[str, Any]] = ()) -> Table:
    """Returns the table of agents: means over seeds, their spread where there are several, paired gains.

    Args:
        rows: result rows.
        title: heading.
        intervals: per agent ``agent`` and, but for the baseline, ``gain`` with ``over``, ``value``, ``low``, ``high``.
    """
    table = Table(title=title, title_justify="left")
    gains = {entry["agent"]: entry["gain"] for entry in intervals if "gain" in entry}
    over = next((gain["over"] for gain in gains.values()), "baseline")
    for name in (
        "agent",
        "held-out macro F1",
        f"gain over {over} (95 %)",
        "micro F1",
        "training",
        "seconds",
        "evaluations",
    ):
        table.add_column(name, justify="left" if name == "agent" else "right")
    for name in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == name]
        held = np.array([100 * row["macro_f1"] for row in own])
        spread = f" ± {held.std(ddof=1):.2f}" if len(own) > 1 else ""
        table.add_row(
            name,
            f"{held.mean():.2f}{spread}",
            _gain(gains.get(name)),
            f"{100 * np.mean([row['micro_f1'] for row in own]):.2f}",
            f"{100 * np.mean([row['train_macro_f1'] for row in own]):.2f}",
            f"{np.mean([row['seconds'] for row in own]):.1f}",
            f"{np.mean([row['evaluations'] for row in own]):,.0f}",
        )
    return table


def _gain(gain: Mapping[str, float] | None) -> str:
    return "" if gain is None else f"{100 * gain['value']:+.2f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"


def published_table(results: Mapping[str, Any]) -> Table:
    """Returns published figures beside ours: held out, and in brackets on the training clips, in percent."""
    published, rows = results["published"], results["rows"]
    measure = published["measure"]
    table = Table(
        title=f"{published['source']}: {measure.replace('_f1', ' F1')}, held out (training)", title_justify="left"
    )
    for name in ("agent", "published", "ours", "difference", "seconds", "evaluations"):
        table.add_column(name, justify="left" if name == "agent" else "right")
    for name in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == name]
        held, train = (100 * float(np.mean([row[f"{part}{measure}"] for row in own])) for part in ("", "train_"))
        spread = f" ± {100 * np.std([row[measure] for row in own], ddof=1):.2f}" if len(own) > 1 else ""
        theirs = published["figures"].get(name)
        table.add_row(
            name,
            "" if theirs is None else f"{theirs[0]:.1f} ({theirs[1]:.1f})",
            f"{held:.2f}{spread} ({train:.2f})",
            "" if theirs is None else f"{held - theirs[0]:+.2f} ({train - theirs[1]:+.2f})",
            f"{np.mean([row['seconds'] for row in own]):.2f}",
            f"{np.mean([row['evaluations'] for row in own]):,.0f}",
        )
    return table


def classes_table(report: Report, title: str) -> Table:
    """Returns the counts and F1 of each class."""
    table = Table(title=title, title_justify="left")
    for name in ("class", "true positives", "estimated", "reference", "F1"):
        table.add_column(name, justify="left" if name == "class" else "right")
    figures = report.to_json()
    for name, row in figures["classes"].items():
        score = "no references" if row["f1"] is None else f"{100 * row['f1']:.2f}"
        table.add_row(name, str(row["tp"]), str(row["estimated"]), str(row["reference"]), score)
    table.add_section()
    total = [str(int(x.sum())) for x in (report.true_positives, report.estimated, report.reference)]
    table.add_row("micro", *total, f"{100 * figures['micro_f1']:.2f}")
    table.add_row("macro", "", "", "", f"{100 * figures['macro_f1']:.2f}")
    return table


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes result rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
