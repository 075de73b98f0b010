"""What files of arrays call what they hold, and whether they hold scores of frames or of whole clips."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from rl_postproc.formats.archives import ARRAY_SUFFIXES, Stored, open_arrays
from rl_postproc.formats.scores.frame_times import TIMES
from rl_postproc.utils.errors import UserError

SCORES = ("scores", "predictions", "clipwise_output", "probabilities", "output")
FRAME_SCORES = ("framewise_output", "strong", *SCORES)
REFERENCES = ("references", "target", "targets", "labels", "ground_truth", "gt")
CLIP_IDS = ("clip_ids", "audio_name", "filenames", "filename", "video_id_list")
CLASSES = ("classes", "class_names", "labels_names")
N_FRAMES = ("n_frames", "lengths")
DURATIONS = ("durations", "duration")


def texts(
    arrays: Mapping[str, Stored], path: Path, names: tuple[str, ...], taken: Collection[str | None] = ()
) -> list[str] | None:
    """Reads the row of names that has one of the usual names, texts or, as HDF5 keeps them, bytes.

    Raises:
        UserError: it is no row of names.
    """
    name = next((name for name in names if name in arrays and name not in taken), None)
    if name is None:
        return None
    array, place = np.asarray(arrays[name].read()), f"{path}: {name}"
    if array.ndim != 1:
        raise UserError(f"'{place}' has the shape {list(array.shape)} where a row of names is expected.")
    try:
        return [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
    except UnicodeDecodeError as error:
        raise UserError(f"'{place}' holds names that are not UTF-8; save them in UTF-8.") from error


def numbers(arrays: Mapping[str, Stored], path: Path, names: tuple[str, ...], n: int) -> np.ndarray | None:
    """Reads the row of so many numbers that has one of the usual names.

    Raises:
        UserError: it is no such row.
    """
    name = next((name for name in names if name in arrays), None)
    if name is None:
        return None
    stored = arrays[name]
    if not stored.holds_numbers or stored.shape != (n,):
        raise UserError(f"'{path}: {name}' is {list(stored.shape or ())} where {n} numbers are expected, one a clip.")
    return np.asarray(stored.read()).astype(np.float64)


def matrices(arrays: Mapping[str, Stored]) -> list[str]:
    """Returns the names of the arrays that may be scores ``[frame, class]`` or ``[clip, tag]``."""
    others = (*TIMES, *REFERENCES, *CLIP_IDS, *CLASSES, *N_FRAMES, *DURATIONS)
    return [name for name, one in arrays.items() if one.kind == "f" and _ndim(one) == 2 and name not in others]


def cubes(arrays: Mapping[str, Stored]) -> list[str]:
    """Returns the names of the arrays that may be scores of frames of all clips."""
    others = (*TIMES, *REFERENCES)
    return [name for name, one in arrays.items() if one.kind == "f" and _ndim(one) == 3 and name not in others]


def holds_frames(path: Path) -> bool:
    """Returns whether a file of arrays holds scores of frames, rather than tags of whole clips or what cannot be read."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return (
        path.suffix.lower() in ARRAY_SUFFIXES and path.is_file() and _holds_frames(path, stat.st_mtime_ns, stat.st_size)
    )


@lru_cache(maxsize=16)
def _holds_frames(path: Path, changed: int, size: int) -> bool:
    try:
        with open_arrays(path) as content:
            return _are_frames(content)
    except UserError:
        return False


def _are_frames(content: Mapping[str, Stored] | Stored) -> bool:
    """Tells scores of frames by their axes and by the times beside them.

    In a file that has tags too, tags are meant, and their reader says that there are two ways.
    """
    if isinstance(content, Stored):
        return content.kind == "f" and _ndim(content) == 3
    timed = any(name in content for name in TIMES)
    rows, found = matrices(content), cubes(content)
    usual = any(name in rows for name in SCORES)
    if found:
        return not usual and (timed or not rows or any(name in FRAME_SCORES for name in found))
    if timed:
        return bool(rows)
    # Several arrays of one clip each; of clips that are named, each array would be of all of them.
    return (
        not usual
        and len(rows) > 1
        and not any(name in content for name in CLIP_IDS)
        and len({(content[name].shape or ())[1:] for name in rows}) == 1
    )


def _ndim(stored: Stored) -> int:
    return len(stored.shape or ())
