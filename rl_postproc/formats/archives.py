"""What a file of arrays holds, told from its headers: nothing is read before its size is known and bounded."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import require_memory, shown

ARRAY_SUFFIXES = (".pt", ".pth", ".npy", ".npz", ".h5", ".hdf5")
UNFOLDED = 100
"""How many times the size of its file a compressed array may have."""
FREE_BYTES = 1 << 29
"""Size up to which an array may be compressed by any factor."""


class Stored(NamedTuple):
    """An array in a file.

    Attributes:
        shape: its shape; None for what is no array.
        kind: NumPy's letter for what it holds, such as ``f`` for floating-point numbers.
        read: reads it, as an array or a tensor.
    """

    shape: tuple[int, ...] | None
    kind: str
    read: Callable[[], Any]

    @property
    def holds_numbers(self) -> bool:
        """Whether these are real numbers or truth values."""
        return self.kind in "fiub"


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, Stored] | Stored]:
    """Opens a file of arrays by its suffix; arrays can be read as long as it is open.

    Args:
        path: ``.npy`` or ``.pt`` file of one array, or ``.npz``, HDF5 or ``.pt`` file of arrays by name.

    Raises:
        UserError: the file is missing or damaged, holds Python objects, or an array that is read would take more than
            100 times the size of its file (and 512 MiB), or half the memory.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in (".pt", ".pth"):
            yield _of_torch(path)
        elif suffix == ".npy":
            with path.open("rb") as handle:
                yield _of_npy(path, str(path), handle, path.stat().st_size)
        elif suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                yield dict(_of_npz(path, archive))
        else:
            with _hdf5(path) as content:
                yield content
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error
    except UserError:
        raise
    except Exception as error:  # a damaged or pickled file can raise almost anything
        if "Object arrays" in str(error) or "weights_only" in str(error) or "Unsupported" in str(error):
            raise UserError(f"'{path}' holds Python objects, which are never loaded; save the plain array.") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"'{path}' is not a whole {suffix} file ({reason}); save it again.") from error


def require_size(path: Path, n_bytes: int, what: str) -> None:
    """Refuses what a file unfolds to far more than its own size, or to more than fits into memory.

    Args:
        path: the file.
        n_bytes: what it would take in memory.
        what: what in it, for the message.

    Raises:
        UserError: it would take too much.
    """
    size = path.stat().st_size
    if n_bytes > max(FREE_BYTES, UNFOLDED * size):
        raise UserError(f"'{what}' would take {shown(n_bytes)}, but its file has {shown(size)}, and at most {UNFOLDED} "
                        f"times that is read; save it without compression if it is true.")  # fmt: skip
    require_memory(n_bytes, f"'{what}'", "save fewer clips in a file, or single precision")


def _of_npy(path: Path, place: str, handle: BinaryIO, size: int) -> Stored:
    """Returns the array of an ``.npy`` file, or of a member of an archive, that has ``size`` bytes when unfolded."""
    version = np.lib.format.read_magic(handle)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(handle)

    def read() -> np.ndarray:
        if not dtype.hasobject and dtype.itemsize * math.prod(shape) > size:
            raise UserError(f"'{place}' is not a whole array, {list(shape)} of {dtype} in {size} bytes; save it again.")
        require_size(path, dtype.itemsize * math.prod(shape), place)
        handle.seek(0)
        return np.lib.format.read_array(handle, allow_pickle=False)

    return Stored(shape, dtype.kind, read)


def _of_npz(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, Stored]]:
    for member in archive.infolist():
        if member.filename.endswith(".npy"):
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as handle:
                found = _of_npy(path, f"{path}: {name}", handle, member.file_size)  # type: ignore[arg-type]
            yield name, found._replace(read=_reader(path, name, archive, member))


def _reader(path: Path, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        with archive.open(member) as handle:
            return _of_npy(path, f"{path}: {name}", handle, member.file_size).read()  # type: ignore[arg-type]

    return read


@contextmanager
def _hdf5(path: Path) -> Iterator[dict[str, Stored]]:
    """Opens the arrays at the top of an HDF5 file."""
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"'{path}' needs h5py; run `pip install \"rl-postproc[hdf5]\"`, or use .npz.") from error

    def stored(name: str, item: Any) -> Stored:
        def read() -> np.ndarray:
            if item.external or item.is_virtual:
                raise UserError(f"'{path}: {name}' lies in other files, which are not read; save the plain array.")
            # A chunk is unfolded as a whole, however little of it the array covers.
            elements = max(math.prod(item.shape or ()), math.prod(item.chunks or ()))
            require_size(path, item.dtype.itemsize * elements, f"{path}: {name}")
            return np.asarray(item)

        return Stored(item.shape, item.dtype.kind, read)

    with h5py.File(path, "r") as file:
        # Links may lead into other files, or nowhere.
        own = [str(name) for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)]
        yield {name: stored(name, file[name]) for name in own if isinstance(file[name], h5py.Dataset)}


def _of_torch(path: Path) -> Mapping[str, Stored] | Stored:
    """Returns the tensors of a PyTorch file; it is read whole, but nothing in it is ever unpickled but tensors."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            require_size(path, sum(member.file_size for member in archive.infolist()), str(path))
    content = torch.load(path, map_location="cpu", weights_only=True)

    def stored(value: Any, place: str) -> Stored:
        if not isinstance(value, torch.Tensor):
            return Stored(getattr(value, "shape", None), "O", lambda: value)
        plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        kind = "f" if value.is_floating_point() else "c" if value.is_complex() else "b" if plain else "O"

        def read() -> torch.Tensor:
            # A tensor that repeats its values unfolds when it is worked on.
            require_size(path, value.element_size() * value.numel(), place)
            return value.detach()

        return Stored(tuple(value.shape), kind if plain else "O", read)

    if isinstance(content, Mapping):
        return {str(name): stored(value, f"{path}: {name}") for name, value in content.items()}
    return stored(content, str(path))
