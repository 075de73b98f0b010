"""One event of a file, checked: what every format of events asks of its rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NoReturn

from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.table_rows import seconds
from rl_postproc.utils.errors import UserError


def event_row(path: Path, row: int, clip: str, start: str, end: str, label: str, confidence: str = "") -> EventRow:
    """Checks the cells of one event.

    Args:
        path: the file.
        row: where in it, counted from 1.
        clip: name of the clip.
        start: onset in seconds.
        end: offset in seconds.
        label: the class; empty, with the times, for a clip without events.
        confidence: in [0, 1]; empty where none is given.

    Raises:
        UserError: a time is not a finite number of seconds from 0, the onset lies after the offset, there are times
            without a label, or the confidence is not in [0, 1].
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
    return EventRow(clip, onset, offset, label, row, _confidence(path, row, confidence) if confidence else None)


def _confidence(path: Path, row: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UserError(f"'{path}', row {row}: the confidence '{text}' is not a number from 0 to 1; correct it, or name "
                        "the column otherwise.")  # fmt: skip
    return value


def _refuse_times(path: Path, row: int, onset: float, offset: float) -> NoReturn:
    for column, value in (("onset", onset), ("offset", offset)):
        if not math.isfinite(value):
            raise UserError(f"'{path}', row {row}: the {column} {value} is not finite; give seconds such as 1.25.")
    if onset < 0:
        raise UserError(f"'{path}', row {row}: the onset {onset} is negative; times count from the start of the clip.")
    raise UserError(f"'{path}', row {row}: the onset {onset} lies after the offset {offset}; exchange or correct them.")
