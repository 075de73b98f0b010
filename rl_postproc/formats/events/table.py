"""Tables of events: one row an event, under a header, as DESED's lists are."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar, Literal

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.events.base import EventFormat, EventRow
from rl_postproc.formats.events.rows import event_row
from rl_postproc.formats.table_rows import Layout, read_rows, split_header, wrong_width
from rl_postproc.utils.files import whole_file

COLUMNS = ("filename", "onset", "offset", "event_label")
"""Columns of an event table, in the order they have when there is no header."""


class Table(EventFormat):
    """A table with the columns filename, onset, offset and event_label, as DESED's lists are.

    With a header the columns may stand in any order and others are ignored. A row with nothing but a file name is a clip
    without events.
    """

    event_format: Literal["table"] = "table"
    looks_like: ClassVar[str] = "a table with the columns filename, onset, offset, event_label"

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a file."""
        return path.is_file()

    def read(self, path: Path, clip: str | None = None) -> list[EventRow]:
        """Reads a table.

        Args:
            path: file in UTF-8 whose columns are separated by tabs; ``.csv`` where the first row has none, by commas.
            clip: name of the clip when the file is about one and its columns are onset, offset, event_label.

        Returns:
            The rows in file order, times in seconds, each with its line number counted from 1.

        Raises:
            UserError: the file cannot be read, or a row has the wrong number of columns, a time that is not a finite
                number of seconds from 0, an onset after its offset, or times without a label.
        """
        wanted = COLUMNS if clip is None else COLUMNS[1:]
        records, layout = split_header(path, read_rows(path, wanted), wanted)
        return [_parse(path, row, fields, layout, clip) for row, fields in records]

    def write(self, events: Events, path: Path) -> None:
        """Writes a table with a header, whole or not at all.

        Times have six decimals, so reading the file gives the very doubles of any table that was rounded to six decimals
        before. A clip without events is a row with empty fields. Clips keep the order of ``events.clip_ids``.
        """
        rows: list[list[list[str]]] = [[] for _ in events.clip_ids]
        for clip, (name, onset, offset, label) in zip(events.clip.tolist(), events.to_rows(), strict=True):
            rows[clip].append([name, f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}", label])
        with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
            writer.writerow(COLUMNS)
            for name, of_clip in zip(events.clip_ids, rows, strict=True):
                writer.writerows(of_clip or [[name, "", "", ""]])


def _parse(path: Path, row: int, fields: list[str], layout: Layout, clip: str | None) -> EventRow:
    """Checks one row of an event table."""
    positions, width = layout
    if len(fields) != width:
        if len(fields) > 1 or clip is not None or positions[0] != 0:
            raise wrong_width(path, row, fields, width)
        fields = fields + [""] * (width - 1)  # a file name alone: editors drop the trailing tabs
    cells = [fields[i].strip() for i in positions]
    return event_row(path, row, *(cells if clip is None else [clip, *cells]))
