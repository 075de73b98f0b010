"""Arrays of tags in the files that people keep them in: PyTorch tensors, NumPy arrays and archives, HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from rl_postproc.formats.archives import Stored, open_arrays
from rl_postproc.formats.scores.array_names import CLASSES, CLIP_IDS, REFERENCES, SCORES, texts
from rl_postproc.utils.errors import UserError, suggest, warn


class TagArrays(NamedTuple):
    """What a file tells about tags.

    Attributes:
        scores: the only array ``[clip, tag]`` of the file, or the one with a name for scores.
        references: the array with a name for references, ``[clip, tag]``.
        clip_ids: names of the clips.
        classes: names of the tags.
    """

    scores: torch.Tensor
    references: torch.Tensor | None = None
    clip_ids: list[str] | None = None
    classes: list[str] | None = None


def read_arrays(
    path: Path, scores: str | None = None, references: str | None = None, with_references: bool = True
) -> TagArrays:
    """Reads the arrays of a file of scores; those that are not needed are not read.

    Args:
        path: the file.
        scores: name of the array of probabilities in an archive; told by the usual names when None.
        references: name of the array of reference tags, likewise.
        with_references: whether reference tags are looked for.

    Warns:
        DataWarning: the array of probabilities was told by its shape alone.

    Raises:
        UserError: the file is missing, damaged, too large, holds Python objects, no array ``[clip, tag]``, none of a given
            name, or several that may be meant, among them frame-level scores.
    """
    with open_arrays(path) as content:
        if isinstance(content, Stored):
            return TagArrays(_unnamed(content, path, scores or references))
        _require_names(content, path, scores, references)
        if with_references:
            references = references or _usual(content, path, REFERENCES, "references_array", {scores})
        scores = scores or _told_scores(content, path, references)
        target = None if references is None else _matrix(content[references], f"{path}: {references}")
        taken = {scores, references}
        return TagArrays(
            _matrix(content[scores], f"{path}: {scores}"),
            target,
            texts(content, path, CLIP_IDS, taken),
            texts(content, path, CLASSES, taken),
        )


def read_reference_array(path: Path, name: str | None = None) -> torch.Tensor:
    """Reads the one array of a file of reference tags, or the one of several that has the name, or one for references.

    Raises:
        UserError: as `read_arrays`.
    """
    with open_arrays(path) as content:
        if isinstance(content, Stored):
            return _unnamed(content, path, name)
        _require_names(content, path, name)
        name = name or _usual(content, path, REFERENCES, "references_array")
        name = name or _usual(content, path, SCORES, "references_array") or _only(content)
        if name is None:
            raise UserError(f"'{path}' holds no array called references, target or labels; name it with the option "
                            "references_array.")  # fmt: skip
        return _matrix(content[name], f"{path}: {name}")


def _unnamed(stored: Stored, path: Path, name: str | None) -> torch.Tensor:
    if name:
        raise UserError(f"'{path}' holds one array without a name; leave out the name '{name}'.")
    return _matrix(stored, str(path))


def _require_names(arrays: Mapping[str, Stored], path: Path, *names: str | None) -> None:
    for name in names:
        if name is not None and name not in arrays:
            raise UserError(f"'{path}' holds no array '{name}'{suggest(name, list(arrays))}.")


def _usual(
    arrays: Mapping[str, Stored], path: Path, names: tuple[str, ...], option: str, taken: set[str | None] | None = None
) -> str | None:
    """Returns which of the usual names an array ``[clip, tag]`` has."""
    found = [name for name in names if name in arrays and name not in (taken or ()) and _is_matrix(arrays[name])]
    if len(found) > 1:
        raise _two_ways(path, [f"from {_shown(arrays, name)}" for name in found], option, found[0])
    return found[0] if found else None


def _only(arrays: Mapping[str, Stored], taken: str | None = None) -> str | None:
    """Returns the only array ``[clip, tag]`` of floating-point numbers."""
    others = (taken, *REFERENCES)
    found = [name for name, one in arrays.items() if _is_matrix(one) and one.kind == "f" and name not in others]
    return found[0] if len(found) == 1 else None


def _told_scores(arrays: Mapping[str, Stored], path: Path, references: str | None) -> str:
    """Tells the array of probabilities by its name, else by its shape, unless there are frame-level scores too."""
    name = _usual(arrays, path, SCORES, "array", {references})
    told = name or _only(arrays, references)
    frames = [other for other, one in arrays.items() if one.kind == "f" and len(one.shape or ()) == 3]
    if told is None:
        if frames:
            raise _frame_level(f"{path}: {frames[0]}", arrays[frames[0]])
        raise UserError(f"'{path}' holds no array called scores, predictions or clipwise_output; name the array "
                        "of the probabilities with the option array.")  # fmt: skip
    clips, tags = arrays[told].shape or (0, 0)
    for other in frames:
        first, *rest = arrays[other].shape or (0,)
        if first == clips and tags in rest:
            ways = [
                f"as tags of whole clips from {_shown(arrays, told)}",
                f"frame by frame from {_shown(arrays, other)}",
            ]
            raise _two_ways(path, ways, "array", told, ", or the frames with --format arrays")
    if name is None:
        warn(f"'{path}' holds no array with a usual name; the probabilities are taken from {_shown(arrays, told)}, the "
             f"only one [clip, tag]; name it with the option array if it is another.")  # fmt: skip
    return told


def _two_ways(path: Path, ways: list[str], option: str, name: str, other: str = "") -> UserError:
    return UserError(f"'{path}' can be read in {'two' if len(ways) == 2 else 'several'} ways, {' or '.join(ways)}; say "
                     f"which with the option {option}, such as --format-option {option}={name}{other}.")  # fmt: skip


def _frame_level(place: str, stored: Stored) -> UserError:
    return UserError(f"'{place}' is {list(stored.shape or ())} where numbers [clip, tag] are expected; frame-level scores "
                     "are read in the format arrays: give --format arrays.")  # fmt: skip


def _shown(arrays: Mapping[str, Stored], name: str) -> str:
    return f"'{name}' {list(arrays[name].shape or ())}"


def _is_matrix(stored: Stored) -> bool:
    return stored.holds_numbers and len(stored.shape or ()) == 2


def _matrix(stored: Stored, place: str) -> torch.Tensor:
    """Reads a tensor ``[clip, tag]``."""
    if stored.holds_numbers and len(stored.shape or ()) == 3:
        raise _frame_level(place, stored)
    if not _is_matrix(stored) or 0 in (stored.shape or ()):
        # Reading arrays of Python objects refuses them as such.
        found = list(stored.shape) if stored.shape is not None and stored.kind != "O" else type(stored.read()).__name__
        raise UserError(f"'{place}' is {found} where numbers [clip, tag] are expected; save one row a clip.")
    value = stored.read()
    if isinstance(value, torch.Tensor):
        return value
    return torch.from_numpy(np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")))
