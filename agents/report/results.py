"""The results of a benchmark, or of one training, as tables and charts of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rl_postproc.report.contents import Cell, Chart, Column, Section, Table
from rl_postproc.report.figures import bars, lines, points
from rl_postproc.results.calibration import pooled
from rl_postproc.results.tables import score_label

Results = Mapping[str, Any]
Valued = tuple[Cell, str]

MOST_CLASSES = 40
"""Classes that the chart of classes shows."""


def results_section(results: Results) -> Section:
    """Returns the table of agents, their scores with intervals, and every pair of them.

    Args:
        results: the contents of ``results.json``.
    """
    rows, score = results["rows"], results["score"]
    label = score_label(score)
    of_agent = {entry["agent"]: entry for entry in results["agents"]}
    over = next((entry["gain"]["over"] for entry in results["agents"] if "gain" in entry), "baseline")
    rates = [name for name in ("precision", "recall") if f"macro_{name}" in rows[0]]
    what = results["objective"]["name"].replace("_", " ") if "objective" in results else f"macro {label}"
    over_what = "clips and seeds" if len({row["seed"] for row in rows}) > 1 else "clips"
    columns = [
        Column("agent"),
        *([Column(f"held-out macro {label}", "percent", "mean over seeds")] if "objective" in results else []),
        Column(
            f"held-out {what} (95 %)",
            "number" if "objective" in results else "percent",
            f"mean over seeds, with its interval over {over_what}",
        ),
        Column(f"gain over {over} (95 %)", "percent", "paired over clips; the interval holds by itself"),
        Column("… all gains together", "percent", "the same gain, with intervals that hold for all agents at once"),
        *(Column(f"macro {name}", "percent") for name in rates),
        Column(f"micro {label}", "percent"),
        Column("training", "percent", f"macro {label} on the clips that it was tuned on"),
        Column("seconds", "number", "a fold"),
        Column("evaluations", "number", "of rewards, a fold"),
    ]
    cells = []
    for name in dict.fromkeys(row["agent"] for row in rows):
        own = [row for row in rows if row["agent"] == name]
        entry = of_agent[name]
        cells.append([
            name,
            *([_mean(own, f"macro_{score}")] if "objective" in results else []),
            with_interval(entry, 100 if "objective" not in results else 1),
            with_interval(entry.get("gain"), signed=True),
            with_interval(entry.get("gain"), signed=True, suffix="_adjusted"),
            *(_mean(own, f"macro_{rate}") for rate in rates),
            _mean(own, f"micro_{score}"),
            _mean(own, f"train_macro_{score}"),
            _mean(own, "seconds"),
            _mean(own, "evaluations"),
        ])  # fmt: skip
    cells += [[name, *[None] * (len(columns) - 1)] for name in results.get("skipped", {})]
    parts = [Table("Held out, in percent", columns, cells), _agents_chart(results, what), *_pairs(results)]
    return Section("Results", [part for part in parts if part is not None])


def with_interval(
    entry: Mapping[str, float] | None, scale: float = 100, signed: bool = False, suffix: str = ""
) -> Valued | None:
    """Returns a value that sorts, and how it is shown with its interval."""
    if entry is None:
        return None
    sign, digits = "+" if signed else "", 2 if scale == 100 else 4
    value, low, high = (scale * entry[name] for name in ("value", f"low{suffix}", f"high{suffix}"))
    return entry["value"], f"{value:{sign}.{digits}f} ({low:{sign}.{digits - 1}f} to {high:{sign}.{digits - 1}f})"


def _mean(rows: Sequence[Results], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(values)) if values else None


def _agents_chart(results: Results, what: str) -> Chart:
    entries, scale = results["agents"], 1 if "objective" in results else 100
    ends = [(scale * entry["low"], scale * entry["high"]) for entry in entries]
    figure = points([entry["agent"] for entry in entries], [scale * entry["value"] for entry in entries], ends,
                    what + (" in %" if scale == 100 else ""))  # fmt: skip
    return Chart("Held out, with 95 % intervals",
                 "A point for each agent with its interval; the table above holds the numbers.", {"": figure})  # fmt: skip


def _pairs(results: Results) -> list[Table]:
    if len(results.get("pairs", ())) < 2:
        return []
    columns = [Column("agent"), Column("over"), Column("difference (95 %)", "percent"),
               Column("… all pairs together", "percent", "intervals that hold for all pairs at once")]  # fmt: skip
    rows = [
        [
            pair["agent"],
            pair["over"],
            with_interval(pair, signed=True),
            with_interval(pair, signed=True, suffix="_adjusted"),
        ]
        for pair in results["pairs"]
    ]
    return [Table("Every pair of agents, in points", columns, rows)]


def classes_section(
    by_system: Mapping[str, Mapping[str, Mapping[str, Any]]], score: str, baseline: str | None
) -> Section:
    """Returns the score of each class by system, with gains over one of them.

    Args:
        by_system: of each class what was counted and scored, by system.
        score: name of the score.
        baseline: the system that the others' gains are over; None without.
    """
    label, names = score_label(score), list(by_system)
    classes = list(next(iter(by_system.values())))
    base = by_system.get(baseline) if baseline else None
    columns = [Column("class")]
    if all("reference" in own for own in by_system[names[0]].values()):
        columns.append(Column("references", "number"))
    columns += [Column(name, "percent", label if base is None or name == baseline else f"{label}, and gain over {baseline}")
                for name in names]  # fmt: skip
    rows = []
    for of in classes:
        row: list[Any] = [of]
        if len(columns) > len(names) + 1:
            row.append(by_system[names[0]][of]["reference"])
        for name in names:
            row.append(
                _with_gain(
                    by_system[name][of].get(score), None if base is None or name == baseline else base[of].get(score)
                )
            )
        rows.append(row)
    known = [of for of in classes if any(by_system[name][of].get(score) is not None for name in names)]
    said = f"{label} of each class"
    if len(known) > MOST_CLASSES:
        apart = {of: max(own) - min(own) for of in known
                 if (own := [value for name in names if (value := by_system[name][of].get(score)) is not None])}  # fmt: skip
        known = [of for of in known if of in sorted(apart, key=lambda of: -apart[of])[:MOST_CLASSES]]
        said += f": the {MOST_CLASSES} of {len(classes)} on which systems differ most"
    chart = Chart(said, "Bars: each class, and each system in it; the table holds the numbers.",
                  {"": bars(known, {name: [_percent(by_system[name][of].get(score)) for of in known] for name in names},
                            f"{label} in %")})  # fmt: skip
    return Section("Classes", [Table(f"{label} of each class, in percent", columns, rows), chart])


def mean_classes(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns what each agent counted and scored of each class, means over seeds.

    Args:
        results: the contents of ``results.json``.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in dict.fromkeys(row["agent"] for row in results["rows"]):
        own = [row["classes"] for row in results["rows"] if row["agent"] == name]
        found[name] = {
            of: {key: None if any(run[of][key] is None for run in own) else float(np.mean([run[of][key] for run in own]))
                 for key in own[0][of]}
            for of in own[0]
        }  # fmt: skip
    return found


def _with_gain(value: float | None, base: float | None) -> Valued | float | None:
    if value is None or base is None:
        return value
    return value, f"{100 * value:.2f} ({100 * (value - base):+.1f})"


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)


def calibration_chart(results: Results) -> list[Chart]:
    """Returns how often events of a confidence are right, by agent; none where events have no confidence."""
    rows = [row for row in results["rows"] if "calibration" in row]
    if not rows:
        return []
    series = {}
    for name in dict.fromkeys(row["agent"] for row in rows):
        bins = pooled([row["calibration"] for row in rows if row["agent"] == name])
        series[name] = ([100 * own["expected"] for own in bins], [100 * own["right"] for own in bins])
    series["as sure as right"] = ([0, 100], [0, 100])
    return [Chart("Are confidences right?", "Share of right events over confidence, in bins; on the diagonal they agree.",
                  {"": lines(series, "confidence in %", "right in %")})]  # fmt: skip


def judges_table(results: Results) -> list[Table]:
    """Returns the agents under further metrics; none where no others judge."""
    if "judged" not in results:
        return []
    rows = results["judged"]
    names = list(dict.fromkeys(name for row in rows for name in row["judges"]))
    cells = [
        [agent, *(_mean([row["judges"][name] for row in rows if row["agent"] == agent], "value") for name in names)]
        for agent in dict.fromkeys(row["agent"] for row in rows)
    ]
    columns = [Column("agent"), *(Column(name.replace("_", " "), "percent") for name in names)]
    return [Table("The same events under further metrics, in percent", columns, cells)]
