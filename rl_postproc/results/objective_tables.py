"""Tables of a benchmark whose objective is not the macro score: what it comes to, and what its minimum costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.box import HORIZONTALS
from rich.table import Table

from rl_postproc.results.tables import score_label

_MOST_MISSED = 5
"""Classes that a note names."""


def objective_table(results: Mapping[str, Any]) -> Table:
    """Returns each agent's objective with its interval, its macro score, and what the minimum costs of it.

    Args:
        results: ``rows``, ``score``, ``agents`` with ``value``, ``low`` and ``high``, and ``objective``: ``name`` and, where
            it has a minimum, ``minimum`` by agent.
    """
    told, score = results["objective"], score_label(results["score"])
    minimum = told.get("minimum")
    title = f"{told['name'].replace('_', ' ')}, held out (95 %)" + (
        f"; cost: the same agent's macro {score} without the minimum, less its own, in points" if minimum else ""
    )
    table = Table(title=title, title_justify="left", box=HORIZONTALS)
    columns = ["agent", "objective", f"macro {score}"]
    columns += ["cost (95 %)", "classes at their minimum"] if minimum else []
    for name in columns:
        table.add_column(name, justify="left" if name == "agent" else "right")
    for entry in results["agents"]:
        own = [row[f"macro_{results['score']}"] for row in results["rows"] if row["agent"] == entry["agent"]]
        cells = [entry["agent"], "{value:.4f} ({low:.4f} to {high:.4f})".format(**entry), f"{100 * np.mean(own):.2f}"]
        if minimum:
            cells += _minimum_cells(minimum.get(entry["agent"]))
        table.add_row(*cells)
    return table


def _minimum_cells(entry: Mapping[str, Any] | None) -> list[str]:
    if entry is None:
        return ["", ""]
    cost, reached = entry.get("cost"), entry["reached"].values()
    met, of = (sum(own[key] for own in reached) for key in ("met", "of"))
    shown = (
        "" if cost is None else f"{100 * cost['value']:+.2f} ({100 * cost['low']:+.1f} to {100 * cost['high']:+.1f})"
    )
    return [shown, f"{met} of {of}"]


def minimum_table(results: Mapping[str, Any]) -> Table | None:
    """Returns what each agent reaches held out in each class of the minimum, in percent; None where there is none."""
    minimum = results["objective"].get("minimum")
    if not minimum:
        return None
    table = Table(title="Reached held out, in percent", title_justify="left", box=HORIZONTALS)
    table.add_column("class")
    for name in ("minimum", *minimum):
        table.add_column(name, justify="right")
    classes = dict.fromkeys(name for entry in minimum.values() for name in entry["reached"])
    for name in classes:
        cells = [entry["reached"].get(name) for entry in minimum.values()]
        least = next(cell["minimum"] for cell in cells if cell is not None)
        table.add_row(
            name, f"{100 * least:g}", *("" if cell is None else f"{100 * cell['value']:.1f}" for cell in cells)
        )
    return table


def missed_note(results: Mapping[str, Any]) -> str:
    """Says, an agent a line, which classes missed their minimum on training clips, and what they reached there."""
    lines = []
    for agent, entry in results["objective"].get("minimum", {}).items():
        missed = entry["missed_in_training"]
        named = [
            f"{name} ({own['folds']}: {100 * own['least']:.1f} to {100 * own['most']:.1f} %)"
            for name, own in sorted(missed.items(), key=lambda item: -item[1]["folds"])
        ]
        if named:
            more = ", …" if len(named) > _MOST_MISSED else ""
            lines.append(f"'{agent}' misses the minimum on its training clips, by class (folds: reached there): "
                         f"{', '.join(named[:_MOST_MISSED])}{more}.")  # fmt: skip
    return "\n".join(lines)
