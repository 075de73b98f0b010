"""The data report for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from rl_postproc.data.report import DataReport
from rl_postproc.utils.errors import quoted


def data_table(report: DataReport, title: str = "Data") -> Table:
    """Returns a data report as a handful of lines."""
    table = Table.grid(padding=(0, 2))
    origin = report.origin
    kind = f" ({origin.format})" if origin.format else ""
    table.add_row(Text(title, style="bold"), f"{report.n_clips} clips, {len(report.classes)} classes{kind}")
    if origin.hop:
        table.add_row("frames", f"{_range(*report.n_frames)} of {report.hop:g} s ({origin.hop})")
    if origin.durations:
        table.add_row("clip lengths", f"{_range(*report.seconds)} s ({origin.durations})")
    if report.references is not None:
        table.add_row("references", _references(report))
    for note in report.notes:
        table.add_row(Text("note", style="bold yellow"), note)
    return table


def _range(least: float, most: float) -> str:
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _references(report: DataReport) -> str:
    """Returns the number of events, the classes with the fewest and the most, and those with none."""
    counts = report.references or {}
    found = {name: n for name, n in counts.items() if n}
    none = [name for name, n in counts.items() if not n]
    said = f"{sum(counts.values())} events"
    said += f", none in {report.n_silent} of {report.n_clips} clips" if report.n_silent else ""
    if len(found) > 1:
        fewest, most = min(found, key=lambda name: found[name]), max(found, key=lambda name: found[name])
        said += f"; '{fewest}' {found[fewest]} to '{most}' {found[most]}"
    return said + (f"; no reference for {len(none)} classes: {quoted(none)}" if none else "")
