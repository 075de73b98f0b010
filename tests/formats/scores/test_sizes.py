"""Sizes are known before anything is read: a small file never takes much memory."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_events, read_scores
from rl_postproc.utils import memory
from rl_postproc.utils.errors import UserError

GIB = 1 << 30


def header(shape: tuple[int, ...]) -> bytes:
    """Returns the start of an ``.npy`` file of float32."""
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return text.getvalue()


def member(path: Path, name: str, start: bytes, zeros: int) -> None:
    """Writes an archive with one member of so many compressed zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open(name, "w") as file:
        file.write(start)
        for _ in range(zeros >> 20):
            file.write(bytes(1 << 20))


def torch_archive(path: Path) -> None:
    torch.save(torch.zeros(8, 4), path)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in kept.items():
            with archive.open(name, "w") as file:
                file.write(content)
                for _ in range(600 if name.endswith("data/0") else 0):
                    file.write(bytes(1 << 20))


def hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("scores", (1 << 20, 1 << 10), dtype="f4", chunks=(1 << 10, 1 << 10), compression="gzip")


BOMBS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "compressed zeros": (
        "bomb.npz",
        lambda path: member(path, "scores.npy", header((600, 1 << 18)), 600 << 20),
        r"bomb\.npz: scores' would take 600 MiB, but its file has \d+ KiB, and at most 100 times that is read",
    ),
    "header of an archive": (
        "bomb.npz",
        lambda path: member(path, "scores.npy", header((GIB, 4)), 0),
        r"bomb\.npz: scores' is not a whole array, \[1073741824, 4\] of float32 in \d+ bytes",
    ),
    "header of an array": (
        "bomb.npy", lambda path: path.write_bytes(header((GIB, 4))), r"bomb\.npy' is not a whole array, .* in 128 bytes",
    ),
    "PyTorch": ("bomb.pt", torch_archive, r"bomb\.pt' would take 600 MiB, but its file has"),
    "repeated values": (
        "bomb.pt",
        lambda path: torch.save(torch.zeros(1).expand(1 << 20, 1 << 10), path),
        r"bomb\.pt' would take 4 GiB, but its file has",
    ),
    "HDF5": ("bomb.h5", hdf5, r"bomb\.h5: scores' would take 4 GiB, but its file has"),
}  # fmt: skip


CUBES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "compressed zeros": (
        "bomb.npz",
        lambda path: member(path, "scores.npy", header((600, 1 << 9, 1 << 9)), 600 << 20),
        r"bomb\.npz: scores' would take 600 MiB, but its file has \d+ KiB, and at most 100 times that is read",
    ),
    "header": (
        "bomb.npy",
        lambda path: path.write_bytes(header((GIB, 4, 3))),
        r"bomb\.npy' in single precision would take 96 GiB|is not a whole array",
    ),
    "clips of their own": (
        "bomb.npz",
        lambda path: member(path, "a.npy", header((600 << 8, 1 << 10)), 600 << 20),
        r"bomb\.npz: a' would take 600 MiB, but its file has|clips of 1024 classes, .* would take",
    ),
    "HDF5": ("bomb.h5", lambda path: cube_hdf5(path), r"bomb\.h5: scores' would take 4 GiB, but its file has"),
}  # fmt: skip


def cube_hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("scores", (2, 5, 3), maxshape=(None, None, None), dtype="f4", chunks=(1 << 10, 1 << 10, 1 << 10),
                            compression="gzip")  # fmt: skip


