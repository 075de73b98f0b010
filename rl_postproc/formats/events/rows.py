"""One event of a file, checked: what every format of events asks of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.table_rows import is_number, seconds
from rl_postproc.utils.errors import UserError, warn

UNLABELLED = "event"
"""The class of events in files that have no labels."""


def event_row(path: Path, row: int, clip: str, start: str, end: str, label: str, confidence: str = "") -> EventRow:
    """Checks the cells of one event.

    Args:
        path: the file.
        row: where in it, counted from 1.
        clip: name of the clip.
        start: onset in seconds.
        end: offset in seconds.
        label: the class; empty, with the times, for a clip without events.
        confidence: a number in [0, 1], see `usable_confidences`; empty where none is given.

    Raises:
        UserError: a time is not a finite number of seconds from 0, the onset lies after the offset, or there
            are times without a label.
    """
    if not clip:
        raise UserError(f"'{path}', row {row}: the file name is empty; name the clip.")
    if not (start or end or label):
        return EventRow(clip, None, None, None, row)
    try:
        onset, offset = float(start), float(end)
    except ValueError:
        onset, offset = seconds(path, row, "onset", start), seconds(path, row, "offset", end)
    if not 0 <= onset <= offset < math.inf:  # false for NaN as well
        _refuse_times(path, row, onset, offset)
    if not label:
        raise UserError(f"'{path}', row {row}: the event has times but no label; name its class.")
    return EventRow(clip, onset, offset, label, row, float(confidence) if confidence else None)


def usable_confidences(path: Path, column: str, cells: Sequence[tuple[int, str]]) -> bool:
    """Returns whether all cells of a column are confidences, or empty; warns where they are not, and left aside.

    Args:
        path: the file.
        column: name of the column.
        cells: row number and text of each.
    """
    for row, text in cells:
        if text and not (is_number(text) and 0 <= float(text) <= 1):
            warn(f"The column '{column}' of '{path}' is left aside, since it holds '{text}' in row {row}, and confidences "
                 "are numbers from 0 to 1.")  # fmt: skip
            return False
    return True


def warn_unlabelled(path: Path, n_events: int) -> None:
    """Warns of events without any label, if there are events."""
    if n_events:
        warn(f"The {n_events} events in '{path}' have no labels; all are read as the class '{UNLABELLED}'.")


def end_of(onset: str | float, length: str | float) -> str:
    """Returns the end of what begins and lasts so long, without the rounding that a sum of doubles has.

    A text that is no number comes back as it is, for `event_row` to refuse.
    """
    try:
        end = Decimal(str(onset)) + Decimal(str(length))
    except (ArithmeticError, ValueError):
        return str(length) if is_number(str(onset)) else str(onset)
    return str(end)


def _refuse_times(path: Path, row: int, onset: float, offset: float) -> NoReturn:
    for column, value in (("onset", onset), ("offset", offset)):
        if not math.isfinite(value):
            raise UserError(f"'{path}', row {row}: the {column} {value} is not finite; give seconds such as 1.25.")
    if onset < 0:
        raise UserError(f"'{path}', row {row}: the onset {onset} is negative; times count from the start of the clip.")
    raise UserError(f"'{path}', row {row}: the onset {onset} lies after the offset {offset}; exchange or correct them.")
