"""Tables of events with a header: DESED's lists, and AudioSet-Strong's."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from rl_postproc.data.event_columns import COLUMNS, CONFIDENCES, column_names
from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.rows import event_row, usable_confidences
from rl_postproc.formats.events.text_events import TextEvents
from rl_postproc.formats.table_rows import Layout, split_header, split_rows, wrong_width

AUDIOSET = ("segment_id", "start_time_seconds", "end_time_seconds", "label")


class Table(TextEvents):
    """A table with the columns filename, onset, offset and event_label under a header, as DESED's lists are.

    The columns may stand in any order and others are ignored; a column confidence or score is read where it holds numbers
    from 0 to 1. A row with nothing but a file name is a clip without events. A table without the column filename is about
    the one clip that its file is named after.
    """

    event_format: Literal["table"] = "table"
    looks_like: ClassVar[str] = "a table with a header: filename, onset, offset, event_label"
    header: ClassVar[tuple[str, ...]] = COLUMNS
    """Names of the columns that are written."""

    confidence: bool = Field(False, description="whether a column of confidences is written")

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether the first row holds the names of the columns, but not those of AudioSet-Strong."""
        names = _first_row(head)
        return set(COLUMNS[1:]) <= set(column_names(names)) and not set(AUDIOSET) <= set(names)

    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """See `TextEvents.parse`.

        A table without a header is read, too: its columns are filename, onset, offset, event_label, but for the first where
        the file is about the one clip that is named.
        """
        names = column_names(_first_row(text))
        if clip is None and "filename" not in names and set(COLUMNS[1:]) <= set(names):
            clip = self.clip_of(path)
        if set(COLUMNS) <= set(names):
            clip = None  # the table names its clips itself
        wanted = COLUMNS if clip is None else COLUMNS[1:]
        records, layout = split_header(path, split_rows(path, text, wanted), wanted)
        column = next((names.index(name) for name in CONFIDENCES if name in names), None) if layout.has_header else None
        cells = [
            (row, fields[column].strip()) for row, fields in records if column is not None and column < len(fields)
        ]
        confident = column is not None and usable_confidences(path, names[column], cells)
        return [_parse(path, row, fields, layout, clip, column if confident else None) for row, fields in records]

    def render(self, events: Events) -> str:
        """See `TextEvents.render`.

        Times have six decimals, so reading the file gives the very doubles of any table that was rounded to six decimals
        before. A clip without events is a row with empty fields. Clips keep the order of ``events.clip_ids``.
        """
        rows: list[list[list[str]]] = [[] for _ in events.clip_ids]
        columns = zip(events.clip.tolist(), events.to_rows(), events.confidence.tolist(), strict=True)
        for clip, (name, onset, offset, label), sure in columns:
            times = [f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}"]
            rows[clip].append([name, *times, label, *([f"{sure:.9g}"] if self.confidence else [])])
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        header = [*self.header, *(CONFIDENCES[:1] if self.confidence else [])]
        writer.writerow(header)
        for name, of_clip in zip(events.clip_ids, rows, strict=True):
            writer.writerows(of_clip or [[name, *[""] * (len(header) - 1)]])
        return text.getvalue()


class AudioSetStrong(Table):
    """The strong labels of AudioSet: segment_id, start_time_seconds, end_time_seconds and label under a header."""

    event_format: Literal["audioset_strong"] = "audioset_strong"  # type: ignore[assignment]
    looks_like: ClassVar[str] = f"a table with a header: {', '.join(AUDIOSET)}"
    header: ClassVar[tuple[str, ...]] = AUDIOSET

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether the first row holds the names of the columns."""
        return set(AUDIOSET) <= set(_first_row(head))


def _first_row(text: str) -> list[str]:
    """Returns the fields of the first row that is not blank, in small letters, whatever separates them."""
    line = next((line for line in io.StringIO(text[: 1 << 16]) if line.strip()), "")
    separator = max("\t;,", key=line.count)
    try:
        return [field.strip().lower() for field in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _parse(
    path: Path, row: int, fields: list[str], layout: Layout, clip: str | None, confidence: int | None
) -> EventRow:
    """Checks one row of an event table."""
    positions, width, _ = layout
    if len(fields) != width:
        if len(fields) > 1 or clip is not None or positions[0] != 0:
            raise wrong_width(path, row, fields, width)
        fields = fields + [""] * (width - 1)  # a file name alone: editors drop the trailing tabs
    cells = [fields[i].strip() for i in positions]
    name, start, end, label = cells if clip is None else [clip, *cells]
    return event_row(path, row, name, start, end, label, "" if confidence is None else fields[confidence].strip())
