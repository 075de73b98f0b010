"""Result tables for the terminal and for files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import HORIZONTALS
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from rl_postproc.metrics.certify import CertifiedScores
from rl_postproc.utils.files import write_text

_MOST_LOSSES = 5
"""Classes named of those on which an agent loses."""


def score_label(score: str) -> str:
    """Returns the name of a score for people, such as ``F1`` for ``f1``."""
    return score.upper() if len(score) <= 3 else score.replace("_", " ")


def agents_table(results: Mapping[str, Any], title: str) -> Table:
    """Returns the table of agents: means over seeds, their spread where there are several, paired gains.

    Args:
        results: ``rows``, ``score`` (the name of the score) and ``agents``: per agent ``agent`` and, but for the baseline,
            ``gain`` with ``over``, ``value``, ``low``, ``high``; where there are some, ``skipped``: reasons by agent, and
            ``stacks``: the names of stack and agent of each row.
        title: heading.
    """
    rows, score = results["rows"], results["score"]
    table = Table(title=title, title_justify="left", box=HORIZONTALS)  # nine columns, within 120 characters
    gains = {entry["agent"]: entry["gain"] for entry in results.get("agents", ()) if "gain" in entry}
    over = next((gain["over"] for gain in gains.values()), "baseline")
    stacks = results.get("stacks", {})
    first = ["stack", "agent"] if stacks else ["agent"]
    for name in (
        *first,
        f"held-out\nmacro {score_label(score)}",
        f"gain over {over}\n(95 %)",
        *(f"macro\n{rate}" for rate in _rates(rows, score)),
        f"micro\n{score_label(score)}",
        "training",
        "seconds",
        *([] if stacks else ["evaluations"]),
    ):
        table.add_column(name, justify="left" if name in first else "right")
    for name in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == name]
        held = np.array([100 * row[f"macro_{score}"] for row in own])
        spread = f" ± {held.std(ddof=1):.2f}" if len(own) > 1 else ""
        table.add_row(
            *stacks.get(name, (name,)),
            f"{held.mean():.2f}{spread}",
            _gain(gains.get(name)),
            *(f"{100 * np.mean([row[f'macro_{rate}'] for row in own]):.2f}" for rate in _rates(rows, score)),
            f"{100 * np.mean([row[f'micro_{score}'] for row in own]):.2f}",
            f"{100 * np.mean([row[f'train_macro_{score}'] for row in own]):.2f}",
            f"{np.mean([row['seconds'] for row in own]):.1f}",
            *([] if stacks else [f"{np.mean([row['evaluations'] for row in own]):,.0f}"]),
        )
    for name in results.get("skipped", {}):
        table.add_row(*stacks.get(name, (name,)), "skipped")
    for column in table.columns[len(first) :]:
        column.min_width = max(map(cell_len, map(str, column.cells)))  # headings break where figures must not
    table.caption, table.caption_justify = Text(skipped_note(results), style="default"), "left"
    return table


def skipped_note(results: Mapping[str, Any]) -> str:
    """Says for each agent that could not run why, one a line; empty where all could.

    Args:
        results: where there are some, ``skipped``: their reasons by agent.
    """
    return "\n".join(f"'{name}' is skipped: {reason}" for name, reason in results.get("skipped", {}).items())


def _gain(gain: Mapping[str, float] | None) -> str:
    return "" if gain is None else f"{100 * gain['value']:+.2f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"


def intervals_note(results: Mapping[str, Any]) -> str:
    """Says in one line what the intervals in the table of agents hold, and what not; empty where it shows none.

    Args:
        results: ``rows`` and ``agents``, as for `agents_table`.
    """
    n = sum("gain" in entry for entry in results.get("agents", ()))
    if not n:
        return ""
    drawn = "clips and seeds" if len({row["seed"] for row in results["rows"]}) > 1 else "clips"
    left_out = "tuning on other clips" if drawn != "clips" else "other seeds and tuning on other clips"
    many = (
        f"{n} comparisons, each interval 95 % by itself (results.json has those that hold together, and all pairs)"
        if n > 1
        else "1 comparison"
    )
    return f"Intervals: {many}, over {drawn}; what {left_out} would change is not in them."


def parts_note(results: Mapping[str, Any]) -> str:
    """Says what each part of a stack earns, a part a line; empty where none was left out.

    Args:
        results: where parts were left out, ``drop_one_out``: the ``row`` of the whole stack, and of each of its ``parts`` the
            gain of having it.
    """
    found = results.get("drop_one_out")
    if not found or not found["parts"]:
        return ""
    lines = [f"  {part}: {_gain(gain)}" for part, gain in found["parts"].items()]
    return "\n".join([f"What each part of '{found['row']}' earns, by leaving it out (95 %):", *lines])


def losses_note(results: Mapping[str, Any], reference: str = "default") -> str:
    """Says, an agent a line, on which classes it is worse than the defaults of the stack; empty where these did not run.

    Agents on several numbers of clips are left out; ``classes.csv`` has theirs.

    Args:
        results: ``rows`` and ``score``, as for `agents_table`; where there is one, ``learning_curve``.
        reference: the agent that the others are compared with.
    """
    points = {f"{name} {point['clips']}" for name, own in results.get("learning_curve", {}).items() for point in own}
    rows, score = [row for row in results["rows"] if row["agent"] not in points], results["score"]
    by_class = {name: _class_means(rows, name, score) for name in dict.fromkeys(row["agent"] for row in rows)}
    if reference not in by_class:
        return ""
    lines = []
    for name, own in by_class.items():
        gains = {label: value - by_class[reference][label] for label, value in own.items()}
        lost = sorted((gain, label) for label, gain in gains.items() if gain < 0)
        if lost:
            worst = ", ".join(f"{label} {100 * gain:+.1f}" for gain, label in lost[:_MOST_LOSSES])
            more = ", …" if len(lost) > _MOST_LOSSES else ""
            lines.append(f"'{name}' is below '{reference}' on {len(lost)} of {len(own)} classes: {worst}{more}.")
    return "\n".join(lines)


def _class_means(rows: Sequence[Mapping[str, Any]], agent: str, score: str) -> dict[str, float]:
    """Returns an agent's score of each class that has one, averaged over seeds."""
    own = [row["classes"] for row in rows if row["agent"] == agent]
    return {
        label: float(np.mean([classes[label][score] for classes in own]))
        for label in own[0]
        if own[0][label][score] is not None
    }


