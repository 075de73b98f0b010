"""Event lists without a header, in every form that sed_eval and dcase_util read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.rows import UNLABELLED, event_row, warn_unlabelled
from rl_postproc.formats.events.text_events import TextEvents
from rl_postproc.formats.table_rows import MOST_LINES, is_number, points, split_rows, wrong_width
from rl_postproc.utils.errors import UserError

FILE, SCENE, ONSET, OFFSET, LABEL = "filename", "scene_label", "onset", "offset", "event_label"
SOURCE, IDENTIFIER = "source_label", "identifier"
FORMS = (
    (ONSET, OFFSET),
    (ONSET, OFFSET, LABEL),
    (FILE, ONSET, OFFSET),
    (FILE, ONSET, OFFSET, LABEL),
    (FILE, ONSET, OFFSET, LABEL, IDENTIFIER),
    (FILE, SCENE, ONSET, OFFSET),
    (FILE, SCENE, ONSET, OFFSET, LABEL),
    (FILE, SCENE, ONSET, OFFSET, LABEL, SOURCE),
    (FILE, SCENE, ONSET, OFFSET, LABEL, SOURCE, IDENTIFIER),
)
"""The columns of each form, told apart by their number and by where the two times stand."""


class SedEval(TextEvents):
    """An event list without a header, as sed_eval and dcase_util keep them.

    The columns are onset, offset and label in a list of one recording; with the file before them in one of several, or with
    file and scene; source and identifier may follow, and the label may be missing. Tabs, semicolons, commas or single spaces
    stand between them. A row with nothing but a file name is a clip without events. Of a row with tags, each is an event.
    """

    event_format: Literal["sed_eval"] = "sed_eval"
    looks_like: ClassVar[str] = (
        "a list without a header: onset offset label, or with the file, or file and scene before them"
    )

    columns: tuple[str, ...] | None = Field(
        None, description="the columns, where the rows do not tell: such as [filename, onset, offset]"
    )

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether the first row with several fields has the times of one of the forms."""
        try:
            rows = split_rows(Path(), head, FORMS[0], spaces=True)
        except UserError:
            return False
        first = next((fields for _, fields in rows if any(field.strip() for field in fields[1:])), None)
        return first is not None and any(_fits(form, first) for form in FORMS) and not is_audacity(head)

    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """See `TextEvents.parse`."""
        records = split_rows(path, text, FORMS[0], spaces=True)
        form = self._form(path, records)
        constant, width, rows = [clip or self.clip_of(path), UNLABELLED], len(form), []
        file, label = (form.index(name) if name in form else width + i for i, name in enumerate((FILE, LABEL)))
        onset, offset = form.index(ONSET), form.index(OFFSET)
        for row, fields in records:
            cells = [field.strip() for field in fields]
            if FILE in form and not any(cells[1:]):
                rows.append(event_row(path, row, cells[0], "", "", ""))
                continue
            if len(cells) != width:
                raise wrong_width(path, row, fields, width)
            cells += constant
            said = cells[label]
            labels = said.strip(";").split(";") if SCENE in form and said.endswith(";") else [said]
            rows += [event_row(path, row, cells[file], cells[onset], cells[offset], one.strip()) for one in labels]
        if LABEL not in form:
            warn_unlabelled(path, sum(row.label is not None for row in rows))
        return rows

    def render(self, events: Events) -> str:
        """See `TextEvents.render`: file, onset, offset and label; a file name alone for a clip without events."""
        rows: list[list[list[str]]] = [[] for _ in events.clip_ids]
        for clip, (name, onset, offset, label) in zip(events.clip.tolist(), events.to_rows(), strict=True):
            rows[clip].append([name, f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}", label])
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        for name, of_clip in zip(events.clip_ids, rows, strict=True):
            writer.writerows(of_clip or [[name]])
        return text.getvalue()

    def _form(self, path: Path, records: Sequence[tuple[int, list[str]]]) -> Sequence[str]:
        """Returns the columns of a list.

        Raises:
            UserError: the rows fit none of the forms, or several.
        """
        if self.columns is not None:
            if not {ONSET, OFFSET} <= set(self.columns) or len(set(self.columns)) < len(self.columns):
                raise UserError(f"The columns of '{path}' are given as {', '.join(self.columns)}; name {ONSET} and "
                                f"{OFFSET} among them, and each once.")  # fmt: skip
            return self.columns
        rows = [fields for _, fields in records[:MOST_LINES] if any(field.strip() for field in fields[1:])]
        if not rows:
            return FORMS[3]
        for fits in (_fits_strictly, _fits):
            found = [form for form in FORMS if all(fits(form, fields) for fields in rows)]
            if len(found) == 1:
                return found[0]
        found = found or [form for form in FORMS if _fits(form, rows[0])]
        if not found:
            raise UserError(f"'{path}', row {records[0][0]}: {len(rows[0])} columns of no form of an event list; write "
                            f"{', '.join(FORMS[3])}, or a header with these names.")  # fmt: skip
        if len(found) > 1:
            raise UserError(f"'{path}': the columns of numbers may be {' or '.join(', '.join(form) for form in found)}; "
                            "write a header with the names of the columns above them.")  # fmt: skip
        return found[0]


def is_audacity(head: str) -> bool:
    """Returns whether rows of onset, offset and label have the marks of Audacity.

    They have ranges of frequencies in lines of their own, or all times with six decimals; else these are lists of
    sed_eval, which hold the same.
    """
    lines = [line.split("\t", 2) for line in head.splitlines() if line.strip()]
    times = [fields for fields in lines if fields[0] != "\\"]
    if not all(len(f) > 1 and is_number(points(f[0])) and is_number(points(f[1])) and "\t" not in f[-1] for f in times):
        return False
    decimals = {len(text.strip().replace(",", ".").partition(".")[2]) for fields in times for text in fields[:2]}
    return decimals == {DECIMALS} or 0 < len(times) < len(lines)


def _fits(form: Sequence[str], fields: Sequence[str]) -> bool:
    """Returns whether a row has the times of a form where this has them."""
    if len(form) != len(fields):
        return False
    times = [points(fields[form.index(name)]) for name in (ONSET, OFFSET)]
    return all(map(is_number, times)) and float(times[0]) <= float(times[1])


def _fits_strictly(form: Sequence[str], fields: Sequence[str]) -> bool:
    """Returns whether a row has numbers where a form has times, and nowhere else."""
    return _fits(form, fields) and sum(is_number(points(field)) for field in fields) == 2
