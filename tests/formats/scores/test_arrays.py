"""Frame-level scores in files of arrays, one a clip or one of all clips: what tells their times, and what is refused."""

from __future__ import annotations

import io
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_scores
from rl_postproc.utils.errors import DataWarning, UserError

CLASSES = ["Cat", "Dog", "Speech"]
RNG = np.random.default_rng(0)
CUBE = RNG.uniform(size=(2, 5, 3)).astype(np.float32)
SUFFIXES = [".npz", ".pt", ".h5"]


def save(path: Path, **arrays: Any) -> Path:
    """Writes arrays and lists of texts as their own libraries do."""
    if path.suffix == ".npz":
        np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
    elif path.suffix == ".pt":
        torch.save({n: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for n, v in arrays.items()}, path)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, value in arrays.items():
                file[name] = value
    return path


@st.composite
def score_sets(draw: st.DrawFn) -> ScoreSet:
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    cells = int(np.prod(shape))
    scores = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=cells, max_size=cells))).reshape(shape)
    rows = draw(st.sampled_from([1, shape[0]]))
    steps = draw(st.lists(st.floats(0.001, 1), min_size=rows * (shape[2] + 1), max_size=rows * (shape[2] + 1)))
    edges = torch.tensor(steps, dtype=torch.float64).reshape(rows, -1).cumsum(1)
    n_frames = torch.tensor(draw(st.lists(st.integers(1, shape[2]), min_size=shape[0], max_size=shape[0])))
    n_frames[0] = shape[2]
    names = [f"c{i}" for i in range(shape[0])], [f"k{i}" for i in range(shape[1])]
    return ScoreSet.build(scores, edges, *names, n_frames)


def assert_same(found: ScoreSet, scores: ScoreSet) -> None:
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    for name in ("scores", "n_frames", "durations"):
        assert torch.equal(getattr(found, name), getattr(scores, name)), name
    for clip, n in enumerate(scores.n_frames.tolist()):
        rows = [one.edges[clip if len(one.edges) > 1 else 0, : n + 1] for one in (found, scores)]
        assert torch.equal(*rows)


@settings(max_examples=60, deadline=None)
@given(score_sets(), st.sampled_from(["arrays", "npy"]), st.sampled_from(SUFFIXES))
def test_written_arrays_are_read_back(scores: ScoreSet, format: str, suffix: str) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    with tempfile.TemporaryDirectory() as folder:
        path, options = Path(folder, f"s{suffix}"), {}
        if format == "npy":
            path, options = Path(folder, "s"), {"suffix": suffix}
        write_scores(scores, path, format, **options)
        found = read_scores(path)
    assert found.origin.format == format
    assert_same(found, scores)


def test_lengths_and_names_of_clips_are_kept_in_one_file(tmp_path: Path) -> None:
    lengths = torch.tensor([0.95, 0.8], dtype=torch.float64)
    ids, edges = ["a.wav", "b/c.wav"], even_edges(0.2, 5)
    classes = ["Cat", "Hündin, läufig", "犬"]
    scores = ScoreSet.build(torch.from_numpy(CUBE).movedim(1, 2), edges, ids, classes, durations=lengths)
    for suffix in SUFFIXES if find_spec("h5py") else SUFFIXES[:2]:
        write_scores(scores, tmp_path / f"s{suffix}", "arrays")
        assert_same(read_scores(tmp_path / f"s{suffix}"), scores)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_peers_read_what_is_written(tmp_path: Path, suffix: str) -> None:
    scores = ScoreSet.build(torch.from_numpy(CUBE).movedim(1, 2), even_edges(0.2, 5), ["a", "b"], CLASSES)
    if suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        write_scores(scores, tmp_path / "s.h5", "arrays")
        with h5py.File(tmp_path / "s.h5") as file:
            found = {name: file[name].asstr()[:] if name in ("clip_ids", "classes") else file[name][:] for name in file}
    else:
        write_scores(scores, tmp_path / f"s{suffix}", "arrays")
        load = np.load if suffix == ".npz" else torch.load
        found = load(tmp_path / f"s{suffix}")
    assert np.array_equal(np.asarray(found["scores"]), CUBE)
    assert list(found["clip_ids"]) == ["a", "b"] and list(found["classes"]) == CLASSES
    assert np.asarray(found["edges"]).tolist() == even_edges(0.2, 5).tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_array_a_clip_in_one_file_is_told_by_their_equal_columns(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"s{suffix}", **{"a": CUBE[0], "b_1.0": CUBE[1, :2]})
    found = read_scores(path, hop=0.2, classes=CLASSES)
    assert (found.clip_ids, found.n_frames.tolist()) == (("a", "b_1.0"), [5, 2])
    assert np.array_equal(found.scores[1, :, :2].T.numpy(), CUBE[1, :2])
    one = save(tmp_path / f"one{suffix}", a=CUBE[0], hop=np.array(0.2))
    assert np.array_equal(read_scores(one, classes=CLASSES).scores[0].T.numpy(), CUBE[0])


