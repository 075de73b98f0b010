"""Folders of score files, lists of classes, and evenly spaced frames: what the readers share about their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_postproc.utils.errors import UserError


def list_files(folder: Path, suffixes: tuple[str, ...], what: str = "scores") -> list[Path]:
    """Returns the files with one of the suffixes, sorted by stem; names that begin with a dot are hidden files.

    Raises:
        UserError: the folder cannot be read or holds no such file.
    """
    try:
        files = [f for f in folder.iterdir() if f.suffix.lower() in suffixes and f.name[0] != "." and f.is_file()]
    except OSError as error:
        raise UserError(f"Cannot read the folder '{folder}': {error.strerror or error}.") from error
    if not files:
        raise UserError(f"The folder '{folder}' holds no {' or '.join(suffixes)} file; give the folder of the {what}.")
    return sorted(files, key=lambda file: (file.stem, file.suffix))


def first_line(folder: Path, suffixes: tuple[str, ...]) -> str:
    """Returns the first line of the first file that is not empty, or an empty string where there is none."""
    try:
        for file in list_files(folder, suffixes):
            with file.open(encoding="utf-8-sig", errors="replace") as handle:
                line = handle.readline().strip()
            if line:
                return line
    except (UserError, OSError):
        pass
    return ""


def read_classes(classes: Sequence[str] | str | Path | None) -> list[str] | None:
    """Returns class names given as a list, or as the path of a text file with one name a line.

    Raises:
        UserError: the file cannot be read, there is no name, or a name occurs twice.
    """
    if classes is None:
        return None
    place = "The list of classes"
    if isinstance(classes, str | Path):
        place = f"'{classes}'"
        try:
            lines = Path(classes).read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise UserError(f"Cannot read the classes from '{classes}': {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise UserError(f"'{classes}' is not a text file in UTF-8; save it in UTF-8.") from error
        names = [(row, line.strip()) for row, line in enumerate(lines, 1) if line.strip()]
    else:
        names = list(enumerate(classes, 1))
    if not names:
        raise UserError(f"{place} is empty; name one class a row.")
    seen: set[str] = set()
    for row, name in names:
        if name in seen:
            raise UserError(f"{place}, row {row}: the class '{name}' occurs twice; remove one of the two.")
        seen.add(name)
    return [name for _, name in names]
