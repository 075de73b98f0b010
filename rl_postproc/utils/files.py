"""Files that appear whole or not at all, where they were asked for."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.plain_values import parse_json

STANDARD_OUTPUT = Path("/dev/stdout")
"""Written to by `whole_file` on every system, whatever the name stands for there."""

_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path, whose contents are those of ``path`` once the block has succeeded.

    An ordinary file is replaced as a whole, by one with its mode; a new one has the mode that the umask leaves. A symbolic
    link stays, and the file that it points to is replaced. Devices, pipes, and the streams of this process
    (``/dev/stdout``, ``/dev/fd/3``) are written to.

    Raises:
        UserError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    try:
        if _is_written_to(path):
            with tempfile.TemporaryDirectory() as folder:
                yield (temporary := Path(folder) / f"file{path.suffix}")
                with temporary.open("rb") as source, _opened(path) as sink:
                    shutil.copyfileobj(source, sink)
            return
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name[:60]}.{secrets.token_hex(4)}{target.suffix}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            if target.is_file():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: str | Path, error: OSError) -> UserError:
    """Returns the sentence on a file that cannot be written."""
    remedy = "choose a folder that can be written"
    if isinstance(error, BrokenPipeError):
        remedy = "keep what reads it open"
    return UserError(f"Cannot write '{path}': {error.strerror or error}; {remedy}.")


def is_standard_output(path: str | Path) -> bool:
    """Returns whether a path stands for the standard output of this process."""
    return _descriptor(Path(path)) == 1


def _is_written_to(path: Path) -> bool:
    """Returns whether a path is no file that could be replaced."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _descriptor(path: Path) -> int | None:
    """Returns the file descriptor of this process that a path stands for."""
    text = os.path.abspath(path)
    found = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", text)
    return int(found[1]) if found else _STREAMS.get(text)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Opens what is written to; a stream of this process as it is, so that a file behind it is not cut."""
    number = _descriptor(path)
    stream = {1: sys.stdout, 2: sys.stderr}.get(-1 if number is None else number)
    if stream is not None and hasattr(stream, "buffer"):
        stream.flush()
        try:
            yield stream.buffer
            stream.buffer.flush()
        except BrokenPipeError:
            # What is left in the buffer would fail again when the interpreter ends.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise
    else:
        with path.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as sink:
            yield sink


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes a JSON file whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: the file is missing, unreadable or not JSON.
    """
    path = Path(path)
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error
    except ValueError as error:
        raise UserError(f"'{path}' is not valid JSON ({error}); it may be truncated, make it anew.") from error
