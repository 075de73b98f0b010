"""The text of a file: read whole, unpacked where it is compressed by gzip, or only its first lines."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from rl_postproc.formats.archives import FREE_BYTES, UNFOLDED
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import whole_file
from rl_postproc.utils.memory import require_memory, shown

PART_BYTES = 1 << 24
"""Files are read in parts of this size, so that endless ones are noticed."""
HEAD_BYTES = 1 << 16
"""As much of a file is looked at to tell its format."""
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"

_HELD: ContextVar[tuple[Path, bytes] | None] = ContextVar("held", default=None)


def read_text(path: Path, unfolds: int = 16) -> str:
    """Reads a text file in UTF-8, with its line ends; one that is compressed by gzip is unpacked.

    Args:
        path: the file; a stream too, which is read to its end.
        unfolds: how many times its size is taken by what is made of it.

    Raises:
        UserError: the file cannot be read, is another archive or a damaged one, is in another encoding, or would take
            half the memory, or unpacked more than 100 times its size (and 512 MiB).
    """
    content = _content(path, unfolds)
    if content.startswith(GZIP):
        content = _unpacked(path, content, unfolds)
    if content.startswith(ZIP):
        raise UserError(f"'{path}' is compressed by zip; unpack it first.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"'{path}' is not a text file in UTF-8 ({error.reason} at byte {error.start}); "
                        "save it in UTF-8.") from error  # fmt: skip


def read_head(path: Path) -> str:
    """Returns the first whole lines of a text file, unpacked; nothing of what cannot be read or is no text."""
    held = _HELD.get()
    try:
        if held and held[0] == path:
            content = held[1][:HEAD_BYTES]
        else:
            with path.open("rb") as handle:
                content = handle.read(HEAD_BYTES)
        if content.startswith(GZIP):
            content = zlib.decompressobj(wbits=31).decompress(content, HEAD_BYTES)
    except (OSError, zlib.error):
        return ""
    if b"\0" in content:
        return ""
    if len(content) == HEAD_BYTES and b"\n" in content:
        content = content[: content.rindex(b"\n") + 1]
    return content.decode("utf-8-sig", errors="replace")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps what a stream gives while the block lasts, so that its format can be told and its text read thereafter."""
    if path.is_file() or path.is_dir() or not path.exists():
        yield
        return
    token = _HELD.set((path, _content(path, unfolds=1)))
    try:
        yield
    finally:
        _HELD.reset(token)


def write_whole_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all; compressed where its name ends with ``.gz``.

    Raises:
        UserError: it cannot be written.
    """
    content = text.encode("utf-8")
    if path.suffix.lower() == ".gz":
        content = gzip.compress(content, mtime=0)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def _content(path: Path, unfolds: int) -> bytes:
    """Returns the bytes of a file."""
    held = _HELD.get()
    if held and held[0] == path:
        return held[1]
    parts, size, what, remedy = [], 0, f"Reading '{path}'", "split it into several"
    try:
        with path.open("rb") as handle:
            require_memory(unfolds * os.fstat(handle.fileno()).st_size, what, remedy)
            while part := handle.read(PART_BYTES):
                parts.append(part)
                size += len(part)
                require_memory(unfolds * size, what, remedy)
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error
    return b"".join(parts)


def _unpacked(path: Path, content: bytes, unfolds: int) -> bytes:
    """Returns what gzip has compressed, as far as it may unfold."""
    most, parts, size = max(FREE_BYTES, UNFOLDED * len(content)), [], 0
    try:
        with gzip.open(io.BytesIO(content)) as handle:
            while part := handle.read(PART_BYTES):
                parts.append(part)
                size += len(part)
                if size > most:
                    raise UserError(f"'{path}' of {shown(len(content))} unfolds to more than {shown(most)}; "
                                    "unpack it first if that is true.")  # fmt: skip
                require_memory(unfolds * size, f"Reading '{path}'", "split it into several")
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"'{path}' is not a whole gzip file ({error}); pack it again.") from error
    return b"".join(parts)
