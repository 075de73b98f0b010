"""Conformance of a format of events."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rl_postproc.data.events import Events
from rl_postproc.formats import EventFormat, EventRow
from rl_postproc.testing.base import require
from rl_postproc.utils.errors import UserError, unwarned

TIMES = 1e-6
"""Seconds by which times may differ once they are written and read."""


def check_event_format(format: EventFormat, path: str | Path, expected: Sequence[EventRow] | None = None) -> None:
    """Checks a format of events on a sample.

    It says what it looks like. It recognises the sample, and no empty folder, text file or missing path; no other format
    recognises the sample. It reads the sample the same way twice. A missing path raises `UserError`, and a sample that is
    cut in half at most that. What it writes, unless it refuses to write at all, it reads again: the same events, to a
    microsecond, and it recognises them.

    Args:
        format: the format with its options.
        path: a sample in this format, with an event at least.
        expected: the rows that the sample holds, if they are known.

    Raises:
        NonConformant: one of these does not hold.
    """
    path = Path(path)
    looks_like = getattr(format, "looks_like", None)
    require(isinstance(looks_like, str) and bool(looks_like), "the format does not say what it looks like")
    require(format.recognises(path), f"the format does not recognise its own sample '{path}'")
    others = [name for name, kind in EventFormat.types().items() if name != format.name and kind.recognises(path)]
    require(not others, f"the format {others[:1]} also recognises '{path}'")
    with unwarned():
        rows = format.read(path)
        require(bool(rows) and all(isinstance(row, EventRow) for row in rows), "read gives no list of EventRow")
        require(format.read(path) == rows, "reading the sample twice gives two different lists")
        if expected is not None:
            require(rows == list(expected), "the rows that were read are not the expected ones")
        with tempfile.TemporaryDirectory() as folder:
            _check_other_paths(format, path, Path(folder))
            _check_writing(format, rows, Path(folder))


def _check_other_paths(format: EventFormat, path: Path, folder: Path) -> None:
    empty, text, absent = folder / "empty", folder / "notes.txt", folder / "absent"
    empty.mkdir()
    text.write_text("nothing of the kind\n")
    for other in (empty, text, absent):
        require(not format.recognises(other), f"the format recognises '{other.name}', which holds no events")
    if path.is_file():
        content = path.read_bytes()
        (folder / "half").mkdir()
        damaged = folder / "half" / path.name
        damaged.write_bytes(content[: len(content) // 2] + b"\xff\x00")
        _refuse_at_most(format, damaged)
    require(_refuse_at_most(format, absent), "a missing sample is read without an error")


def _refuse_at_most(format: EventFormat, path: Path) -> bool:
    """Returns whether reading was refused."""
    try:
        format.read(path)
    except UserError as error:
        require(path.name in str(error), f"the error names no place: {error}")
        return True
    except Exception as error:
        require(False, f"a damaged or missing sample raises {type(error).__name__}, not UserError: {error}")
    return False


def _check_writing(format: EventFormat, rows: list[EventRow], folder: Path) -> None:
    events = [row for row in rows if row.label is not None]
    clips, classes = (sorted({str(row[field]) for row in events}) for field in (0, 3))
    made = Events.from_rows([row[:4] for row in events], clips, classes)  # type: ignore[misc]
    written = folder / f"written{format.suffixes[0] if format.suffixes else ''}"
    try:
        format.write(made, written)
    except UserError:
        return
    require(format.recognises(written), "the format does not recognise what it has written")
    again = sorted(row[:4] for row in format.read(written) if row.label is not None)
    if len(clips) == 1:  # the name of the one clip may be that of the file
        again = [(clips[0], *row[1:]) for row in again]
    found = Events.from_rows(again, sorted({row[0] for row in again}), classes)  # type: ignore[misc]
    same = len(found) == len(made) and bool((found.label == made.label).all()) and len(found.clip_ids) == len(clips)
    close = same and all(bool(((a - b).abs() <= TIMES).all()) for a, b in
                         ((found.onset, made.onset), (found.offset, made.offset)))  # fmt: skip
    require(close, "reading what the format has written gives other events")
