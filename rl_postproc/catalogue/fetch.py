"""Downloading an entry: beside its place, checked file by file, and put there as a whole."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rl_postproc.catalogue.cache import cache_folder, is_whole, read_manifest, write_manifest
from rl_postproc.catalogue.entry import CatalogueFile, Entry, find_entry
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import unwritable

Report = Callable[[str, float], None]
"""Takes what is being done, and how much of it is."""


def fetch(entry: str | Entry, to: str | Path | None = None, report: Report = lambda what, fraction: None) -> Path:
    """Downloads an entry of the catalogue, unless it is there.

    An interrupted download goes on where it stopped. Nothing is to be seen in its place before all of it has come and fits
    the checksums of the catalogue; of a file without one, that of the first download is kept, and later ones are held
    against it.

    Args:
        entry: an entry, or its name.
        to: folder of data in which its own folder is made; the cache (``RL_POSTPROC_CACHE``, else the system's) when None.
        report: takes progress.

    Returns:
        The entry's folder.

    Raises:
        UserError: there is no such entry, a file cannot be downloaded or is another than it should be, or the folder
            cannot be written or holds what is not ours.

    Example:
        ::

            from rl_postproc import read_scores
            from rl_postproc.catalogue import fetch

            fetch("desed-baseline-2021")
            scores = read_scores("desed-baseline-2021")
    """
    entry = find_entry(entry) if isinstance(entry, str) else entry
    folder = (cache_folder() if to is None else Path(to).absolute()) / entry.folder
    if is_whole(folder, entry):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, entry, report):
            if not is_whole(folder, entry):  # another process may have been at it
                _fetch(entry, folder, report)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


@contextmanager
def _alone(folder: Path, entry: Entry, report: Report) -> Iterator[None]:
    """Keeps other processes out of a download until the block ends; waits for one that is at it."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"waiting for another process, which downloads {entry.name}", 0.0)
        lock.acquire()
    try:
        yield
    finally:
        if is_whole(folder, entry):  # whoever waits has nothing left to do
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _fetch(entry: Entry, folder: Path, report: Report) -> None:
    """Downloads what is missing into a folder beside, and puts that into the place."""
    import requests

    if folder.is_symlink() or (folder.exists() and not read_manifest(folder)):
        raise UserError(
            f"'{folder}' is there already and no download of the catalogue; move it, or choose another folder."
        )
    partial = folder.with_name(f".{folder.name}.partial")
    if folder.exists():  # a download of ours that was changed, or of an older catalogue: what fits is kept
        shutil.rmtree(partial, ignore_errors=True)
        folder.rename(partial)
    known = read_manifest(partial)
    partial.mkdir(exist_ok=True)
    progress = _Progress(entry, report)
    with requests.Session() as session:
        for number, file in enumerate(entry.files):
            checksum = file.checksum or known.get(file.path, {}).get("checksum")
            progress.begin(number)
            _fetch_file(entry, file, checksum, partial, session, progress)
    _leave_only(partial, {file.path for file in entry.files})
    write_manifest(partial, entry)
    partial.rename(folder)
    report(f"{entry.name} is complete", 1.0)


def _fetch_file(
    entry: Entry, file: CatalogueFile, checksum: str | None, partial: Path, session: Any, progress: _Progress
) -> None:
    import pooch

    from rl_postproc.catalogue.transfer import Transfer

    path = partial / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    transfer: Any = Transfer(session, part, file.size, checksum is not None, progress)
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(entry.address(file), checksum, fname=path.name, path=path.parent, downloader=transfer)
    except ValueError as error:
        kind = str(checksum).partition(":")[0]
        raise UserError(f"'{entry.address(file)}' is not the file that the catalogue knows as '{file.path}' of "
                        f"'{entry.name}': its {kind} differs, so that it is thrown away; try again, or "
                        "report it.") from error  # fmt: skip


def _leave_only(folder: Path, paths: set[str]) -> None:
    """Removes what an interrupted process or an older catalogue has left."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in paths:
            os.unlink(path)


class _Progress:
    """Tells how much of an entry is there: in bytes where all sizes are known, else in files."""

    def __init__(self, entry: Entry, report: Report):
        self.entry, self.report, self.before, self.number = entry, report, 0, 0

    def begin(self, number: int) -> None:
        """Notes that so many files are there."""
        self.number, self.before = number, sum(file.size or 0 for file in self.entry.files[:number])
        self(0)

    def __call__(self, n_bytes: int) -> None:
        total, number, done = self.entry.size, self.number, self.before + n_bytes
        if total is not None:
            self.report(
                f"downloading {self.entry.name}, {done / 1e6:.1f} of {total / 1e6:.1f} MB", done / max(1, total)
            )
        else:
            what = (
                f"downloading {self.entry.name}, file {number + 1} of {len(self.entry.files)}, {n_bytes / 1e6:.1f} MB"
            )
            self.report(what, number / len(self.entry.files))