def test_the_order_of_axes_is_told_by_the_number_of_classes(tmp_path: Path) -> None:
    for axes in ((0, 1, 2), (0, 2, 1)):
        path = save(tmp_path / "s.npz", scores=CUBE.transpose(axes), classes=CLASSES, hop=0.1)
        assert np.array_equal(read_scores(path).scores.numpy(), CUBE.transpose(0, 2, 1))
    path = save(tmp_path / "s.npz", scores=CUBE[:, :3], classes=CLASSES, hop=0.1)
    with pytest.raises(UserError, match=r"\[2, 3, 3\] of 3 classes, which does not tell .*axes='clip frame class'"):
        read_scores(path)
    first = read_scores(path, axes="clip frame class").scores
    assert torch.equal(first, read_scores(path, axes="clip class frame").scores.movedim(1, 2))
    with pytest.raises(UserError, match=r"is \[2, 5, 3\], not clip class frame of 3 classes"):
        read_scores(save(tmp_path / "s.npz", scores=CUBE, classes=CLASSES, hop=0.1), axes="clip class frame")


EDGES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
TIMES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "hop": ({"frame_hop": 0.2}, EDGES.tolist()),
    "edges": ({"edges": EDGES + 0.1}, [0.1, 0.3, 0.5, 0.7, 0.9, 1.1]),
    "even centres": ({"centers": (EDGES[:-1] + 0.1).astype(np.float32)}, EDGES.tolist()),
    "centres from 0": ({"centres": EDGES[:-1]}, [0.0, 0.1, 0.3, 0.5, 0.7, 0.9]),
    "uneven centres": ({"time": np.array([0.2, 0.3, 0.5, 0.9, 1.0])}, [0.15, 0.25, 0.4, 0.7, 0.95, 1.05]),
    "times as edges": ({"timestamps": EDGES}, EDGES.tolist()),
    "times as centres": ({"timestamps": EDGES[:-1] + 0.1}, EDGES.tolist()),
    "a row a clip": ({"edges": np.stack([EDGES, EDGES])}, EDGES.tolist()),
}  # fmt: skip


@pytest.mark.parametrize("case", TIMES)
@pytest.mark.parametrize("way", ["all", "each"])
@pytest.mark.filterwarnings("ignore::rl_postproc.utils.errors.DataWarning")
def test_times_are_told_by_the_file(tmp_path: Path, case: str, way: str) -> None:
    times, expected = TIMES[case]
    if way == "all":
        found = read_scores(save(tmp_path / "s.npz", scores=CUBE, classes=CLASSES, **times))
    else:
        each = {name: value[0] if np.ndim(value) == 2 else value for name, value in times.items()}
        for i, clip in enumerate("ab"):
            save(tmp_path / f"{clip}.npz", scores=CUBE[i], **each)
        found = read_scores(tmp_path, classes=CLASSES)
    assert found.edges.shape == (1, 6)
    assert found.edges[0].tolist() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("option", ["edges", "centres"])
@pytest.mark.parametrize("suffix", [".txt", ".npy"])
@pytest.mark.filterwarnings("ignore::rl_postproc.utils.errors.DataWarning")
def test_times_are_told_by_a_file_beside(tmp_path: Path, option: str, suffix: str) -> None:
    values, file = EDGES if option == "edges" else EDGES[:-1] + 0.1, tmp_path / f"times{suffix}"
    np.savetxt(file, values) if suffix == ".txt" else np.save(file, values)
    (tmp_path / "s").mkdir()
    np.save(tmp_path / "s" / "a.npy", CUBE[0])
    np.save(tmp_path / "s.npy", CUBE)
    for path in ("s", "s.npy"):
        found = read_scores(tmp_path / path, classes=CLASSES, **{option: str(file)})
        assert found.edges[0].tolist() == pytest.approx(EDGES.tolist())