@pytest.mark.parametrize("bomb", CUBES)
def test_a_small_file_of_frames_is_refused_unread(tmp_path: Path, bomb: str) -> None:
    name, make, message = CUBES[bomb]
    make(tmp_path / name)
    classes = [f"class_{i}" for i in range({"compressed zeros": 512, "clips of their own": 1024}.get(bomb, 3))]
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message):
            read_scores(tmp_path / name, format="arrays", hop=0.1, classes=classes, axes="clip frame class")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_that_would_take_much_memory_is_refused_unread(tmp_path: Path, bomb: str) -> None:
    name, make, message = BOMBS[bomb]
    make(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2 << 20
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message):
            read_scores(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_what_is_not_read_may_be_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    member(path, "waveform.npy", header((128, 1 << 18)), 128 << 20)
    with zipfile.ZipFile(path, "a") as archive, archive.open("scores.npy", "w") as file:
        np.lib.format.write_array(file, np.full((2, 3), 0.5, dtype=np.float32))
    tracemalloc.start()
    try:
        assert read_scores(path).scores.shape == (2, 3, 1)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 64 KiB."""
    monkeypatch.setattr(memory, "memory", lambda: 64 * 1024.0)


def tables(folder: Path) -> dict[str, object]:
    rows = "".join(f"{t / 10}\t{(t + 1) / 10}\t0.5\n" for t in range(9000))
    (folder / "a.tsv").write_text("onset\toffset\tCat\n" + rows)
    return {"path": folder}


def arrays(folder: Path) -> dict[str, object]:
    for name, length in (("a", 9000), ("b", 10)):
        np.save(folder / f"{name}.npy", np.full((length, 1), 0.5, dtype=np.float32))
    return {"path": folder, "hop": 0.1, "classes": ["Cat"]}


def tags(folder: Path) -> dict[str, object]:
    np.save(folder / "a.npy", np.full((9000, 1), 0.5, dtype=np.float32))
    return {"path": folder / "a.npy"}


def points(folder: Path) -> dict[str, object]:
    for threshold in (0.3, 0.5):
        (folder / f"th_{threshold}.tsv").write_text("a.wav\t0.1\t0.2\tCat\na.wav\t3000.0\t3000.1\tCat\n")
    return {"path": folder, "hop": 0.1}


@pytest.mark.parametrize("make", [tables, arrays, tags, points])
def test_scores_beyond_half_the_memory_are_refused(
    tmp_path: Path, little_memory: None, make: Callable[[Path], dict]
) -> None:
    with pytest.raises(UserError, match=r"would take [\d.]+ KiB, more than half of the 64 KiB of memory here; \w+"):
        read_scores(**make(tmp_path))


def test_arrays_in_memory_are_bounded_by_the_longest(little_memory: None) -> None:
    arrays = {"a": np.zeros((9000, 1)), "b": np.zeros((1, 1))}
    with pytest.raises(
        UserError, match="2 clips of 1 classes, all as long as the longest with 9000 frames, would take"
    ):
        ScoreSet.from_arrays(arrays, hop=0.1, classes=["Cat"])


def test_texts_beyond_the_memory_and_compressed_ones_are_named(tmp_path: Path, little_memory: None) -> None:
    (tmp_path / "r.tsv").write_text("a.wav\t0\t1\tCat\n" * 4000)
    with pytest.raises(UserError, match=r"r\.tsv' would take .* of memory"):
        read_events(tmp_path / "r.tsv")
    (tmp_path / "r.tsv").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(UserError, match=r"r\.tsv' is not a whole gzip file"):
        read_events(tmp_path / "r.tsv")
    (tmp_path / "r.tsv").write_bytes(gzip.compress(b"a.wav\t0\t1\tCat\n" * 4000))
    with pytest.raises(UserError, match=r"r\.tsv' would take .* of memory"):
        read_events(tmp_path / "r.tsv")
    (tmp_path / "r.tsv").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"r\.tsv' is compressed by zip; unpack it"):
        read_events(tmp_path / "r.tsv")


def test_memory_is_told_in_units() -> None:
    assert memory.memory() > GIB / 4
    assert [memory.shown(n) for n in (12, 2048, 3.7 * GIB, 3 << 40)] == ["12 bytes", "2 KiB", "3.7 GiB", "3 TiB"]
