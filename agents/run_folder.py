"""The folder of a run: of one process at a time, and without files of an earlier run beside those of the newest."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.files import unwritable, write_text

LOCK, HOLDER = ".lock", ".lock.holder"

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO)
"""What file systems answer that cannot lock."""


@contextmanager
def run_folder(out: Path) -> Iterator[None]:
    """Makes a folder and keeps other runs out of it until the block ends; what is still empty then is removed again.

    The lock is the operating system's, so that it ends with this process, however that ends.

    Raises:
        UserError: another run is at work there, or the folder cannot be made or written.
    """
    if str(out) == "-":
        raise UserError("--out takes a folder here, and '-' stands for standard output; name a folder.")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    try:
        with _locked(out):
            yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"Another run is at work in '{out}'{_holder(out)}; wait for its end, or give another --out."
        ) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise unwritable(out / LOCK, error) from error
        warn(f"The file system of '{out}' has no locks ({error}), so that nothing keeps a second run out of that folder; "
             "start only one there.")  # fmt: skip
        yield
        return
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        write_text(out / HOLDER, f"process {os.getpid()} on {platform.node()}, since {since}")
        yield
    finally:
        # Before the release: afterwards they could be those of the next run.
        for name in (HOLDER, LOCK):
            with contextlib.suppress(OSError):
                (out / name).unlink()
        lock.release()


def _holder(out: Path) -> str:
    """Returns who holds a folder, in brackets, as far as it says."""
    try:
        return f" ({(out / HOLDER).read_text(encoding='utf-8')[:200]})"
    except (OSError, UnicodeDecodeError):
        return ""


def refuse_others(out: Path, others: dict[str, str]) -> None:
    """Refuses a folder that holds what is not replaced, and would be taken for part of the run.

    Args:
        out: run folder.
        others: files and folders of other commands, and what they are of.

    Raises:
        UserError: there is one of them, or a config that no run has written.
    """
    for name, what in others.items():
        if (out / name).exists():
            raise UserError(f"'{out}' holds {what} ('{name}'), which would be taken for part of this run; give another "
                            "--out, or delete it.")  # fmt: skip
    if (out / "config.yaml").exists() and not (out / "versions.json").exists():
        raise UserError(f"'{out / 'config.yaml'}' was not written by a run, and would be replaced; give another --out, or "
                        "move it.")  # fmt: skip


def remove(out: Path, patterns: Iterable[str]) -> None:
    """Removes files and folders of an earlier run.

    Args:
        out: run folder.
        patterns: their names, with wildcards.

    Raises:
        UserError: one cannot be removed.
    """
    for path in (path for pattern in patterns for path in sorted(out.glob(pattern))):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise unwritable(path, error) from error