def learning_curve_table(results: Mapping[str, Any], title: str) -> Table:
    """Returns the held-out macro score, in percent, of each agent on each number of labelled clips.

    Args:
        results: ``learning_curve``: for each agent a mapping a point, ``clips``, ``value``, ``low`` and ``high``.
        title: heading.
    """
    curve = results["learning_curve"]
    clips = sorted({point["clips"] for points in curve.values() for point in points})
    table = Table(title=title, title_justify="left", box=HORIZONTALS)
    table.add_column("labelled clips")
    for agent in curve:
        table.add_column(agent, justify="right")
    for n in clips:
        cells = [next((point for point in points if point["clips"] == n), None) for points in curve.values()]
        table.add_row(str(n), *("" if cell is None else _with_interval(cell) for cell in cells))
    return table


def _with_interval(point: Mapping[str, float]) -> str:
    return f"{100 * point['value']:.1f}\n({100 * point['low']:.1f} to {100 * point['high']:.1f})"


def code_note(results: Mapping[str, Any]) -> str:
    """Says in one line which results other code has made than the one that is running; empty where there are none.

    Args:
        results: where there are some, ``folds_by_other_code``: their number by agent.
    """
    folds = results.get("folds_by_other_code", {})
    if not folds:
        return ""
    n = sum(folds.values())
    agents = ", ".join(f"'{name}'" for name in folds)
    return (
        f"Made by other code than this and taken up as they are: {n} finished {'fold' if n == 1 else 'folds'} of {agents}; "
        "give another --out, or --fresh to run them anew."
    )


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


def classes_table(report: CertifiedScores, title: str) -> Table:
    """Returns the counts, rates such as precision and recall, and the score of each class."""
    table = Table(title=title, title_justify="left")
    table.add_column("class", overflow="fold")
    for name in (*report.counts, *report.rates, report.score_name):
        table.add_column(score_label(name) if name == report.score_name else name.replace("_", " "), justify="right")
    scores = [*report.rates.values(), report.score]
    for k, name in enumerate(report.classes):
        shown = [_percent(float(score.by_class[k])) for score in scores]
        shown[-1] = shown[-1] or "no reference"
        table.add_row(name, *(str(int(count[k])) for count in report.counts.values()), *shown)
    table.add_section()
    total = [str(int(count.sum())) for count in report.counts.values()]
    table.add_row("micro", *total, *(_percent(score.micro) for score in scores))
    table.add_row("macro", *[""] * len(total), *(_percent(score.macro) for score in scores))
    return table


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f}"


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]], score: str) -> None:
    """Writes result rows as CSV, ``score`` being the name of the score."""
    means = [f"{prefix}{average}_{score}" for prefix in ("", "train_") for average in ("macro", "micro")]
    averages = [f"{average}_{rate}" for rate in _rates(rows, score) for average in ("macro", "micro")]
    _write_csv(path, ["agent", "seed", *means, *averages, "seconds", "evaluations", "certified_by"], rows)


def write_classes(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the counts and scores of each class as CSV, a row for each agent, seed and class of the result rows."""
    found = [
        {"agent": row["agent"], "seed": row["seed"], "class": name, **values}
        for row in rows
        for name, values in row["classes"].items()
    ]
    _write_csv(path, list(found[0]), found)


def _rates(rows: Sequence[Mapping[str, Any]], score: str) -> list[str]:
    """Returns what result rows average beside the score, such as precision and recall."""
    named = [name.removeprefix("macro_") for name in rows[0] if name.startswith("macro_")]
    return [name for name in named if name != score]


def _write_csv(path: str | Path, columns: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
