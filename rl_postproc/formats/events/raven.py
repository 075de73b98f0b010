"""Selection tables of Raven, with times within a file or within a row of files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.rows import UNLABELLED, end_of, event_row, usable_confidences, warn_unlabelled
from rl_postproc.formats.events.text_events import TextEvents
from rl_postproc.formats.folder import clip_of
from rl_postproc.formats.table_rows import is_number, wrong_width
from rl_postproc.utils.errors import UserError, suggest, warn

BEGIN, END, OFFSET = "begin time (s)", "end time (s)", "file offset (s)"
LABELS = ("annotation", "label", "class", "species", "common name", "event_label")
"""Columns of labels, the first of which that is there is taken."""
HEADER = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
          "Begin File", "File Offset (s)", "Annotation")  # fmt: skip
FREQUENCIES = ("0", "24000")
"""Range of each selection, which Raven needs and events do not have."""


class _Selections(NamedTuple):
    """A table: where each column stands, and its rows by their numbers."""

    columns: Mapping[str, int]
    rows: list[tuple[int, list[str]]]


class Raven(TextEvents):
    """Selection tables of Raven, one file a clip, or of several files in a row.

    A selection with rows for several views counts once. The clip is named by the column Begin File or Begin Path, else by
    the table's own name; where a table holds several files, the column File Offset tells the times within each.
    """

    event_format: Literal["raven"] = "raven"
    looks_like: ClassVar[str] = "a selection table of Raven (Selection, View, Channel, Begin Time (s), End Time (s), …)"
    suffixes: ClassVar[tuple[str, ...]] = (".selections.txt",)
    own_suffix: ClassVar[str] = ".selections.txt"
    of_one_clip: ClassVar[bool] = True

    label: str | None = Field(
        None, description="column of the labels; else Annotation, or one of a like name, which is said"
    )

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether the first row names the columns of times as Raven does."""
        first = next((line for line in head.splitlines() if line.strip()), "")
        return {BEGIN, END} <= {field.strip().lower() for field in first.split("\t")}

    @staticmethod
    def clip_of(file: Path) -> str:
        """Returns the name of a file without what Raven adds to it, such as ``.Table.1.selections``."""
        return re.sub(r"(\.Table\.\d+)?\.selections$", "", clip_of(file))

    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """See `TextEvents.parse`."""
        columns, records = _selections(path, text)
        if not records:
            return []
        label = self._label_column(path, columns)
        file = next((name for name in ("begin file", "begin path") if name in columns), None)
        own = clip or self.clip_of(path)
        clips = [_base(fields[columns[file]], file) or own if file else own for _, fields in records]
        if len(set(clips)) > 1 and OFFSET not in columns:
            raise UserError(f"'{path}' holds selections of {len(set(clips))} files, but no column File Offset (s), which "
                            "tells the times within each; add it in Raven, or save a table a file.")  # fmt: skip
        sure = [
            (row, fields[columns["confidence"]].strip() if "confidence" in columns else "") for row, fields in records
        ]
        confident = usable_confidences(path, "confidence", sure)
        rows = []
        for (row, fields), name, (_, confidence) in zip(records, clips, sure, strict=True):
            start, end = (fields[columns[column]].strip() for column in (BEGIN, END))
            if OFFSET in columns and is_number(fields[columns[OFFSET]]):
                offset = fields[columns[OFFSET]].strip()
                start, end = offset, end_of(offset, end_of(end, f"-{start}"))
            said = fields[columns[label]].strip() if label else UNLABELLED
            rows.append(event_row(path, row, name, start, end, said, confidence if confident else ""))
        if label is None:
            warn_unlabelled(path, len(rows))
        return rows

    def render(self, events: Events) -> str:
        """See `TextEvents.render`."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        if broken := next((name for name in (*events.clip_ids, *events.classes) if "\t" in name), None):
            raise UserError(f"The name {broken!r} holds a tab, which tables of Raven cannot; rename it.")
        writer.writerow(HEADER)
        for number, (clip, onset, offset, label) in enumerate(events.to_rows(), 1):
            start, end = f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}"
            writer.writerow([number, "Spectrogram 1", 1, start, end, *FREQUENCIES, clip, start, label])
        return text.getvalue()

    def _label_column(self, path: Path, columns: Mapping[str, int]) -> str | None:
        """Returns the column of the labels, if there is one; says which where it is guessed."""
        if self.label is not None:
            if self.label.lower() not in columns:
                raise UserError(f"'{path}' has no column '{self.label}'{suggest(self.label.lower(), list(columns))}.")
            return self.label.lower()
        found = next((name for name in LABELS if name in columns), None)
        if found is not None and found != LABELS[0]:
            warn(f"The labels in '{path}' are taken from its column '{found}', since it has no column 'Annotation'.")
        return found


def _selections(path: Path, text: str) -> _Selections:
    """Returns the rows of a table, each selection once.

    Raises:
        UserError: a column of times is missing, or a row has another number of fields.
    """
    lines = [(row, line.split("\t")) for row, line in enumerate(text.splitlines(), 1) if line.strip()]
    names = [field.strip().lower() for field in lines[0][1]] if lines else []
    columns = {name: i for i, name in reversed(list(enumerate(names)))}
    if not {BEGIN, END} <= set(columns):
        raise UserError(f"'{path}' is no selection table of Raven: its first row lacks Begin Time (s) or End Time (s); save "
                        "the table with its header.")  # fmt: skip
    rows, views = [], {}
    for row, fields in lines[1:]:
        if len(fields) < len(names):
            fields = fields + [""] * (len(names) - len(fields))  # Raven drops no tabs, but editors do
        if len(fields) > len(names):
            raise wrong_width(path, row, fields, len(names))
        number, view = (fields[columns[name]].strip() if name in columns else "" for name in ("selection", "view"))
        if not number or views.setdefault(number, view) == view:
            rows.append((row, fields))
    return _Selections(columns, rows)


def _base(name: str, column: str) -> str:
    """Returns the name of a file, without its folders, of any system, where the column holds paths."""
    return name.strip().replace("\\", "/").rsplit("/", 1)[-1] if column == "begin path" else name.strip()
