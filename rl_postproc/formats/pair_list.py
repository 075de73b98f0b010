"""Lists of pairs of files, references and estimates, as the evaluators of sed_eval take them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.read import read_events
from rl_postproc.formats.table_rows import is_number
from rl_postproc.formats.text import read_text
from rl_postproc.utils.errors import UserError

COLUMNS = ("reference_file", "estimated_file")


class Pairs(NamedTuple):
    """The events of all pairs, whose clips have names that no two pairs share."""

    expected: list[EventRow]
    found: list[EventRow]


def read_pairs(path: Path) -> Pairs:
    """Reads the files that a list of pairs names: the reference, and the estimate on the same recording.

    Files are looked for from the folder of the list. The clip of a file that does not name it is called as the list calls
    its reference.

    Args:
        path: list with two columns, separated by tabs, semicolons or commas, with or without the header reference_file,
            estimated_file.

    Raises:
        UserError: it is no such list, a file is missing or cannot be used, or two pairs are about the same clip.
    """
    expected: list[EventRow] = []
    found: list[EventRow] = []
    owner: dict[str, int] = {}
    for row, reference, estimate in _rows(path):
        for file in (reference, estimate):
            if not (path.parent / file).exists():
                raise UserError(f"'{path}', row {row}: there is no '{path.parent / file}'; name files from the folder of the "
                                "list on.")  # fmt: skip
        pair = [_read(path.parent / file, reference) for file in (reference, estimate)]
        clips = {event.filename for event in pair[0]}
        if stranger := next((event for event in pair[1] if event.filename not in clips), None):
            raise UserError(f"'{path.parent / estimate}', row {stranger.row}: the clip '{stranger.filename}' is not in its "
                            f"references '{path.parent / reference}'; name clips alike.")  # fmt: skip
        if twice := next((clip for clip in clips if clip in owner), None):
            raise UserError(f"'{path}', row {row}: the clip '{twice}' is that of row {owner[twice]} too; give each clip in "
                            "one pair.")  # fmt: skip
        owner |= dict.fromkeys(clips, row)
        expected += pair[0]
        found += pair[1]
    return Pairs(expected, found)


def _read(file: Path, clip: str) -> list[EventRow]:
    """Reads one file; one without events tells its clip at least."""
    return read_events(file, clip) or [EventRow(clip, None, None, None, 1)]


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Returns line number, reference and estimate of each pair."""
    text = read_text(path)
    separator = next((one for one in "\t;," if one in text.lstrip().partition("\n")[0]), "\t")
    rows = []
    for row, line in enumerate(text.splitlines(), 1):
        fields = [field.strip().strip('"') for field in line.split(separator)]
        if not any(fields) or (not rows and tuple(field.lower() for field in fields) == COLUMNS):
            continue
        if len(fields) != 2 or not all(fields) or any(map(is_number, fields)):
            raise UserError(f"'{path}', row {row}: these are not two files; give --references for a file of events, or a "
                            "list of pairs, each a reference and an estimate.")  # fmt: skip
        rows.append((row, *fields))
    if not rows:
        raise UserError(f"'{path}' holds no row; give a list of pairs of files, each a reference and an estimate.")
    return rows
