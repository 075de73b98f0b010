"""Tables of clip durations: one row a clip."""

from __future__ import annotations

import math
from pathlib import Path

from rl_postproc.formats.table_rows import read_rows, seconds, split_header, wrong_width
from rl_postproc.utils.errors import UserError


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
    records, (positions, width, _) = split_header(path, read_rows(path, wanted), wanted)
    durations: dict[str, float] = {}
    first_row: dict[str, int] = {}
    for row, fields in records:
        if len(fields) != width:
            raise wrong_width(path, row, fields, width)
        name, text = (fields[i].strip() for i in positions)
        length = seconds(path, row, "duration", text)
        if not 0 < length < math.inf:
            raise UserError(
                f"'{path}', row {row}: the duration {text} is not a positive number of seconds; correct it."
            )
        if not name:
            raise UserError(f"'{path}', row {row}: the file name is empty; name the clip.")
        if name in durations:
            raise UserError(f"'{path}', row {row}: the clip '{name}' stands in row {first_row[name]} already; "
                            "remove one of the two.")  # fmt: skip
        durations[name], first_row[name] = length, row
    return durations
