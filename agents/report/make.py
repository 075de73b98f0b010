"""The report of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rl_postproc.data.events import Events
from rl_postproc.report.browser import Browser
from rl_postproc.report.clips import make_browser
from rl_postproc.report.contents import Chart, Column, Report, Section, Table, Text
from rl_postproc.report.curves import threshold_charts
from rl_postproc.report.errors import errors_section
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from .learning import learning_section
from .parameters import chosen_thresholds, parameters_section
from .results import calibration_chart, classes_section, judges_table, mean_classes, results_section
from .runs import Run

MOST_SYSTEMS = 6
"""Systems whose events the clip browser holds."""


def make_report(run: Run, watch: Callable[[str, float], None] = lambda what, share: None) -> Report:
    """Puts together what a run's files tell.

    Args:
        run: what was read.
        watch: told what is being done, and the share that is done.
    """
    notes, sections = [*run.notes, *run.data.get("notes", ())], []
    watch("tables", 0.1)
    by_system = _by_system(run)
    if run.kind == "benchmark":
        first = results_section(run.results)
        sections.append(
            Section(first.title, [*first.parts, *judges_table(run.results), *calibration_chart(run.results)])
        )
    elif by_system:
        sections.append(_figures_section(run))
    score = run.results.get("score") or run.metric.score_name
    shown, said = _shown_systems(run, score)
    notes += said
    if by_system:
        sections.append(classes_section({name: by_system[name] for name in shown if name in by_system} or by_system, score,
                                        _baseline(run, shown)))  # fmt: skip
    browser: Browser | None = None
    if run.task is not None:
        watch("clips", 0.2)
        systems = {name: run.systems[name] for name in shown}
        thresholds = chosen_thresholds(run)
        means = {name: [_mean(own.get(label)) for label in run.task.scores.classes]
                 for name, own in thresholds.items() if name in systems}  # fmt: skip
        browser, said = make_browser(run.task.scores, systems, run.metric, means)
        notes += said
        if run.task.scores.references is not None:
            watch("curves", 0.4)
            made, said = _parts(run.task, systems, by_system, thresholds)
            sections += made
            notes += said
        watch("parameters", 0.6)
        if (section := parameters_section(run)) is not None:
            sections.append(section)
    if (section := learning_section(run.curves, run.results, score)) is not None:
        sections.append(section)
    sections.append(_made_of(run))
    return Report(_title(run), _summary(run), sections, browser, list(dict.fromkeys(notes)))


def _parts(
    task: TuningTask, systems: dict[str, Events], by_system: dict[str, Any], thresholds: dict[str, Any]
) -> tuple[list[Section], list[str]]:
    """Returns curves and errors, and sentences on what cannot be."""
    sections, notes = [], []
    for title, make in (
        ("Curves", lambda: Section("Curves", threshold_charts(task, by_system, thresholds))),
        ("Errors", lambda: errors_section(task.scores.require_references(), systems, task.metric)),
    ):
        try:
            sections.append(make())
        except UserError as error:
            notes.append(f"{title} are left out: {error}")
    return sections, notes


def _by_system(run: Run) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns what was counted and scored of each class, by system."""
    if run.kind == "benchmark":
        return mean_classes(run.results)
    if run.figures:
        return {name: own.to_json()["classes"] for name, own in run.figures.items()}
    return {run.title: run.results["classes"]} if run.results.get("classes") else {}


def _shown_systems(run: Run, score: str) -> tuple[list[str], list[str]]:
    """Returns the systems whose clips, classes and errors are shown, and a sentence where these are not all."""
    names = list(run.systems) or list(_by_system(run))
    if len(names) <= MOST_SYSTEMS:
        return names, []
    figures = {entry["agent"]: entry["value"] for entry in run.results["agents"]}
    best = sorted(names, key=lambda name: -figures[name])
    first = [name for name in ("default", _baseline(run, names)) if name in names]
    kept = {*first, *[name for name in best if name not in first][: MOST_SYSTEMS - len(first)]}
    return [name for name in names if name in kept], [
        f"Of {len(names)} agents, clips, classes and errors show {len(kept)}: the baseline, the defaults and the best others "
        "by the same figures."
    ]


