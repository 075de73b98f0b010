"""The rows of a table of text, and what a file is that looks like another kind of table or like none."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rl_postproc.data.event_columns import column_names
from rl_postproc.formats.text import HEAD_BYTES, read_text
from rl_postproc.utils.errors import UserError

MOST_LINES = 1000
"""As many lines are looked at to tell the separator."""
NUMBERS = ("onset", "offset", "duration")
"""Columns of numbers in the tables that are read here."""
RTTM_TYPES = ("SPEAKER", "SPKR-INFO", "LEXEME", "NON-LEX", "NON-SPEECH", "NOSCORE", "A/P", "CB", "SEGMENT")


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Returns the line number, counted from 1, and the fields of each row of a file that is not blank, see `split_rows`.

    Raises:
        UserError: the file cannot be read, is of another kind, or a quoted field runs over several lines.
    """
    return split_rows(path, read_text(path), columns)


def split_rows(path: Path, text: str, columns: Sequence[str], spaces: bool = False) -> list[tuple[int, list[str]]]:
    """Returns the line number, counted from 1, and the fields of each row of a table that is not blank.

    Args:
        path: the file, for messages.
        text: table whose columns are separated by tabs, semicolons or commas; the first rows tell which.
        columns: what the columns should be.
        spaces: whether single spaces may separate them, too.

    Raises:
        UserError: the text is of another kind, or a quoted field runs over several lines.
    """
    refuse_other_kinds(path, text, columns)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(path, text, columns, spaces))
    rows = []
    try:
        for fields in reader:
            line = "".join(fields)
            if "\n" in line:
                raise UserError(f"'{path}', row {reader.line_num}: a quoted field runs over several lines; "
                                "close or remove the quotation mark.")  # fmt: skip
            if line and not line.isspace():
                if len(fields) == 1 and len(columns) > 1:
                    _refuse_other_separators(path, reader.line_num, line, columns)
                rows.append((reader.line_num, fields))
    except csv.Error as error:
        raise UserError(f"'{path}', row {reader.line_num}: {error}; mend or remove the row.") from error
    return rows


def _separator(path: Path, text: str, columns: Sequence[str], spaces: bool) -> str:
    """Returns what separates the columns: tabs where there is one, else what makes a row of one of the first lines."""
    lines = text[:HEAD_BYTES].splitlines()[:MOST_LINES]
    if any("\t" in line for line in lines):
        return "\t"
    for line in filter(None, map(str.strip, lines)):
        for separator in (";", ",", " ") if spaces else (";", ","):
            if separator in line and _is_row(_fields(line, separator), columns, separator):
                return separator
    return "," if path.suffix.lower() == ".csv" else "\t"


