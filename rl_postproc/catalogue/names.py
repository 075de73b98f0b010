"""Names of the catalogue in the place of paths. A file or folder that exists goes before an entry of its name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePath
from typing import Any

from rl_postproc.catalogue.cache import DATA_VARIABLE, find_entry_folder
from rl_postproc.catalogue.entry import ENTRY_NAME, Entry, entries
from rl_postproc.utils.errors import UserError, suggest, warn

_ROLES = ("references", "durations")


def is_named(path: str | Path, root: Path | None = None) -> bool:
    """Returns whether a path stands for an entry of the catalogue, or for a file in one (``NAME/file``).

    Args:
        path: what was given in the place of a path.
        root: folder that relative paths start from; the working folder when None.

    Warns:
        DataWarning: there is a file of that path, too, which is used.
    """
    return _entry(path, root) is not None


def stand_in(path: str | Path, role: str, root: Path | None = None, places: Sequence[Path] = ()) -> Path:
    """Returns the path that was meant: one that names an entry becomes that of the entry's files, any other stays.

    Args:
        path: what was given in the place of a path.
        role: what is needed: scores, references, durations or checkpoint.
        root: folder that relative paths start from; the working folder when None.
        places: folders of data that are searched ahead of the usual ones.

    Raises:
        UserError: the entry has no such thing, or is not on this machine.
    """
    entry = _entry(path, root)
    if entry is None:
        return Path(path) if root is None else root / path
    inside = PurePath(path).parts[1:]
    return _located(entry, "/".join(inside) if inside else _part(entry, role), places)


def complete(
    scores: str | Path, given: Mapping[str, Any], root: Path | None = None, places: Sequence[Path] = ()
) -> tuple[Path, dict[str, Any], str]:
    """Returns where scores lie and all that goes with them, where any of it may be named by the catalogue.

    Args:
        scores: what was given in the place of their path.
        given: what was given besides: ``references``, ``durations``, ``format``, ``hop``, ``classes``, ``subset``.
        root: folder that relative paths start from; the working folder when None.
        places: folders of data that are searched ahead of the usual ones.

    Returns:
        Path of the scores; what was given, with paths for names, and with the entry's own for what was not given; a
        sentence on what was taken from the entry, or an empty one.

    Raises:
        UserError: an entry has no such thing, or is not on this machine.
    """
    path, found = stand_in(scores, "scores", root, places), dict(given)
    for role in _ROLES:
        if isinstance(given.get(role), str | Path):
            found[role] = stand_in(given[role], role, root, places)
    entry = _entry(scores, root)
    if entry is None or len(PurePath(scores).parts) > 1:
        return path, found, ""
    taken = []
    for role in _ROLES:
        if given.get(role) is None and role in entry.use.paths:
            found[role] = _located(entry, _part(entry, role), places)
            taken.append(role)
    for key, value in entry.use.settings.items():
        if (own := given.get(key)) is None or own is False or (isinstance(own, str) and own == "auto"):
            found[key] = value
            taken.append(key if isinstance(value, bool) else f"{key} {value}")
    return (
        path,
        found,
        f"Taken from the catalogue's '{entry.name}', since not given: {', '.join(taken)}." if taken else "",
    )


def did_you_mean(path: str | Path) -> str:
    """Returns ``"; did you mean the catalogue's 'x'"`` for a path that nearly is the name of an entry, else nothing."""
    close = get_close_matches(os.path.basename(path), entries(), n=1, cutoff=0.75)
    return f"; did you mean the catalogue's '{close[0]}'" if close else ""


def _part(entry: Entry, role: str) -> str:
    """Returns where in an entry its scores, references, … are."""
    if (part := entry.use.paths.get(role)) is None:
        raise UserError(
            f"The catalogue's '{entry.name}' has no {role}; it has {', '.join(entry.use.paths) or 'files alone'}."
        )
    return part


def _located(entry: Entry, part: str, places: Sequence[Path]) -> Path:
    """Returns where a part of an entry lies on this machine."""
    known = [file.path for file in entry.files]
    if not any(file == part or file.startswith(f"{part}/") for file in known):
        raise UserError(f"The catalogue's '{entry.name}' has no '{part}'{suggest(part, known)}.")
    folder = find_entry_folder(entry, part, places)
    if folder is None:
        other = f", or set {DATA_VARIABLE} to a folder with '{entry.folder}'" if entry.use.scores else ""
        raise UserError(f"'{entry.name}' of the catalogue is not on this machine; run `rl-postproc download {entry.name}`"
                        f"{other}.")  # fmt: skip
    return folder / part


def _entry(path: str | Path, root: Path | None) -> Entry | None:
    """Returns the entry that a path stands for."""
    parts = PurePath(path).parts
    # Paths that cannot be names are told without reading the catalogue.
    entry = entries().get(parts[0]) if parts and ENTRY_NAME.fullmatch(parts[0]) else None
    if entry is None:
        return None
    if os.path.exists(path if root is None else root / path):
        if len(parts) == 1:
            warn(
                f"'{path}' is there as a file or folder, which is used, and not the entry of that name in the catalogue."
            )
        return None
    return entry