def _baseline(run: Run, names: list[str]) -> str | None:
    over = next((entry["gain"]["over"] for entry in run.results.get("agents", ()) if "gain" in entry), "defaults")
    return over if over in names else None


def _figures_section(run: Run) -> Section:
    """Returns the figures of a post-processor, or of events, beside those of the defaults."""
    told = {name: own.to_json() for name, own in run.figures.items()} or {run.title: run.results}
    keys = [key for key in next(iter(told.values())) if key.startswith(("macro_", "micro_"))]
    columns = [Column("system"), *(Column(key.replace("_", " "), "percent") for key in keys), Column("certified by")]
    rows = [[name, *(own.get(key) for key in keys), own.get("certified_by")] for name, own in told.items()]
    on = "on the clips that were tuned on" if run.kind == "train" else "on these clips"
    return Section("Results", [Table(f"Figures {on}, in percent", columns, rows)])


def _title(run: Run) -> str:
    return {"benchmark": f"Benchmark: {run.title}", "train": f"Training: {run.title}",
            "apply": f"{run.title}, applied", "events": f"Events: {run.title}"}[run.kind]  # fmt: skip


def _summary(run: Run) -> list[str]:
    data, said = run.data, list[str]()
    if run.kind == "benchmark":
        results = run.results
        kind = "simulated clips" if results["simulated"] else "clips"
        how = f"{results['folds']} folds"
        if "n_evaluation_clips" in results:
            how = f"scored on {results['n_evaluation_clips']} others"
        seeds = len({row["seed"] for row in results["rows"]})
        said.append(f"{len(results['agents'])} agents on {results['n_clips']} {kind}, {how}, "
                    f"{seeds} seed{'s' * (seeds > 1)}; "
                    "every figure is of clips that its agent was not tuned on.")  # fmt: skip
        best = max(results["agents"], key=lambda entry: entry["value"])
        if "gain" in best and "objective" not in results:
            gain = best["gain"]
            said.append(f"The best is '{best['agent']}' with {100 * best['value']:.1f} %, {100 * gain['value']:+.1f} points "
                        f"over '{gain['over']}' (95 %: {100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}).")  # fmt: skip
        said += [f"'{name}' was skipped: {reason}" for name, reason in results.get("skipped", {}).items()]
    if data:
        seconds = data["seconds"]
        length = f"{seconds[0]:g} s" if seconds[0] == seconds[1] else f"{seconds[0]:g} to {seconds[1]:g} s"
        events = f", {sum(data['references'].values())} reference events" if data["references"] is not None else ""
        said.append(f"Data: {data['clips']} clips of {length}, {len(data['classes'])} classes, frames of {data['hop']:g} s"
                    f"{events}.")  # fmt: skip
    return said


def _made_of(run: Run) -> Section:
    """Returns data, config and versions."""
    parts: list[Table | Chart | Text] = []
    if run.data:
        keep = [(key.replace("_", " "), _span(value)) for key, value in run.data.items() if key not in ("classes", "notes")
                and not isinstance(value, dict)]  # fmt: skip
        parts.append(Table("Data", [Column("what"), Column("value")], keep))
    if run.versions:
        rows = [(key, _plain(value)) for key, value in run.versions.items()]
        parts.append(Table("Versions", [Column("what"), Column("version")], rows))
    if run.config:
        parts.append(Text(run.config, as_is=True, title="Config, as it was resolved"))
    parts.append(Text(f"Made from {Path(run.path).name}."))
    return Section("Made of", parts)


def _span(value: Any) -> str:
    """Returns a range of two numbers, or anything else, as text."""
    if isinstance(value, list) and len(value) == 2:
        return f"{value[0]:g} to {value[1]:g}" if value[0] != value[1] else f"{value[0]:g}"
    return _plain(value)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _mean(values: list[float] | None) -> float | None:
    return None if not values else sum(values) / len(values)
