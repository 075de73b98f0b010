"""Where downloaded entries lie, and how it is known that one is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl_postproc.catalogue.entry import Entry

CACHE_VARIABLE = "RL_POSTPROC_CACHE"
"""Environment variable that names the folder of downloads, in place of the system's for caches."""
DATA_VARIABLE = "RL_POSTPROC_DATA"
"""Environment variable that names a folder of data that is searched first."""
MANIFEST = ".catalogue.json"
"""Written last, so that a folder without it is no finished download."""


def cache_folder() -> Path:
    """Returns the folder of downloads, which need not exist yet."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("rl_postproc"))


def find_entry_folder(entry: Entry, part: str | None = None, places: Sequence[Path] = ()) -> Path | None:
    """Returns the folder in which an entry lies on this machine, None where it does not.

    Args:
        entry: the entry.
        part: path inside it that is needed; all of its files when None.
        places: folders of data that are searched ahead of ``RL_POSTPROC_DATA`` and the cache. What lies in a folder of
            data is the user's and taken as it is; what lies in the cache must be as it was downloaded.
    """
    own = os.environ.get(DATA_VARIABLE)
    needed = [file.path for file in entry.files] if part is None else [part]
    for place in (*places, *([Path(own)] if own else [])):
        folder = place / entry.folder
        if all((folder / path).exists() for path in needed):
            return folder
    folder = cache_folder() / entry.folder
    return folder if is_whole(folder, entry) else None


def is_whole(folder: Path, entry: Entry) -> bool:
    """Returns whether a download is finished and unchanged since; files that look touched are read again."""
    known = read_manifest(folder)
    for file in entry.files:
        record = known.get(file.path)
        if record is None or (file.checksum is not None and record.get("checksum") != file.checksum):
            return False
        try:
            state = (folder / file.path).stat()
        except OSError:
            return False
        if state.st_size != record.get("size"):
            return False
        if state.st_mtime_ns != record.get("changed") and not _fits(folder / file.path, record):
            return False
    return True


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns what was downloaded, by path: size in bytes, checksum, time of change; nothing where that is not known."""
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {str(path): dict(record) for path, record in values.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_manifest(folder: Path, entry: Entry) -> None:
    """Writes down what lies in a folder, with a checksum of its own for each file that has none in the catalogue."""
    import pooch

    records = {}
    for file in entry.files:
        state = (folder / file.path).stat()
        checksum = file.checksum or f"sha256:{pooch.file_hash(str(folder / file.path))}"
        records[file.path] = {"size": state.st_size, "checksum": checksum, "changed": state.st_mtime_ns}
    text = json.dumps({"entry": entry.name, "source": entry.source, "licence": entry.licence,
                       "citation": entry.citation, "files": records}, indent=1)  # fmt: skip
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _fits(path: Path, record: dict[str, Any]) -> bool:
    import pooch

    kind, _, digest = str(record.get("checksum")).partition(":")
    return pooch.file_hash(str(path), alg=kind) == digest
