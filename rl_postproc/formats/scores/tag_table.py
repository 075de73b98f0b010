"""Tables of reference tags: one row a clip with all its labels, or one row a label.

With the column ``event_labels`` a row names all the tags of a clip, separated by commas; names that hold commas
themselves (AudioSet: "Male speech, man speaking") stand in double quotes, or are recognised as a whole among the
classes. With the column ``event_label`` (or ``label``) each row names one tag, as it stands; further columns such as
onset and offset are ignored. In both, an empty cell is a clip without tags. Events with times
are references of tags only where tags are asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import torch

from rl_postproc.data.event_columns import COLUMNS, column_names
from rl_postproc.formats.clips import ClipTable, align
from rl_postproc.formats.table_rows import is_number, refuse_other_kinds, refuse_semicolons
from rl_postproc.formats.text import read_text
from rl_postproc.utils.errors import UserError, suggest, warn

SEVERAL, ONE = "event_labels", ("event_label", "label")


def read_tag_table(
    path: str | Path,
    classes: Sequence[str],
    clip_ids: Sequence[str] | None,
    n_clips: int,
    scores_path: Path,
    subset: bool = False,
    named_tags: bool = False,
) -> tuple[list[str], torch.Tensor]:
    """Reads reference tags.

    Args:
        path: table separated by tabs (``.csv``: commas), with a header.
        classes: names of the tags.
        clip_ids: names of the scored clips in order; None where the scores have no names: then a table with one row a
            clip and as many rows as scores gives the names, in its order.
        n_clips: number of scored clips.
        scores_path: file of the scores, for messages.
        subset: whether the table may list further clips.
        named_tags: whether the caller has said that tags are meant, so that times of events are left aside.

    Warns:
        DataWarning: events have times, which are left aside.

    Returns:
        Names of the clips as the table writes them, and the tags, bool ``[clip, tag]``.

    Raises:
        UserError: the table cannot be read, names an unknown tag, lists other clips than the scores, or holds events with
            times where nothing said that tags are meant.
    """
    path = Path(path)
    rows, several, timed = _read_rows(path)
    if timed and not named_tags:
        raise UserError(
            f"'{path}', row {timed[0]}: the references are events with times within their clips, but the scores in "
            f"'{scores_path}' are tags of whole clips; give frame-level scores, or say with format tags (--format tags) "
            "that tags are wanted."
        )
    if timed:
        warn(f"{len(timed)} of {len(rows)} rows in '{path}' hold events with times within their clips; as references of "
             "tags each says that its clip has the class, and the times are left aside.")  # fmt: skip
    column = {name: i for i, name in enumerate(classes)}
    labels: dict[str, list[int]] = {}
    for number, name, cell in rows:
        names = split_labels(cell, column) if several else [cell] if cell else []
        for label in names:
            if label not in column:
                raise UserError(
                    f"'{path}', row {number}: the tag '{label}' is not among the classes{suggest(label, list(column))}."
                )
        if several and name in labels:
            raise UserError(f"'{path}', row {number}: the clip '{name}' occurs twice; give all its labels in one row.")
        labels.setdefault(name, []).extend(column[label] for label in names)
    if clip_ids is None:
        if not several or len(labels) != n_clips:
            raise UserError(
                f"The clips in '{scores_path}' have no names to find them by in '{path}', which lists {len(labels)} "
                f"clips for {n_clips} scored; save the scores as .npz with clip_ids."
            )
        ids = list(labels)
    else:
        table = ClipTable(path, "references", list(labels), [], {})
        ids = align(clip_ids, f"the scores '{scores_path}'", table, subset)
    tags = torch.zeros(n_clips, len(classes), dtype=torch.bool)
    for row, name in enumerate(ids):
        tags[row, labels[name]] = True
    return ids, tags


def split_labels(cell: str, known: Sequence[str] | dict[str, int]) -> list[str]:
    """Splits a cell of labels at its commas, but neither inside double quotes nor inside a known name.

    Args:
        cell: such as ``Speech,"Male speech, man speaking"``, quoted once more or not.
        known: the class names.
    """
    parts = _split_quoted(cell)
    if len(parts) == 1 and '"' in parts[0]:  # a table writer has quoted the whole cell once more
        parts = _split_quoted(parts[0])
    whole, start = [], 0
    while start < len(parts):
        # The longest run of neighbours that is one name: "Male speech" and "man speaking" are one class.
        ends = range(len(parts), start, -1)
        end = next((e for e in ends if ", ".join(parts[start:e]) in known), start + 1)
        whole.append(", ".join(parts[start:end]))
        start = end
    return list(dict.fromkeys(whole))


def _split_quoted(cell: str) -> list[str]:
    fields = next(csv.reader([cell], skipinitialspace=True), [])
    return [part.strip() for part in fields if part.strip()]


def _read_rows(path: Path) -> tuple[list[tuple[int, str, str]], bool, list[int]]:
    """Returns line number, clip and labels of each row, whether a row names all labels of its clip, and lines with times.

    Events that all begin with their clips are weak labels in the columns of strong ones, and count as without times.
    """
    text = read_text(path)
    refuse_other_kinds(path, text, ("filename", SEVERAL))
    refuse_semicolons(path, text, ("filename", SEVERAL))
    lines = text.splitlines()
    comma = path.suffix.lower() == ".csv" and "\t" not in (lines[0] if lines else "")

    def fields(line: str) -> list[str]:
        # Tabs do not occur in names, so quotes are left for `split_labels`.
        return next(csv.reader([line], skipinitialspace=True), []) if comma else line.split("\t")

    header: list[str] = column_names(fields(lines[0])) if lines else []
    first = 1
    if len(header) == len(COLUMNS) and is_number(header[1]) and is_number(header[2]):
        header, first = [*COLUMNS], 0  # events without a header
    name = next((n for n in (SEVERAL, *ONE) if n in header), None)
    if "filename" not in header or name is None:
        raise UserError(
            f"'{path}', row 1: the header must hold the columns filename and event_labels (or event_label)."
        )
    places = header.index("filename"), header.index(name)
    onset = header.index("onset") if "onset" in header else None
    rows, timed = [], []
    for number, line in enumerate(lines[first:], first + 1):
        cells = fields(line)
        if not line.strip():
            continue
        if len(cells) > len(header) or not cells[places[0]].strip():
            raise UserError(f"'{path}', row {number}: {len(cells)} fields where {len(header)} are expected, the file "
                            "name among them; check the separators.")  # fmt: skip
        cells += [""] * (len(header) - len(cells))
        cell = cells[places[1]].strip()
        if name != SEVERAL and len(cell) > 1 and cell[0] == cell[-1] == '"':
            cell = cell[1:-1].replace('""', '"')
        rows.append((number, cells[places[0]].strip(), cell))
        if onset is not None and is_number(cells[onset]) and float(cells[onset]) > 0:
            timed.append(number)
    return rows, name == SEVERAL, timed
