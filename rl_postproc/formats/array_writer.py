"""Writing files of arrays by name: ``.npz``, HDF5 and PyTorch files, and ``.npy`` files of one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import whole_file

ARCHIVE_SUFFIXES = (".npz", ".pt", ".pth", ".h5", ".hdf5")
"""Ends of the names of files that hold several arrays."""


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray | Sequence[str]]) -> None:
    """Writes arrays and rows of texts by name, whole or not at all.

    Args:
        path: file to write; its suffix tells the kind. An ``.npy`` file holds the first array alone.
        arrays: numbers, or texts.

    Raises:
        UserError: HDF5 is wanted without h5py, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    h5py = _h5py(path) if suffix in (".h5", ".hdf5") else None
    with whole_file(path) as temporary:
        if suffix == ".npy":
            np.save(temporary, np.asarray(next(iter(arrays.values()))), allow_pickle=False)
        elif suffix == ".npz":
            np.savez(temporary, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
        elif h5py is not None:
            with h5py.File(temporary, "w") as file:
                for name, value in arrays.items():
                    if isinstance(value, np.ndarray):
                        file[name] = value
                        continue
                    # Of fixed length: texts of any length lie in a heap, which hangs HDF5 when it is damaged.
                    texts = [text.encode() for text in value]
                    file[name] = np.array(texts, dtype=h5py.string_dtype(length=max(1, *map(len, texts))))
        else:
            tensors = {n: torch.from_numpy(v) if isinstance(v, np.ndarray) else list(v) for n, v in arrays.items()}
            torch.save(tensors, temporary)


def require_archive(path: Path) -> None:
    """Refuses a file to write whose suffix is of no kind that holds several arrays.

    Raises:
        UserError: it is of none.
    """
    if path.suffix.lower() not in ARCHIVE_SUFFIXES:
        raise UserError(f"'{path}' is no name of a file of arrays; end it with .npz, .pt or .h5.")


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"'{path}' needs h5py; run `pip install \"rl-postproc[hdf5]\"`, or use .npz.") from error
    return h5py
