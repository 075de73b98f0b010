"""Folders of score files, lists of classes, and evenly spaced frames: what the readers share about their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_postproc.formats.clip_names import without_audio_suffix
from rl_postproc.formats.text import read_head, read_text
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.memory import require_memory


def list_files(folder: Path, suffixes: tuple[str, ...], what: str = "scores") -> list[Path]:
    """Returns the files whose names end so, sorted by clip; names that begin with a dot are hidden files.

    Raises:
        UserError: the folder cannot be read or holds no such file.
    """
    try:
        files = [f for f in folder.iterdir() if f.name.lower().endswith(suffixes) and f.name[0] != "." and f.is_file()]
    except OSError as error:
        raise UserError(f"Cannot read the folder '{folder}': {error.strerror or error}.") from error
    if not files:
        raise UserError(f"The folder '{folder}' holds no {' or '.join(suffixes)} file; give the folder of the {what}.")
    return sorted(files, key=lambda file: (clip_of(file), file.name))


def clip_of(file: Path) -> str:
    """Returns the name of the clip that a file is about: its own, without the suffix and a ``.gz`` after it."""
    name = file.name[:-3] if file.name.lower().endswith(".gz") else file.name
    return name.removesuffix(Path(name).suffix)


def first_line(folder: Path, suffixes: tuple[str, ...]) -> str:
    """Returns the first line of the first file that is not empty, or an empty string where there is none."""
    try:
        for file in list_files(folder, suffixes):
            line = read_head(file).partition("\n")[0].strip()
            if line:
                return line
    except UserError:
        pass
    return ""


def clip_files(clip_ids: Sequence[str], folder: Path, suffix: str) -> list[Path]:
    """Returns the file of each clip, named by its id without an audio extension.

    Raises:
        UserError: two clips would share a file, or an id is no file name.
    """
    taken: dict[str, str] = {}
    for clip in clip_ids:
        stem = without_audio_suffix(clip)
        if stem in taken:
            raise UserError(
                f"The clips '{taken[stem]}' and '{clip}' would both be written to '{stem}{suffix}'; rename one."
            )
        if Path(stem).name != stem or stem.startswith(".") or "\0" in stem:
            raise UserError(f"The clip id '{clip}' cannot name a file; rename it without folders or leading dot.")
        taken[stem] = clip
    return [folder / f"{stem}{suffix}" for stem in taken]


def refuse_other_files(folder: Path, files: Sequence[Path], suffixes: tuple[str, ...]) -> None:
    """Refuses to write among files that would be read as part of the set.

    Args:
        folder: where to write; need not exist.
        files: what is written there.
        suffixes: ends of the names of the files that the format reads.

    Raises:
        UserError: there is another such file.
    """
    own = {file.name for file in files}
    there = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    other = next((name for name in there if name[0] != "." and name.endswith(suffixes) and name not in own), None)
    if other is not None:
        raise UserError(f"'{folder / other}' is not of these scores, and would be read as if it were; choose another "
                        "folder, or delete it.")  # fmt: skip


def require_room(file: Path, n_files: int, n_classes: int, n_frames: int) -> None:
    """Refuses a folder whose clips, all as long as that of one file, would take half the memory.

    Raises:
        UserError: they would.
    """
    what = f"{n_files} clips of {n_classes} classes, as long as '{file}' with its {n_frames} frames,"
    require_memory(4.0 * n_files * n_classes * n_frames, what, "split long clips, or give fewer clips at a time")


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
        lines = read_text(Path(classes)).splitlines()
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


def keep_classes(wanted: list[str] | None, names: list[str], path: Path) -> list[int]:
    """Returns the positions of the wanted classes among those of the scores, all in their order when None.

    Raises:
        UserError: one is not among them.
    """
    for name in wanted or ():
        if name not in names:
            raise UserError(f"The class '{name}' is not among those of the scores in '{path}'{suggest(name, names)}.")
    return [names.index(name) for name in wanted or names]
