"""What lies in files and folders: scores, events, durations and audio, told by their contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rl_postproc.formats.archives import ARRAY_SUFFIXES, Stored, open_arrays
from rl_postproc.formats.base import Format
from rl_postproc.formats.clip_names import AUDIO_SUFFIXES
from rl_postproc.formats.durations import read_durations
from rl_postproc.formats.events.base import EventFormat
from rl_postproc.formats.folder import list_files
from rl_postproc.formats.scores.detections import SUFFIXES, threshold_of
from rl_postproc.utils.errors import UserError

Kind = Literal["scores", "events", "durations", "audio", "post-processor", "unknown", "unclear"]
POINTS, ARRAYS = "operating_points", "npy"
LOOKED_INTO = 4
"""Files of a folder of arrays that are read to tell what they are."""
MOST_FILES = 2000
"""Files of one folder that are looked into, where the folder as a whole is of no known format."""


@dataclass(frozen=True)
class Found:
    """A file or folder and what it holds.

    Attributes:
        path: the file or folder.
        kind: what it holds; ``unclear`` where several formats recognise it.
        formats: names of the formats that recognise it.
        n_files: number of files, where several of one kind lie together.
    """

    path: Path
    kind: Kind
    formats: tuple[str, ...] = ()
    n_files: int = 1


def survey(paths: Sequence[Path]) -> list[Found]:
    """Looks through files and folders; a folder of a known format is not looked into further.

    Hidden files are left out. Audio files of one folder, and files of no known format, are counted together.

    Raises:
        UserError: a path does not exist or a folder cannot be read.
    """
    found = []
    for path in paths:
        if not path.exists():
            raise UserError(f"There is no '{path}'; give files or folders.")
        found += _look(path)
    return found


def _look(path: Path) -> Iterator[Found]:
    """Yields what a path is, or what is in it."""
    one = _recognised(path)
    if one is not None:
        yield one
    elif path.is_dir():
        yield from _look_inside(path)
    else:
        yield Found(path, "unknown")


def _look_inside(folder: Path) -> Iterator[Found]:
    try:
        inside = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    except OSError as error:
        raise UserError(f"Cannot read the folder '{folder}': {error.strerror or error}.") from error
    folders, files = [p for p in inside if p.is_dir()], [p for p in inside if not p.is_dir()]
    audio = [file for file in files if file.suffix.lower() in AUDIO_SUFFIXES]
    others = [file for file in files if file.suffix.lower() not in AUDIO_SUFFIXES]
    if audio:
        yield Found(folder, "audio", n_files=len(audio))
    unknown = others[MOST_FILES:]
    for file in others[:MOST_FILES]:
        one = _recognised(file)
        if one is None:
            unknown.append(file)
        else:
            yield one
    if unknown:
        yield Found(unknown[0] if len(unknown) == 1 else folder, "unknown", n_files=len(unknown))
    for own in folders:
        yield from _look(own)


def _recognised(path: Path) -> Found | None:
    """Returns what a file or folder is as a whole, if any format knows it."""
    if path.is_file() and path.suffix.lower() in AUDIO_SUFFIXES:
        return Found(path, "audio")
    if path.name == "postprocessor.json" or (path / "postprocessor.json").is_file():
        return Found(path, "post-processor")
    scores = tuple(name for name, kind in Format.types().items() if kind.recognises(path))
    if (scores == (POINTS,) and not _holds_points(path)) or (scores == (ARRAYS,) and _holds_reference_tags(path)):
        scores = ()
    events = tuple(name for name, kind in EventFormat.types().items() if kind.recognises(path))
    if scores and events:
        return Found(path, "unclear", scores + events)
    if scores:
        return Found(path, "scores", scores)
    if _holds_durations(path):
        return Found(path, "durations")
    return Found(path, "events", events) if events else None


def _holds_points(folder: Path) -> bool:
    """Returns whether a folder of event tables is one of operating points: several, each with a threshold in its name."""
    tables = list_files(folder, SUFFIXES)
    return len(tables) > 1 and all(threshold_of(file) is not None for file in tables)


def _holds_reference_tags(folder: Path) -> bool:
    """Returns whether one of the first files of a folder of arrays holds 0 and 1 alone: they are tags of whole clips."""
    for file in sorted(f for f in folder.iterdir() if f.suffix.lower() in ARRAY_SUFFIXES)[:LOOKED_INTO]:
        try:
            with open_arrays(file) as content:
                if isinstance(content, Stored) and content.holds_numbers and len(content.shape or ()) == 2:
                    values = np.asarray(content.read())
                    if values.size and bool(((values == 0) | (values == 1)).all()) and bool((values == 1).any()):
                        return True
        except UserError:
            continue
    return False


def _holds_durations(path: Path) -> bool:
    """Returns whether a file is a table of clip durations."""
    if not path.is_file():
        return False
    try:
        return bool(read_durations(path))
    except UserError:
        return False