def _fields(line: str, separator: str) -> list[str]:
    """Returns the fields of a line; none where quotation marks or lengths are not those of a table."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _is_row(fields: list[str], columns: Sequence[str], separator: str) -> bool:
    """Returns whether a line makes a row of a table when it is split into these fields."""
    if separator == " " and "" in fields:
        return False
    if len(set(columns) & set(column_names(fields))) > 1:
        return True
    numbers = "".join("n" if is_number(field if separator == "," else points(field)) else "-" for field in fields)
    return len(fields) > 1 and "n" * sum(column in NUMBERS for column in columns) in numbers


def refuse_other_kinds(path: Path, text: str, columns: Sequence[str]) -> None:
    """Refuses what is no table, or one of another kind, by its first line.

    Raises:
        UserError: the text is JSON (JAMS) or RTTM.
    """
    remedy = f"write a table with the columns {', '.join(columns)}, separated by tabs"
    line = text.lstrip().partition("\n")[0].strip()
    if "\t" not in line and re.match(r"\{|\[\s*([{\[\x22]|$)", line):
        kind = "a JAMS annotation" if '"annotations"' in text or path.suffix.lower() == ".jams" else "JSON"
        raise UserError(f"'{path}' is {kind}, not a table; {remedy}.")
    words = line.split()
    if len(words) >= 8 and words[0] in RTTM_TYPES:
        raise UserError(
            f"'{path}' is an RTTM file (onsets with lengths); {remedy}, the offset being onset plus length."
        )


def refuse_semicolons(path: Path, text: str, columns: Sequence[str]) -> None:
    """Refuses a table whose columns are separated by semicolons.

    Raises:
        UserError: the first line says so.
    """
    line = text.lstrip().partition("\n")[0]
    if line.count(";") >= len(columns) - 1 > 0 and "\t" not in line:
        raise UserError(f"'{path}' separates its columns by semicolons; write a table with the columns "
                        f"{', '.join(columns)}, separated by tabs.")  # fmt: skip


def _refuse_other_separators(path: Path, row: int, line: str, columns: Sequence[str]) -> None:
    """Refuses a row of one field that holds several, separated otherwise; a file name alone passes."""
    numbers = [i for i, column in enumerate(columns) if column in NUMBERS]
    for name, split in (("semicolons", line.split(";")), ("commas", line.split(",")), ("spaces", line.split())):
        fields = [field.strip().lower() for field in split]
        header = set(columns) <= set(fields)
        of_columns = len(fields) >= len(columns) and numbers and all(is_number(fields[i]) for i in numbers)
        of_one_clip = len(numbers) > 1 and len(fields) > 2 and all(map(is_number, fields[:2]))
        if header or of_columns or of_one_clip:
            tabs = "separate them by tabs, or name the table .csv" if name == "commas" else "separate them by tabs"
            raise UserError(f"'{path}', row {row}: the columns are separated by {name}; {tabs}.")


def points(text: str) -> str:
    """Returns a number that has a decimal comma with a point, and any other text as it is."""
    return text.replace(",", ".") if re.fullmatch(r"\s*[+-]?\d+,\d+\s*", text) else text


def is_number(text: str) -> bool:
    """Returns whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class Layout(NamedTuple):
    """Where a table holds its columns: their positions, the number of fields of a row, and whether a header tells them."""

    positions: list[int]
    width: int
    has_header: bool


def split_header(
    path: Path, records: list[tuple[int, list[str]]], wanted: Sequence[str]
) -> tuple[list[tuple[int, list[str]]], Layout]:
    """Separates the header, if there is one, from the rows, and finds the wanted columns.

    Raises:
        UserError: the header lacks or repeats a column, or has columns of other names.
    """
    names = column_names(records[0][1]) if records else []
    if not set(wanted) & set(names):
        if len(records) > 1 and _is_foreign_header(records[0][1], records[1][1]):
            raise UserError(f"'{path}', row {records[0][0]}: the header has the columns {', '.join(records[0][1])}; "
                            f"name them {', '.join(wanted)}.")  # fmt: skip
        return records, Layout(list(range(len(wanted))), len(wanted), False)
    for name in wanted:
        if names.count(name) != 1:
            found = "lacks the column" if name not in names else "repeats the column"
            raise UserError(f"'{path}', row {records[0][0]}: the header {found} '{name}'; "
                            f"it must hold {', '.join(wanted)} once each.")  # fmt: skip
    return records[1:], Layout([names.index(name) for name in wanted], len(names), True)


def _is_foreign_header(first: list[str], second: list[str]) -> bool:
    """Returns whether the first row is words alone, as a header is, above a row with numbers."""
    words = all(field.strip() and not is_number(field) for field in first)
    return words and len(first) > 1 and any(map(is_number, second))


def seconds(path: Path, row: int, column: str, text: str) -> float:
    """Returns the number that a cell holds.

    Raises:
        UserError: it holds none.
    """
    try:
        return float(text)
    except ValueError:
        found = f"'{text}' is not a number" if text else "is empty"
        if is_number(points(text)):
            raise UserError(f"'{path}', row {row}: the {column} '{text}' has a decimal comma; write points, such as "
                            f"{points(text)}.") from None  # fmt: skip
        raise UserError(f"'{path}', row {row}: the {column} {found}; give seconds such as 1.25.") from None


def wrong_width(path: Path, row: int, fields: list[str], width: int) -> UserError:
    """Returns the sentence on a row with too few or too many fields."""
    return UserError(f"'{path}', row {row}: {len(fields)} columns where {width} are expected; "
                     "check the tabs (or commas) of this row.")  # fmt: skip