def test_guessed_edges_are_said(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz", scores=CUBE, classes=CLASSES, centres=EDGES[:-1] + 0.1)
    with pytest.warns(DataWarning, match=r"s\.npz: centres' tells the centres of frames, .* from 0 s to 0\.2 s"):
        read_scores(path)


def test_clips_of_a_folder_may_have_edges_of_their_own(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", mine=CUBE[0], edges=EDGES, other=CUBE)
    save(tmp_path / "b.npz", mine=CUBE[1, :2], edges=EDGES[:3] + 0.05)
    found = read_scores(tmp_path, classes=CLASSES, array="mine")
    assert found.edges.shape == (2, 6) and found.edges[1, :3].tolist() == pytest.approx([0.05, 0.25, 0.45])
    assert read_scores(tmp_path, classes=CLASSES).scores.shape == (2, 3, 5)


ONE = {"scores": CUBE, "classes": CLASSES}
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no times": (ONE, {}, "do not tell their frame length; give it as hop"),
    "no classes": ({"scores": CUBE, "hop": 0.1}, {}, "do not name their classes"),
    "twice": (ONE, {"hop": 0.1, "edges": "x"}, "told twice"),
    "another hop": ({**ONE, "edges": EDGES}, {"hop": 0.1}, r"tells frames of 0\.2 s, not of the given hop of 0\.1 s"),
    "no such file": (ONE, {"edges": "x"}, "'x' is neither a file nor an array in"),
    "too few edges": ({**ONE, "edges": EDGES[:5]}, {}, r"has the shape \[5\] where 6 edges of frames are expected"),
    "too few rows": ({**ONE, "edges": EDGES[None]}, {}, r"\[1, 6\] where .* or a row of them for each of 2 clips"),
    "back in time": ({**ONE, "edges": EDGES[::-1].copy()}, {}, "not finite or do not increase"),
    "no number": ({**ONE, "edges": EDGES * np.nan}, {}, "not finite or do not increase"),
    "text": ({**ONE, "hop": ["x"]}, {}, "hop' holds no numbers"),
    "many hops": ({**ONE, "hop": EDGES}, {}, "holds 6 numbers where one hop"),
    "no hop": ({**ONE, "hop": -1.0}, {}, "The hop -1.0 is not a positive"),
    "classes": ({**ONE, "classes": ["Cat"], "hop": 0.1}, {}, r"is \[2, 5, 3\] where 1 classes are named"),
    "another class": ({**ONE, "hop": 0.1}, {"classes": ["Cow"]}, "class 'Cow' is not among those of"),
    "clips": ({**ONE, "hop": 0.1, "clip_ids": ["a"]}, {}, r"names 1 clips for an array \[2, 5, 3\]"),
    "frames": ({**ONE, "hop": 0.1, "n_frames": np.array([6, 1])}, {}, "not whole numbers from 1 to 5"),
    "lengths": ({**ONE, "hop": 0.1, "n_frames": np.array([5])}, {}, r"n_frames' is \[1\] where 2 numbers"),
    "no durations": ({**ONE, "hop": 0.1, "durations": np.array([1.0, np.nan])}, {}, "not a positive number of seconds"),
    "empty": ({"scores": CUBE[:, :0], "classes": CLASSES, "hop": 0.1}, {}, r"is \[2, 0, 3\] where"),
    "unnamed": ({"x": CUBE, "y": CUBE, "classes": CLASSES, "hop": 0.1}, {}, "arrays 'x' and 'y' of frames of all clips"),
    "no such array": ({**ONE, "hop": 0.1}, {"array": "score"}, "no array 'score'; did you mean 'scores'"),
    "logits": ({**ONE, "scores": CUBE * 9, "hop": 0.1}, {}, r"not a probability in \[0, 1\]"),
    "not a number": ({**ONE, "scores": CUBE * np.nan, "hop": 0.1}, {}, r"not a probability in \[0, 1\]"),
    "columns": ({"a": CUBE[0], "b": CUBE[1, :, :2], "hop": 0.1}, {"classes": CLASSES}, r"b' has the shape \[5, 2\]"),
    "no frame": ({"a": CUBE[0], "b": CUBE[1, :0], "hop": 0.1}, {"classes": CLASSES}, r"b' has the shape \[0, 3\]"),
    "integers": ({"scores": np.zeros((2, 5, 3), int), "hop": 0.1}, {"classes": CLASSES}, "holds no floating-point array"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_clear_is_refused(tmp_path: Path, case: str) -> None:
    arrays, options, message = REFUSED[case]
    path = save(tmp_path / "s.npz", **arrays)
    with pytest.raises(UserError, match=message):
        read_scores(path, format="arrays", **options)


def test_names_of_files_to_write_say_their_kind(tmp_path: Path) -> None:
    scores = ScoreSet.build(torch.from_numpy(CUBE).movedim(1, 2), even_edges(0.2, 5), ["a", "b"], CLASSES)
    for format in ("arrays", "tags"):
        with pytest.raises(UserError, match=r"end it with \.npz, \.pt or \.h5"):
            write_scores(scores, tmp_path / "s.npy", format)
    with pytest.raises(UserError, match="up to 5 frames, but the format tags holds one"):
        write_scores(scores, tmp_path / "s.npz", "tags")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_written_tags_are_read_back(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / "made.npz", scores=CUBE[0], target=CUBE[0] > 0.5, clip_ids=list("abcde"), classes=CLASSES)
    tags = read_scores(tmp_path / "made.npz")
    if suffix == ".h5":
        pytest.importorskip("h5py")
    write_scores(tags, tmp_path / f"s{suffix}", "tags")
    found = read_scores(tmp_path / f"s{suffix}")
    assert_same(found, tags)
    assert found.require_references().to_rows() == tags.require_references().to_rows()


def trapped(path: Path, sprung: Path) -> Path:
    """Writes a file whose unpickling would make another."""

    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (sprung,)

    if path.suffix == ".pt":
        torch.save({"scores": Trap(), "edges": torch.zeros(3)}, path)
    elif path.suffix == ".npz":
        np.savez(path, scores=CUBE, edges=np.array([Trap()], dtype=object), allow_pickle=True)
    else:
        np.save(path, np.array([[[Trap()]]], dtype=object), allow_pickle=True)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
@pytest.mark.parametrize("format", ["arrays", "npy", "tags"])
def test_nothing_is_unpickled(tmp_path: Path, suffix: str, format: str) -> None:
    (tmp_path / "s").mkdir()
    path = trapped(tmp_path / "s" / f"a{suffix}", tmp_path / "sprung")
    with pytest.raises(UserError, match=r"never loaded|where (floating-point probabilities|numbers)"):
        hop = None if format == "tags" else 0.2
        read_scores(path if format != "npy" else path.parent, format=format, classes=CLASSES, hop=hop)
    assert not (tmp_path / "sprung").exists()


def test_hdf5_is_not_followed_into_other_files(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    save(tmp_path / "other.h5", scores=CUBE)
    (tmp_path / "raw").write_bytes(CUBE.tobytes())
    for name in ("linked", "soft", "raw", "virtual"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["edges"] = EDGES
            if name == "linked":
                file["scores"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "scores")
            elif name == "soft":
                file["scores"] = h5py.SoftLink("/nowhere")
            elif name == "raw":
                file.create_dataset("scores", CUBE.shape, "f4", external=[(str(tmp_path / "raw"), 0, CUBE.nbytes)])
            else:
                layout = h5py.VirtualLayout(CUBE.shape, "f4")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "scores", CUBE.shape)
                file.create_virtual_dataset("scores", layout)
        message = "lies in other files" if name in ("raw", "virtual") else "holds no floating-point array"
        with pytest.raises(UserError, match=message):
            read_scores(tmp_path / f"{name}.h5", format="arrays", classes=CLASSES)


def samples() -> dict[str, bytes]:
    """The bytes of a small file of each kind."""
    files = {}
    scores = ScoreSet.build(torch.from_numpy(CUBE).movedim(1, 2), even_edges(0.2, 5), ["a", "b"], CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES:
            try:
                write_scores(scores, Path(folder, f"s{suffix}"), "arrays")
            except UserError:  # no h5py
                continue
            files[suffix] = Path(folder, f"s{suffix}").read_bytes()
    buffer = io.BytesIO()
    np.save(buffer, CUBE)
    return {**files, ".npy": buffer.getvalue()}


SAMPLES = samples()


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused_with_one_sentence(suffix: str, data: st.DataObject) -> None:
    content = bytearray(SAMPLES[suffix])
    kind = data.draw(st.sampled_from(["cut", "changed", "exchanged", "garbage"]))
    places = st.integers(0, len(content) - 1)
    if kind == "cut":
        del content[data.draw(places) :]
    elif kind == "garbage":
        content = bytearray(data.draw(st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(1, 6)) if kind in ("changed", "exchanged") else 0):
        a, b = data.draw(places), data.draw(places)
        content[a], content[b] = (
            (data.draw(st.integers(0, 255)), content[b]) if kind == "changed" else (content[b], content[a])
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"s{suffix}")
        path.write_bytes(content)
        try:
            found = read_scores(path, classes=CLASSES, **({"hop": 0.2} if suffix == ".npy" else {}))
        except UserError as error:
            assert "\n" not in str(error) and str(error).endswith(".")
        else:
            assert isinstance(found, ScoreSet)
