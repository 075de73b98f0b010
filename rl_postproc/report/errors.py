"""The kinds of errors that systems make, as a section of a report."""

from __future__ import annotations

from collections.abc import Mapping

from rl_postproc.data.events import Events
from rl_postproc.diary import KINDS, Diary, diary
from rl_postproc.metrics.base import Metric
from rl_postproc.report.contents import Chart, Column, Section, Table
from rl_postproc.report.figures import bars


def errors_section(references: Events, systems: Mapping[str, Events], metric: Metric) -> Section:
    """Returns the error diary of each system: counts by kind, and what mending a kind would gain.

    Raises:
        UserError: the metric does not match events by onset and offset.
    """
    diaries = {name: diary(references, events, metric) for name, events in systems.items()}
    told = {name: own.to_json()["kinds"] for name, own in diaries.items()}
    rows = [
        (
            name,
            kind,
            KINDS[kind],
            told[name][kind]["missed"],
            told[name][kind]["false_alarms"],
            told[name][kind]["gain"],
        )
        for name in systems
        for kind in KINDS
    ]
    columns = [Column("system"), Column("kind"), Column("what it is"), Column("missed", "number"),
               Column("false alarms", "number"), Column("macro F1 if mended", "percent", "gain in points")]  # fmt: skip
    n_errors = {"all classes": {name: _by_kind(own) for name, own in diaries.items()}}
    for k, label in enumerate(references.classes):
        if int(references.label.eq(k).sum()) or any(int(own.false[:, k].sum()) for own in diaries.values()):
            n_errors[label] = {name: _by_kind(own, k) for name, own in diaries.items()}
    figures = {
        label: bars(list(KINDS), own, "errors: missed references and false alarms") for label, own in n_errors.items()
    }
    chart = Chart("Errors by kind", "Bars: how many errors of each kind each system makes; the table holds the same counts.",
                  figures, "class")  # fmt: skip
    return Section("Errors", [chart, Table("Kinds of errors, and what mending one would gain", columns, rows)])


def _by_kind(own: Diary, label: int | None = None) -> list[float]:
    """Returns the errors of each kind, of one class or of all."""
    errors = own.missed + own.false
    return (errors.sum(1) if label is None else errors[:, label]).double().tolist()
