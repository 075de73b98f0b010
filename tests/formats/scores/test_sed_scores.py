"""Score tables of sed_scores_eval: values against other readers, round trips, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_scores
from rl_postproc.utils.errors import UserError

TABLE = "onset\toffset\tCat\tDog\n0.0\t0.5\t0.1\t0.2\n0.5\t1.0\t0.3\t0.4\n"


def make(folder: Path, **tables: str) -> Path:
    """Writes score tables by stem."""
    (folder / "scores").mkdir()
    for stem, text in tables.items():
        (folder / "scores" / f"{stem}.tsv").write_bytes(text.encode())
    return folder / "scores"


@pytest.fixture(scope="module")
def sample(data_root: Path) -> Path:
    return data_root / "dcase2023_task4a_baseline2"


def test_real_tables_hold_the_values_that_numpy_reads(sample: Path) -> None:
    tables: dict[str, Any] = {"references": sample / "ground_truth.tsv", "durations": sample / "audio_durations.tsv"}
    found = read_scores(sample / "scores", **tables, subset=True)
    assert found.scores.shape == (20, 10, 156)
    assert found.edges.shape == (1, 157)
    assert "_d59k0a0.wav" in found.clip_ids
    for i, clip in enumerate(found.clip_ids):
        file = sample / "scores" / f"{clip.removesuffix('.wav')}.tsv"
        table = np.genfromtxt(file, delimiter="\t", names=True, deletechars="")
        for j, name in enumerate(found.classes):
            assert np.array_equal(found.scores[i, j].numpy(), table[name].astype(np.float32))
        assert np.array_equal(found.edges[0, :-1].numpy(), table["onset"])
        assert found.edges[0, -1] == table["offset"][-1]
    assert found.durations.tolist() == [10.0] * 20
    assert set(found.require_references().clip.tolist()) == set(range(20))


def test_real_tables_hold_the_values_that_sed_scores_eval_reads(sample: Path) -> None:
    reader = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed").io
    expected = reader.read_sed_scores(sample / "scores")
    found = read_scores(sample / "scores")
    assert found.clip_ids == tuple(sorted(expected))
    for i, clip in enumerate(found.clip_ids):
        assert list(found.classes) == list(expected[clip].columns[2:])
        assert np.array_equal(found.scores[i].T.numpy(), expected[clip].iloc[:, 2:].to_numpy(np.float32))


def test_written_tables_are_what_sed_scores_eval_reads(tmp_path: Path) -> None:
    reader = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed").io
    scores = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0))
    edges = torch.arange(6, dtype=torch.float64) * 0.1
    write_scores(ScoreSet.build(scores, edges, ["a.wav", "b.c.wav"], ["Bell, alarm", "Cat", "Dog"]), tmp_path)
    expected = reader.read_sed_scores(tmp_path)
    assert sorted(expected) == ["a", "b.c"]
    assert list(expected["a"].columns) == ["onset", "offset", "Bell, alarm", "Cat", "Dog"]
    assert np.array_equal(expected["b.c"].iloc[:, 2:].to_numpy(np.float32), scores[1].T.numpy())


def test_what_sed_scores_eval_writes_is_read_and_its_lazy_loader_reads_ours(tmp_path: Path) -> None:
    peer = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed")
    values, edges = np.random.default_rng(0).uniform(size=(5, 2)), np.array([0.0, 0.064, 0.128, 0.2, 0.25, 0.3])
    frame = peer.base_modules.scores.create_score_dataframe(values, edges, ["Bell, alarm", "Cat"])
    peer.io.write_sed_scores({"a": frame, "b.c": frame[:3]}, tmp_path / "theirs")
    found = read_scores(tmp_path / "theirs")
    assert (found.clip_ids, found.n_frames.tolist()) == (("a", "b.c"), [5, 3])
    assert np.array_equal(found.scores[0].T.numpy(), values.astype(np.float32)) and found.edges.tolist() == [
        edges.tolist()
    ]
    write_scores(found, tmp_path / "ours")
    lazy = peer.io.lazy_sed_scores_loader(tmp_path / "ours")
    assert sorted(lazy.keys()) == ["a", "b.c"]
    assert lazy["b.c"].iloc[:, 2:].to_numpy(np.float32) == pytest.approx(values[:3].astype(np.float32))


@st.composite
def score_sets(draw: st.DrawFn) -> ScoreSet:
    n_clips, n_classes, width = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    cells = n_clips * n_classes * width
    scores = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=cells, max_size=cells)))
    shared = draw(st.booleans())
    rows = 1 if shared else n_clips
    steps = draw(st.lists(st.floats(0.001, 1), min_size=rows * (width + 1), max_size=rows * (width + 1)))
    n_frames = torch.tensor(draw(st.lists(st.integers(1, width), min_size=n_clips, max_size=n_clips)))
    stems = draw(st.permutations(["a", "b.c", "_d", "Y_1.0_2.0"]))[:n_clips]
    clip_ids = [stem + draw(st.sampled_from(["", ".wav"])) for stem in stems]
    classes = [f"k{j}" for j in range(n_classes)]
    edges = torch.tensor(steps, dtype=torch.float64).reshape(rows, -1).cumsum(1)
    return ScoreSet.build(scores.reshape(n_clips, n_classes, width), edges, clip_ids, classes, n_frames)


@settings(max_examples=100, deadline=None)
@given(score_sets())
def test_written_tables_read_back_bit_for_bit(original: ScoreSet) -> None:
    with tempfile.TemporaryDirectory() as name:
        write_scores(original, name)
        found = read_scores(name)
    order = sorted(range(original.n_clips), key=lambda i: original.clip_ids[i].removesuffix(".wav"))
    expected = original.select(order)
    assert found.clip_ids == tuple(clip.removesuffix(".wav") for clip in expected.clip_ids)
    assert found.classes == expected.classes
    assert torch.equal(found.n_frames, expected.n_frames)
    assert torch.equal(found.durations, expected.durations)
    assert torch.equal(found.scores, expected.scores[:, :, : found.width])
    for i, n in enumerate(found.n_frames.tolist()):
        row = found.edges[i if len(found.edges) > 1 else 0]
        assert torch.equal(row[: n + 1], expected.edges[i if len(expected.edges) > 1 else 0, : n + 1])
        assert bool((row.diff() > 0).all())


def test_clips_of_different_lengths_share_edges_where_they_agree(tmp_path: Path) -> None:
    found = read_scores(make(tmp_path, a=TABLE, b=TABLE + "1.0\t1.5\t0.5\t0.6\n"))
    assert found.edges.tolist() == [[0.0, 0.5, 1.0, 1.5]]
    assert found.n_frames.tolist() == [2, 3]
    assert found.durations.tolist() == [1.0, 1.5]
    assert found.scores[0, :, 2].tolist() == [0.0, 0.0]


def test_clips_on_different_edges_continue_by_their_own_frame(tmp_path: Path) -> None:
    found = read_scores(make(tmp_path, a="onset\toffset\tCat\tDog\n0.2\t0.6\t0\t1\n", b=TABLE))
    assert found.edges.tolist() == [pytest.approx([0.2, 0.6, 1.0]), [0.0, 0.5, 1.0]]
    assert found.durations.tolist() == [0.6, 1.0]


def test_durations_cut_frames_beyond_the_end(tmp_path: Path) -> None:
    (tmp_path / "durations.tsv").write_text("a.wav\t0.5\n")
    found = read_scores(make(tmp_path, a=TABLE), durations=tmp_path / "durations.tsv")
    assert found.n_frames.tolist() == [1]
    assert found.clip_ids == ("a.wav",)


def test_columns_follow_the_first_file_and_the_given_classes(tmp_path: Path) -> None:
    folder = make(tmp_path, a=TABLE, b="\ufeffOnset\tOffset\tDog\tCat\r\n0\t1\t.9\t.8\r\n\r\n")
    assert read_scores(folder).classes == ("Cat", "Dog")
    assert read_scores(folder).scores[1, :, 0].tolist() == pytest.approx([0.8, 0.9])
    assert read_scores(folder, classes=["Dog"]).scores[:, :, 0].tolist() == [pytest.approx([0.2]), pytest.approx([0.9])]
    with pytest.raises(UserError, match="class 'Cow' is not among those of the scores in"):
        read_scores(folder, classes=["Cow"])


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    folder = make(tmp_path, a=TABLE)
    (folder / "._a.tsv").write_bytes(b"\x00\x05\x16\x07")
    assert read_scores(folder).clip_ids == ("a",)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("", "row 1: the file is empty"),
        ("filename\tonset\toffset\tevent_label\n", "row 1: the header must be onset, offset and the classes"),
        ("onset\toffset\n0\t1\n", "row 1: the header must be onset, offset and the classes"),
        ("onset\toffset\tCat\tCat\n", "row 1: the class 'Cat' stands in two columns"),
        ("onset\toffset\tCat\tCow\n0\t1\t0\t0\n", "row 1: the class 'Cow' is not in the first file"),
        ("onset\toffset\tCat\n0\t1\t0\n", "row 1: the class 'Dog' of the first file is missing"),
        ("onset\toffset\tCat\tDog\n", "row 2: there is no frame"),
        (TABLE + "1.0\t1.5\t0.5\n", "row 4: 3 columns where the header has 4"),
        (TABLE + "1.0\t1.5\t0.5\t0.1\t0.1\n", "row 4: 5 columns where the header has 4"),
        (TABLE + "\n1.0\t1.5\thigh\t0.1\n", "row 5: 'high' in the column 'Cat' is not a number"),
        (TABLE + "1.0\t1.5\t0.5\t\n", "row 4: '' in the column 'Dog' is not a number"),
        (TABLE + "1.0\t1.5\t0.5\t1_0\n", "row 4: '1_0' in the column 'Dog' is not a number"),
        (TABLE + "1.0\t1.5\t0.5\t1.5\n", "row 4: the score 1.5 of the class 'Dog'"),
        (TABLE + "1.0\t1.5\tnan\t0.5\n", "row 4: the score nan of the class 'Cat'"),
        (TABLE + "1.0\t1.5\t-1e-3\t0.5\n", "row 4: the score -0.001 of the class 'Cat'"),
        (TABLE + "1.1\t1.5\t0.5\t0.5\n", "row 4: the frame begins at 1.1 s where the one before ends at 1.0 s"),
        (TABLE + "0.9\t1.5\t0.5\t0.5\n", "row 4: the frame begins at 0.9 s where the one before ends at 1.0 s"),
        (TABLE + "1.0\t1.0\t0.5\t0.5\n", "row 4: the frame from 1.0 to 1.0 s is not a stretch"),
        (TABLE + "1.0\tinf\t0.5\t0.5\n", "row 4: the frame from 1.0 to inf s is not a stretch"),
        (TABLE + "nan\t2.0\t0.5\t0.5\n", "row 4: the frame from nan to 2.0 s is not a stretch"),
        ("onset\toffset\tCat\tDog\n-0.1\t0.5\t0\t0\n", "row 2: the frame from -0.1 to 0.5 s is not a stretch"),
        (TABLE + "1.0\t1.0000005\t0\t0\n1.0\t2.0\t0\t0\n", "row 5: the frame begins at 1.0 s"),
        ("onset\toffset\tCat\tDog\n0.5\t1\t0\t0\n0\t0.5\t0\t0\n", "row 3: the frame begins at 0.0 s"),
    ],
)  # fmt: skip
def test_bad_table_is_refused_with_its_place(tmp_path: Path, bad: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_scores(make(tmp_path, a=TABLE, b=bad), format="sed_scores")
    assert f"b.tsv', {message}" in str(error.value)


def test_frame_that_is_a_microsecond_off_its_neighbour_is_read(tmp_path: Path) -> None:
    found = read_scores(make(tmp_path, a=TABLE + "1.0000005\t1.5\t0.5\t0.5\n"))
    assert found.n_frames.tolist() == [3]


def test_hop_is_refused_because_the_files_hold_the_edges(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave out the hop"):
        read_scores(make(tmp_path, a=TABLE), hop=0.5)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (["a.wav", "a.flac"], "would both be written to 'a.tsv'"),
        (["x/a.wav"], "cannot name a file"),
        ([".a"], "cannot name a file"),
    ],
)
def test_clips_that_cannot_name_files_are_refused_before_anything_is_written(
    tmp_path: Path, clips: list[str], message: str
) -> None:
    broken = ScoreSet.build(torch.zeros(len(clips), 1, 1), torch.tensor([0.0, 1.0]), clips, ["Cat"])
    with pytest.raises(UserError, match=message):
        write_scores(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()
