"""Arrays of tags in the files that people keep them in: PyTorch tensors, NumPy arrays and archives, HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rl_postproc.utils.errors import UserError, suggest

ARRAY_SUFFIXES = (".pt", ".pth", ".npy", ".npz", ".h5", ".hdf5")
SCORES = ("scores", "predictions", "clipwise_output", "probabilities", "output")
REFERENCES = ("references", "target", "targets", "labels", "ground_truth", "gt")
CLIP_IDS = ("clip_ids", "audio_name", "filenames", "filename", "video_id_list")
CLASSES = ("classes", "class_names", "labels_names")


class TagArrays(NamedTuple):
    """What a file tells about tags.

    Attributes:
        scores: the only array ``[clip, tag]`` of the file, or the one with a name for scores.
        references: the array with a name for references, ``[clip, tag]``.
        clip_ids: names of the clips.
        classes: names of the tags.
    """

    scores: torch.Tensor | None
    references: torch.Tensor | None = None
    clip_ids: list[str] | None = None
    classes: list[str] | None = None


def read_arrays(path: Path, scores: str | None = None, references: str | None = None) -> TagArrays:
    """Reads the arrays of a file by its suffix.

    Args:
        path: the file.
        scores: name of the array of probabilities in an archive; told by the usual names when None.
        references: name of the array of reference tags, likewise.

    Raises:
        UserError: the file is missing, damaged, holds Python objects, no array ``[clip, tag]``, or none of a given name.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in (".pt", ".pth"):
            content = torch.load(path, map_location="cpu", weights_only=True)
        elif suffix == ".npy":
            with path.open("rb") as handle:
                content = np.lib.format.read_array(handle, allow_pickle=False)
        elif suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
        else:
            content = _read_hdf5(path)
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error
    except UserError:
        raise
    except Exception as error:  # a damaged or pickled file can raise almost anything
        if "Object arrays" in str(error) or "weights_only" in str(error) or "Unsupported" in str(error):
            raise UserError(f"'{path}' holds Python objects, which are never loaded; save the plain array.") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"'{path}' is not a whole {suffix} file ({reason}); save it again.") from error
    if isinstance(content, Mapping):
        return _from_names({str(name): value for name, value in content.items()}, path, scores, references)
    if scores or references:
        raise UserError(f"'{path}' holds one array without a name; leave out the name '{scores or references}'.")
    return TagArrays(_matrix(content, str(path)))


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays at the top of an HDF5 file."""
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"Reading '{path}' needs h5py; run `pip install h5py`, or save the array as .npz.") from error
    with h5py.File(path, "r") as file:
        return {name: np.asarray(item) for name, item in file.items() if isinstance(item, h5py.Dataset)}


def _from_names(arrays: Mapping[str, Any], path: Path, scores: str | None, references: str | None) -> TagArrays:
    """Finds what each array of an archive is: by its name, or as the only one that can be meant."""
    for name in (scores, references):
        if name is not None and name not in arrays:
            raise UserError(f"'{path}' holds no array '{name}'{suggest(name, list(arrays))}.")

    def of(names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in arrays and name not in (scores, references)), None)

    references = references or of(REFERENCES)
    scores = scores or of(SCORES)
    if scores is None:
        other = [name for name, value in arrays.items() if getattr(value, "ndim", 0) == 2 and name != references]
        scores = other[0] if len(other) == 1 else None
    matrices = [None if name is None else _matrix(arrays[name], f"{path}: {name}") for name in (scores, references)]
    names = [None if name is None else _texts(arrays[name], f"{path}: {name}") for name in (of(CLIP_IDS), of(CLASSES))]
    return TagArrays(matrices[0], matrices[1], names[0], names[1])


def _matrix(value: Any, place: str) -> torch.Tensor:
    """Returns a tensor ``[clip, tag]``."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, torch.Tensor) or value.ndim != 2 or value.is_complex() or not value.numel():
        shape = list(value.shape) if hasattr(value, "shape") else type(value).__name__
        raise UserError(f"'{place}' is {shape} where numbers [clip, tag] are expected; save one row a clip.")
    return value.detach()


def _texts(value: Any, place: str) -> list[str]:
    """Returns names from an array of texts or, as HDF5 keeps them, bytes."""
    array = np.asarray(value)
    if array.ndim != 1:
        raise UserError(f"'{place}' has the shape {list(array.shape)} where a row of names is expected.")
    try:
        return [item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist()]
    except UnicodeDecodeError as error:
        raise UserError(f"'{place}' holds names that are not UTF-8; save them in UTF-8.") from error
