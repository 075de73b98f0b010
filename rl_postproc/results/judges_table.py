"""Rows of a benchmark under several metrics: tuned for one, how much is lost in another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.box import HORIZONTALS
from rich.table import Table


def judges_table(results: Mapping[str, Any], title: str) -> Table:
    """Returns a table of rows by metrics: means over seeds in percent, and what is lost against the best row.

    Args:
        results: ``judged``: rows of ``agent``, ``seed`` and ``judges``, see `rl_postproc.agents.benchmark.judges.judged`.
        title: heading.
    """
    rows = results["judged"]
    names = list(dict.fromkeys(name for row in rows for name in row["judges"]))
    agents = list(dict.fromkeys(row["agent"] for row in rows))
    means = {name: {agent: _mean(rows, agent, name) for agent in agents} for name in names}
    table = Table(title=title, title_justify="left", box=HORIZONTALS)
    table.add_column("tuned")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for agent in agents:
        cells = []
        for name in names:
            value, best = means[name][agent], max((v for v in means[name].values() if v is not None), default=0.0)
            ranked = any(row["judges"][name].get("ranked", True) for row in rows if row["agent"] == agent)
            if value is None:
                cells.append("–")
            else:
                lost = "best" if value == best else f"−{100 * (best - value):.1f}"
                cells.append(f"{100 * value:.2f}{'' if ranked else '*'} ({lost})")
        table.add_row(agent, *cells)
    if any(not judge.get("ranked", True) for row in rows for judge in row["judges"].values()):
        table.caption = "* events without confidences have no order: one operating point is ranked"
        table.caption_justify = "left"
    return table


def _mean(rows: list[dict[str, Any]], agent: str, name: str) -> float | None:
    values = [row["judges"][name]["value"] for row in rows if row["agent"] == agent]
    return None if any(value is None for value in values) else float(np.mean(values))
