"""The report of two runs: what changed between them, of agents, classes and clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Macro
from rl_postproc.metrics.base import Metric
from rl_postproc.report.clips import make_browser
from rl_postproc.report.contents import Chart, Column, Report, Section, Table, Text
from rl_postproc.report.errors import errors_section
from rl_postproc.report.figures import bars
from rl_postproc.results.bootstrap import bootstrap, compared
from rl_postproc.results.examples import clip_gain
from rl_postproc.results.permutation import permutation_p
from rl_postproc.results.tables import score_label
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, quoted
from rl_postproc.utils.plain_values import parse_yaml

from .results import with_interval
from .runs import Run

MOST_PAIRS = 3
"""Pairs whose clips are shown."""
MOST_CLIPS = 200
"""Clips that are listed of each pair: those that gained or lost most."""


@dataclass(frozen=True)
class Pair:
    """The same agent in two runs, or one system of each.

    Attributes:
        name: what it is called.
        before: its events in the first run, ``after`` in the second, over the same clips and classes.
        counts: of both, float64 ``[2, column, clip, class]``.
    """

    name: str
    before: Events
    after: Events
    counts: torch.Tensor


def compare_runs(first: Run, second: Run, watch: Callable[[str, float], None] = lambda what, share: None) -> Report:
    """Puts together what changed from one run to another.

    Args:
        first: the run that is compared with.
        second: the other one.
        watch: told what is being done, and the share that is done.

    Raises:
        UserError: their scores cannot be read, have no references, or are of different clips or classes; or no agent is in
            both.
    """
    watch("reading both", 0.1)
    task, names = _same_clips(first, second), _names(first, second)
    metric, notes = task.metric, [*first.notes, *(note for note in second.notes if note not in first.notes)]
    if second.metric != metric:
        notes.append(f"The runs count by different metrics; here both are counted by that of '{names[0]}'.")
    assert second.task is not None
    if not _same_scores(task.scores, second.task.scores):
        notes.append(f"The runs are on different scores of the same clips; tracks are those of '{names[0]}'.")
    pairs, alone = _pairs(first, second, task)
    watch("comparing", 0.3)
    label = score_label(metric.score_name)
    sections = [_agents(pairs, task, names, label), _classes(pairs, metric, label, names), _clips(pairs, task, names)]
    best = max(pairs, key=lambda pair: float(_macro(metric, pair.counts[1])))
    shown = [best, *(pair for pair in pairs if pair is not best)][:MOST_PAIRS]
    systems = {f"{pair.name} in {name}": events for pair in shown
               for name, events in zip(names, (pair.before, pair.after), strict=True)}  # fmt: skip
    watch("clips", 0.6)
    browser, said = make_browser(task.scores, systems, metric)
    notes += said
    if len(shown) < len(pairs):
        notes.append(f"Of {len(pairs)} agents that are in both runs, clips and errors show {len(shown)}: the best of the "
                     "second run, and the first others.")  # fmt: skip
    try:
        sections.append(errors_section(task.scores.require_references(), systems, metric))
    except UserError as error:
        notes.append(f"Errors are left out: {error}")
    sections.append(_changed(first, second, names, alone))
    summary = [f"From '{names[0]}' ({first.path}) to '{names[1]}' ({second.path}), on {task.scores.n_clips} clips of both.",
               *_told(pairs, task)]  # fmt: skip
    return Report(f"{names[0]} and {names[1]} compared", summary, sections, browser, list(dict.fromkeys(notes)))


def _same_clips(first: Run, second: Run) -> TuningTask:
    """Returns the first run's clips, which must be the second's, with the same references."""
    for run in (first, second):
        if run.task is None:
            raise UserError(f"Two runs are compared on their clips. {run.notes[0]}")
        run.task.scores.require_references()
    assert first.task is not None and second.task is not None
    a, b = first.task.scores, second.task.scores
    for what, own, other in (("clip", a.clip_ids, b.clip_ids), ("class", a.classes, b.classes)):
        if odd := sorted(set(own) ^ set(other)):
            where = first if odd[0] in own else second
            raise UserError(f"The runs are of different {'clips' if what == 'clip' else 'classes'}: the {what} '{odd[0]}' is "
                            f"in '{where.path}' alone; compare runs on the same ones.")  # fmt: skip
    if a.require_references().to_rows() != _in_order_of(a, b.require_references()).to_rows():
        raise UserError(f"The runs in '{first.path}' and '{second.path}' have other references for the same clips; compare "
                        "runs on the same ones.")  # fmt: skip
    return first.task


def _in_order_of(scores: ScoreSet, events: Events) -> Events:
    """Returns events over the clips and classes of a set, in its order."""
    return Events.from_rows(events.to_rows(), scores.clip_ids, scores.classes)


def _same_scores(first: ScoreSet, second: ScoreSet) -> bool:
    """Returns whether two sets, of the same clips and classes, have the same scores."""
    if first.scores.shape != second.scores.shape:
        return False
    places = ({name: i for i, name in enumerate(names)} for names in (second.clip_ids, second.classes))
    clips, classes = (torch.tensor([place[name] for name in names])
                      for place, names in zip(places, (first.clip_ids, first.classes), strict=True))  # fmt: skip
    return torch.equal(first.scores, second.scores[clips][:, classes])


def _names(first: Run, second: Run) -> tuple[str, str]:
    names = first.path.resolve().name, second.path.resolve().name
    return names if names[0] != names[1] else (str(first.path), str(second.path))


def _pairs(first: Run, second: Run, task: TuningTask) -> tuple[list[Pair], list[tuple[str, list[str]]]]:
    """Returns the agents that are in both runs, and the names of those in one alone."""
    references = task.scores.require_references()

    def pair(name: str, *events: Events) -> Pair:
        same = [_in_order_of(task.scores, own) for own in events]
        counted = [task.metric.count(references, own) for own in same]
        columns = torch.stack([torch.stack([own[key] for key in task.metric.columns]) for own in counted])
        return Pair(name, same[0], same[1], columns.double())

    if first.kind != "benchmark" or second.kind != "benchmark":
        chosen = [_main(first), _main(second)]
        name = chosen[0] if chosen[0] == chosen[1] else f"{chosen[0]} / {chosen[1]}"
        return [pair(name, first.systems[chosen[0]], second.systems[chosen[1]])], []
    both = [name for name in first.systems if name in second.systems]
    if not both:
        raise UserError(f"No agent is in both runs: '{first.path}' has {quoted(list(first.systems))}, '{second.path}' "
                        f"{quoted(list(second.systems))}.")  # fmt: skip
    alone = [(str(run.path), [name for name in run.systems if name not in both]) for run in (first, second)]
    return [pair(name, first.systems[name], second.systems[name]) for name in both], alone


def _main(run: Run) -> str:
    """Returns the system that a run is about: of a benchmark the best agent."""
    if run.kind == "benchmark":
        return str(max(run.results["agents"], key=lambda entry: entry["value"])["agent"])
    return next(iter(run.systems))


def _macro(metric: Metric, counts: torch.Tensor) -> torch.Tensor:
    return Macro().value(metric, dict(zip(metric.columns, counts.sum(1), strict=True)))


def _agents(pairs: list[Pair], task: TuningTask, names: tuple[str, str], label: str) -> Section:
    """Returns both figures of each agent, their difference with its interval, and a paired test."""
    metric, references, objective = task.metric, task.scores.require_references(), Macro()
    found = [[bootstrap(metric, objective, own[None], pair.name) for own in pair.counts] for pair in pairs]
    differences = compared(torch.stack([b - a for a, b in found]))
    columns = [Column("agent"), *(Column(f"{name}: macro {label}", "percent") for name in names),
               Column("difference (95 %)", "percent", "paired over clips"),
               Column("… all agents together", "percent", "intervals that hold for all agents at once"),
               Column("p", "number", "how often a difference as large comes about where clips are swapped at random"),
               Column("clips gained", "number"), Column("clips lost", "number"), Column("clips alike", "number")]  # fmt: skip
    rows = []
    for pair, (a, b), own in zip(pairs, found, differences, strict=True):
        gain = clip_gain(metric, references, pair.after, pair.before)
        entry = vars(own)
        rows.append([
            pair.name, float(a[0]), float(b[0]), with_interval(entry, signed=True),
            with_interval(entry, signed=True, suffix="_adjusted"),
            permutation_p(metric, objective, pair.counts[0], pair.counts[1]),
            int((gain > 0).sum()), int((gain < 0).sum()), int((gain == 0).sum()),
        ])  # fmt: skip
    return Section("What changed", [Table(f"Macro {label} in both runs, in percent", columns, rows)])


def _classes(pairs: list[Pair], metric: Metric, label: str, names: tuple[str, str]) -> Section:
    """Returns the score of each class in both runs."""
    columns = [Column("class"), Column("agent"), *(Column(f"{name}: {label}", "percent") for name in names),
               Column("difference", "percent")]  # fmt: skip
    rows, figures = [], {}
    for pair in pairs:
        before, after = (
            metric.score(dict(zip(metric.columns, own.sum(1), strict=True))).tolist() for own in pair.counts
        )
        known = [(of, a, b) for of, a, b in zip(pair.before.classes, before, after, strict=True) if a == a and b == b]
        rows += [(of, pair.name, a, b, (b - a, f"{100 * (b - a):+.2f}")) for of, a, b in known]
        series = {names[0]: [round(100 * a, 3) for _, a, _ in known], names[1]: [round(100 * b, 3) for *_, b in known]}
        figures[pair.name] = bars([of for of, *_ in known], series, f"{label} in %")
    chart = Chart(f"{label} of each class in both runs", "Bars: each class in both runs; the table holds the numbers.",
                  figures, "agent")  # fmt: skip
    return Section("Classes", [Table(f"{label} of each class, in percent", columns, rows), chart])


def _clips(pairs: list[Pair], task: TuningTask, names: tuple[str, str]) -> Section:
    """Returns the clips that gained or lost most."""
    references = task.scores.require_references()
    columns = [Column("clip"), Column("agent"), Column("gain", "number", "of its classes' scores in sum"),
               *(Column(f"{name}: events", "number") for name in names), Column("references", "number")]  # fmt: skip
    rows, left = [], 0
    expected = torch.bincount(references.clip, minlength=task.scores.n_clips).tolist()
    for pair in pairs:
        gain = clip_gain(task.metric, references, pair.after, pair.before)
        order = torch.argsort(gain.abs(), descending=True, stable=True)
        order = order[gain[order] != 0]
        left += max(0, len(order) - MOST_CLIPS)
        found = [torch.bincount(own.clip, minlength=task.scores.n_clips).tolist() for own in (pair.before, pair.after)]
        rows += [(task.scores.clip_ids[i], pair.name, (float(gain[i]), f"{float(gain[i]):+.3f}"), found[0][i], found[1][i],
                  expected[i]) for i in order[:MOST_CLIPS].tolist()]  # fmt: skip
    parts: list[Table | Text | Chart] = [Table("Clips gained and lost", columns, rows)]
    if left:
        parts.append(Text(f"{left} more clips differ, by less; the table lists at most {MOST_CLIPS} of each agent."))
    return Section("Clips", parts)


def _changed(first: Run, second: Run, names: tuple[str, str], alone: list[tuple[str, list[str]]]) -> Section:
    """Returns what differs of configs and versions, and which agents are in one run alone."""
    parts: list[Table | Text | Chart] = []
    for caption, values in (("Settings that differ", [_flat(_config(run)) for run in (first, second)]),
                            ("Versions that differ", [run.versions for run in (first, second)])):  # fmt: skip
        keys = [key for key in dict.fromkeys([*values[0], *values[1]]) if values[0].get(key) != values[1].get(key)]
        if keys:
            rows = [(key, *(_plain(own.get(key)) for own in values)) for key in keys]
            parts.append(Table(caption, [Column("what"), *map(Column, names)], rows))
        else:
            parts.append(Text(f"{caption}: none."))
    parts += [Text(f"In '{path}' alone: {', '.join(agents)}.") for path, agents in alone if agents]
    return Section("Made of", parts)


def _config(run: Run) -> dict[str, Any]:
    return parse_yaml(run.config) if run.config else {}


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    """Returns nested values by dotted keys."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, list) and any(isinstance(own, dict) for own in value):
        items = enumerate(value)
    else:
        return {where: value}
    return {
        key: own for name, part in items for key, own in _flat(part, f"{where}.{name}" if where else str(name)).items()
    }


def _plain(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 200 else f"{text[:200]} …"


def _told(pairs: list[Pair], task: TuningTask) -> list[str]:
    said = []
    for pair in pairs[:MOST_PAIRS]:
        before, after = (100 * float(_macro(task.metric, own)) for own in pair.counts)
        said.append(f"'{pair.name}': {before:.2f} to {after:.2f} % ({after - before:+.2f}).")
    return said
