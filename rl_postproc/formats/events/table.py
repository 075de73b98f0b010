"""Tables of events and of clip durations: one row an event, tabs (or commas) between the columns."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.clip_names import folders_remedy
from rl_postproc.formats.table_rows import column_names, is_number, read_rows
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.files import whole_file

COLUMNS = ("filename", "onset", "offset", "event_label")
"""Columns of an event table, in the order they have when there is no header."""

CLIP_SUFFIXES = (".txt", ".ann")
"""Suffixes of event tables that are about one clip each."""


class EventRow(NamedTuple):
    """One row of an event table; the times and the label are None in the row of a clip without events."""

    filename: str
    onset: float | None
    offset: float | None
    label: str | None
    row: int


class _Layout(NamedTuple):
    """Where a table holds its columns: their positions, and the number of fields of a row."""

    positions: list[int]
    width: int


def read_events(path: str | Path, clip: str | None = None) -> list[EventRow]:
    """Reads an event table.

    Columns are separated by tabs; in a ``.csv`` file whose first row has no tab, by commas. With a header the columns
    may stand in any order and others are ignored; without one they are filename, onset, offset, event_label. A row with
    nothing but a file name is a clip without events.

    Args:
        path: ``.tsv``, ``.txt``, ``.ann`` or ``.csv`` file in UTF-8.
        clip: name of the clip when the file is about one clip and its columns are onset, offset, event_label.

    Returns:
        The rows in file order, times in seconds, each with its line number counted from 1.

    Raises:
        UserError: the file cannot be read, or a row has the wrong number of columns, a time that is not a finite
            number of seconds from 0, an onset after its offset, or times without a label.
    """
    path = Path(path)
    wanted = COLUMNS if clip is None else COLUMNS[1:]
    records, layout = _split_header(path, read_rows(path, wanted), wanted)
    return [_parse_event(path, row, fields, layout, clip) for row, fields in records]


def read_durations(path: str | Path) -> dict[str, float]:
    """Reads a table of clip durations with the columns filename and duration; the header may be missing.

    Returns:
        Seconds by file name, in file order.

    Raises:
        UserError: the file cannot be read, or a row has the wrong number of columns, a duration that is not a positive
            number of seconds, or a file name that occurred before.
    """
    path = Path(path)
    wanted = ("filename", "duration")
    records, (positions, width) = _split_header(path, read_rows(path, wanted), wanted)
    durations: dict[str, float] = {}
    first_row: dict[str, int] = {}
    for row, fields in records:
        if len(fields) != width:
            raise _wrong_width(path, row, fields, width)
        name, text = (fields[i].strip() for i in positions)
        seconds = _seconds(path, row, "duration", text)
        if not 0 < seconds < math.inf:
            raise UserError(
                f"'{path}', row {row}: the duration {text} is not a positive number of seconds; correct it."
            )
        if not name:
            raise UserError(f"'{path}', row {row}: the file name is empty; name the clip.")
        if name in durations:
            raise UserError(f"'{path}', row {row}: the clip '{name}' stands in row {first_row[name]} already; "
                            "remove one of the two.")  # fmt: skip
        durations[name], first_row[name] = seconds, row
    return durations


def write_events(events: Events, path: str | Path) -> None:
    """Writes an event table with a header, whole or not at all.

    Times have six decimals, so reading the file gives the very doubles of any table that was rounded to six decimals
    before. A clip without events is a row with empty fields. Clips keep the order of ``events.clip_ids``.

    Raises:
        UserError: the file cannot be written.
    """
    rows: list[list[list[str]]] = [[] for _ in events.clip_ids]
    for clip, (name, onset, offset, label) in zip(events.clip.tolist(), events.to_rows(), strict=True):
        rows[clip].append([name, f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}", label])
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, of_clip in zip(events.clip_ids, rows, strict=True):
            writer.writerows(of_clip or [[name, "", "", ""]])


def collect_references(
    rows: Iterable[EventRow],
    clip_ids: Sequence[str],
    classes: Sequence[str],
    path: str | Path,
    source: str = "the scores",
) -> Events:
    """Turns rows into the events of the given clips and classes.

    Args:
        rows: rows of an event table; those without an event only name their clip.
        clip_ids: names of all clips, written as in the rows.
        classes: names of all classes.
        path: the file the rows were read from, or the folder of one file a clip.
        source: where the classes come from, for messages.

    Raises:
        UserError: a row names a clip or a class that is not listed.
    """
    clip_index = {name: i for i, name in enumerate(clip_ids)}
    class_index = {name: i for i, name in enumerate(classes)}
    cells: list[tuple[int, int, float, float]] = []
    for name, onset, offset, label, row in rows:
        if name not in clip_index:
            folders = folders_remedy([name], clip_index)
            raise UserError(f"{_place(path, name, row)}: the clip '{name}' is not among the {len(clip_index)} clips of "
                            f"the set{f'; {folders}' if folders else suggest(name, list(clip_index))}.")  # fmt: skip
        if onset is None or offset is None or label is None:
            continue
        if label not in class_index:
            raise UserError(f"{_place(path, name, row)}: the class '{label}' is not among the classes of {source}"
                            f"{suggest(label, list(class_index))}.")  # fmt: skip
        cells.append((clip_index[name], class_index[label], onset, offset))
    columns = torch.tensor(cells, dtype=torch.float64).reshape(-1, 4).T
    return Events.from_tensors(clip_ids, classes, *columns[:2].long(), *columns[2:])


def _place(path: str | Path, clip: str, row: int) -> str:
    """Returns ``'file', row n``; in a folder of one file a clip, the file of that clip."""
    path = Path(path)
    if path.is_dir():
        path = next((file for suffix in CLIP_SUFFIXES if (file := path / f"{clip}{suffix}").is_file()), path)
    return f"'{path}', row {row}"


def _split_header(
    path: Path, records: list[tuple[int, list[str]]], wanted: Sequence[str]
) -> tuple[list[tuple[int, list[str]]], _Layout]:
    """Separates the header, if there is one, from the rows, and finds the wanted columns."""
    names = column_names(records[0][1]) if records else []
    if not set(wanted) & set(names):
        if len(records) > 1 and _is_foreign_header(records[0][1], records[1][1]):
            raise UserError(f"'{path}', row {records[0][0]}: the header has the columns {', '.join(records[0][1])}; "
                            f"name them {', '.join(wanted)}.")  # fmt: skip
        return records, _Layout(list(range(len(wanted))), len(wanted))
    for name in wanted:
        if names.count(name) != 1:
            found = "lacks the column" if name not in names else "repeats the column"
            raise UserError(f"'{path}', row {records[0][0]}: the header {found} '{name}'; "
                            f"it must hold {', '.join(wanted)} once each.")  # fmt: skip
    return records[1:], _Layout([names.index(name) for name in wanted], len(names))


def _is_foreign_header(first: list[str], second: list[str]) -> bool:
    """Returns whether the first row is words alone, as a header is, above a row with numbers."""
    words = all(field.strip() and not is_number(field) for field in first)
    return words and len(first) > 1 and any(map(is_number, second))


def _parse_event(path: Path, row: int, fields: list[str], layout: _Layout, clip: str | None) -> EventRow:
    """Checks one row of an event table."""
    positions, width = layout
    if len(fields) != width:
        if len(fields) > 1 or clip is not None or positions[0] != 0:
            raise _wrong_width(path, row, fields, width)
        fields = fields + [""] * (width - 1)  # a file name alone: editors drop the trailing tabs
    cells = [fields[i].strip() for i in positions]
    name, start, end, label = cells if clip is None else (clip, *cells)
    if not name:
        raise UserError(f"'{path}', row {row}: the file name is empty; name the clip.")
    if not (start or end or label):
        return EventRow(name, None, None, None, row)
    try:
        onset, offset = float(start), float(end)
    except ValueError:
        onset, offset = _seconds(path, row, "onset", start), _seconds(path, row, "offset", end)
    if not 0 <= onset <= offset < math.inf:  # false for NaN as well
        _refuse_times(path, row, onset, offset)
    if not label:
        raise UserError(f"'{path}', row {row}: the event has times but no label; name its class.")
    return EventRow(name, onset, offset, label, row)


def _seconds(path: Path, row: int, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        found = f"'{text}' is not a number" if text else "is empty"
        raise UserError(f"'{path}', row {row}: the {column} {found}; give seconds such as 1.25.") from None


def _refuse_times(path: Path, row: int, onset: float, offset: float) -> NoReturn:
    for column, value in (("onset", onset), ("offset", offset)):
        if not math.isfinite(value):
            raise UserError(f"'{path}', row {row}: the {column} {value} is not finite; give seconds such as 1.25.")
    if onset < 0:
        raise UserError(f"'{path}', row {row}: the onset {onset} is negative; times count from the start of the clip.")
    raise UserError(f"'{path}', row {row}: the onset {onset} lies after the offset {offset}; exchange or correct them.")


def _wrong_width(path: Path, row: int, fields: list[str], width: int) -> UserError:
    return UserError(f"'{path}', row {row}: {len(fields)} columns where {width} are expected; "
                     "check the tabs (or commas) of this row.")  # fmt: skip
