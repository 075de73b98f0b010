"""Folders of NumPy arrays with references in one file a clip."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from rl_postproc.formats import read_scores
from rl_postproc.utils.errors import UserError

CLASSES = ["Cat", "Dog", "Speech"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three arrays of different length and type."""
    rng = np.random.default_rng(0)
    (tmp_path / "scores").mkdir()
    for name, n_frames, kind in (("a", 4, "<f4"), ("b_1.0_2.0", 7, ">f8"), ("_c", 1, "<f2")):
        np.save(tmp_path / "scores" / f"{name}.npy", rng.random((n_frames, 3)).astype(kind))
    return tmp_path / "scores"


def test_arrays_are_read_frame_by_class(folder: Path) -> None:
    found = read_scores(folder, hop=0.02, classes=CLASSES)
    assert found.clip_ids == ("_c", "a", "b_1.0_2.0")
    assert found.n_frames.tolist() == [1, 4, 7]
    assert found.edges.tolist() == [[0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14]]
    for i, clip in enumerate(found.clip_ids):
        expected = np.load(folder / f"{clip}.npy").astype(np.float32)
        assert np.array_equal(found.scores[i, :, : len(expected)].T.numpy(), expected)
        assert not found.scores[i, :, len(expected) :].any()


@pytest.mark.parametrize("suffix", [".txt", ".ann"])
def test_references_in_one_file_a_clip(folder: Path, suffix: str) -> None:
    (folder / f"a{suffix}").write_text("0.000\t0.050\tSpeech\n0.02\t0.04\tCat\n")
    (folder / f"b_1.0_2.0{suffix}").write_text("")
    (folder / f"_c{suffix}").write_text("0\t0.5\tDog\r\n")
    (folder / "classes.txt").write_text("Cat\nDog\n\nSpeech\n")
    found = read_scores(folder, hop=0.02, references=folder)
    assert found.classes == tuple(CLASSES)
    expected = [("_c", 0.0, 0.5, "Dog"), ("a", 0.02, 0.04, "Cat"), ("a", 0.0, 0.05, "Speech")]
    assert found.require_references().to_rows() == expected


def test_references_in_one_table_name_the_clips(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "references.txt"
    table.write_text("a.wav\t0\t0.05\tSpeech\nb_1.0_2.0.wav\n_c.FLAC\n")
    (tmp_path / "classes").write_text("\ufeffCat\r\nDog\r\nSpeech\r\n")
    found = read_scores(folder, hop=0.02, classes=tmp_path / "classes", references=table)
    assert found.clip_ids == ("_c.FLAC", "a.wav", "b_1.0_2.0.wav")
    assert found.classes == tuple(CLASSES)


def test_bad_reference_file_of_one_clip_is_named(folder: Path) -> None:
    for name in ("a", "b_1.0_2.0", "_c"):
        (folder / f"{name}.txt").write_text("0\t1\tDog\n")
    (folder / "b_1.0_2.0.txt").write_text("0\t1\tDog\n0\t1\tDig\n")
    with pytest.raises(UserError, match=r"b_1\.0_2\.0\.txt', row 2: the class 'Dig' .* did you mean 'Dog'"):
        read_scores(folder, hop=0.02, classes=CLASSES, references=folder)
    (folder / "a.txt").write_text("0\t1\tDog\n\n3\t1\tDog\n")
    with pytest.raises(UserError, match=r"a\.txt', row 3: the onset 3.0 lies after"):
        read_scores(folder, hop=0.02, classes=CLASSES, references=folder)


def test_hop_and_classes_are_needed(folder: Path) -> None:
    with pytest.raises(UserError, match="give it as hop"):
        read_scores(folder, classes=CLASSES)
    with pytest.raises(UserError, match="do not name their classes"):
        read_scores(folder, hop=0.02)
    with pytest.raises(UserError, match=r"The hop -1 is not a positive"):
        read_scores(folder, hop=-1, classes=CLASSES)


def saved(array: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, np.zeros((2, 3)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a whole .npy file"),
        (b"onset\toffset\n", "is not a whole .npy file"),
        (saved(np.zeros((50, 3)))[:-5], "is not a whole .npy file"),
        (saved(np.zeros((50, 3)))[:40], "is not a whole .npy file"),
        (saved(np.zeros((5, 3))).replace(b"(5, 3)", b"(5; 3)"), "is not a whole .npy file"),
        (zipped(), "is not a whole .npy file"),
        (saved(np.array([["a", None]], dtype=object), allow_pickle=True), "holds Python objects"),
        (saved(np.zeros((5, 3), dtype=int)), "holds int64 values of shape [5, 3]"),
        (saved(np.zeros((5, 3), dtype=bool)), "holds bool values"),
        (saved(np.zeros((5, 3), dtype=complex)), "holds complex128 values"),
        (saved(np.zeros(3)), "holds float64 values of shape [3]"),
        (saved(np.zeros((1, 5, 3))), "holds float64 values of shape [1, 5, 3]"),
        (saved(np.zeros((3, 5))), "has the shape [3, 5] where [frame, 3] is expected"),
        (saved(np.zeros((0, 3))), "has the shape [0, 3]"),
        (saved(np.array([[0, 0, 0], [0, np.nan, 0.5]])), "row 2: the score nan of the class 'Dog'"),
        (saved(np.array([[0, 0, -3.5]])), "row 1: the score -3.5 of the class 'Speech'"),
    ],
)  # fmt: skip
def test_bad_array_is_refused_with_its_name(folder: Path, content: bytes, message: str) -> None:
    (folder / "b_1.0_2.0.npy").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_scores(folder, hop=0.02, classes=CLASSES)
    assert "b_1.0_2.0.npy'" in str(error.value)
    assert message in str(error.value)


def test_pickle_inside_an_array_is_never_run(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    for name, array in (("a", np.array([[Trap()] * 3], dtype=object)), ("_c", np.zeros((1, 3)))):
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
    with pytest.raises(UserError, match="never loaded"):
        read_scores(folder, format="npy", hop=0.02, classes=CLASSES)
    assert not (tmp_path / "sprung").exists()
    np.load(folder / "a.npy", allow_pickle=True)
    assert (tmp_path / "sprung").exists(), "the trap does not work, so the test shows nothing"
