"""Readers of tags: every kind of file gives the same score set, and what cannot be used is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl_postproc.formats import read_scores
from rl_postproc.formats.scores.tag_table import split_labels
from rl_postproc.formats.scores.tags import Tags
from rl_postproc.utils.errors import DataWarning, UserError

SCORES = np.array([[0.25, 0.5, 1.0], [0.0, 0.75, 0.125]], dtype=np.float32)
TRUTH = np.array([[1, 0, 1], [0, 0, 0]], dtype=np.float32)
CLASSES = ["Speech", "Male speech, man speaking", "Dog"]


def write(path: Path, array: np.ndarray) -> Path:
    if path.suffix == ".pt":
        torch.save(torch.from_numpy(array), path)
    elif path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, scores=array)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["clipwise_output"] = array
    return path


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".h5"])
@pytest.mark.parametrize("reference_suffix", [".pt", ".npy", ".npz", ".h5"])
def test_every_kind_of_file_gives_the_same_set(tmp_path, suffix, reference_suffix):
    found = read_scores(
        write(tmp_path / f"scores{suffix}", SCORES),
        references=write(tmp_path / f"truth{reference_suffix}", TRUTH),
        classes=CLASSES,
    )
    assert np.array_equal(found.scores.squeeze(-1).numpy(), SCORES)
    assert np.array_equal(found.require_references().counts().numpy(), TRUTH)
    assert found.classes == tuple(CLASSES)
    assert list(found.clip_ids) == sorted(found.clip_ids)


def test_an_archive_may_hold_names_and_references(tmp_path):
    np.savez(tmp_path / "all.npz", scores=SCORES, target=TRUTH.astype(bool), clip_ids=["b", "a"], classes=CLASSES)
    found = read_scores(tmp_path / "all.npz")
    assert (found.clip_ids, found.classes) == (("b", "a"), tuple(CLASSES))
    assert found.require_references().to_rows()[0][0] == "b"


def test_arrays_of_an_archive_may_be_named(tmp_path):
    np.savez(tmp_path / "all.npz", scores=1 - SCORES, mine=SCORES, target=1 - TRUTH, truth=TRUTH)
    found = read_scores(tmp_path / "all.npz", array="mine", references_array="truth")
    assert np.array_equal(found.scores.squeeze(-1).numpy(), SCORES)
    assert np.array_equal(found.require_references().counts().numpy(), TRUTH)
    write(tmp_path / "s.npy", SCORES)
    found = read_scores(tmp_path / "s.npy", references=tmp_path / "all.npz", references_array="truth")
    assert np.array_equal(found.require_references().counts().numpy(), TRUTH)
    with pytest.raises(UserError, match=r"all\.npz' holds no array 'truht'; did you mean 'truth'"):
        read_scores(tmp_path / "all.npz", references_array="truht")
    with pytest.raises(UserError, match=r"s\.npy' holds one array without a name; leave out the name 'mine'"):
        read_scores(tmp_path / "s.npy", array="mine")


@pytest.mark.parametrize("rows", [
    'a.wav\tDog\nb.wav\t"Male speech, man speaking",Speech\n',
    'b.wav\tMale speech, man speaking,Speech\na.wav\tDog\n',
    'a.wav\tDog\nb.wav\t"""Male speech, man speaking"",Speech"\n',
])  # fmt: skip
def test_a_table_of_labels_is_matched_by_name(tmp_path, rows):
    np.savez(tmp_path / "s.npz", scores=SCORES, clip_ids=["b", "a"], classes=CLASSES)
    (tmp_path / "labels.tsv").write_text("filename\tevent_labels\n" + rows)
    found = read_scores(tmp_path / "s.npz", references=tmp_path / "labels.tsv")
    assert found.clip_ids == ("b.wav", "a.wav")
    assert found.require_references().counts().tolist() == [[1, 1, 0], [0, 0, 1]]


def test_one_label_a_row_is_read_with_empty_clips(tmp_path):
    np.savez(tmp_path / "s.npz", scores=SCORES, clip_ids=["a", "b"], classes=CLASSES)
    header, rows = "filename\tonset\toffset\tevent_label\n", "a\t0\t10\tDog\na\t0\t10\tDog\nb\t\t\t\n"
    (tmp_path / "events.tsv").write_text(header + "a\t0\t10\tMale speech, man speaking\n" + rows)
    found = read_scores(tmp_path / "s.npz", references=tmp_path / "events.tsv")
    assert found.require_references().counts().tolist() == [[0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("header", ["filename\tonset\toffset\tevent_label\n", ""])
def test_events_with_times_are_references_of_tags_only_where_tags_are_asked_for(tmp_path, header):
    np.savez(tmp_path / "s.npz", scores=SCORES, clip_ids=["a", "b"], classes=CLASSES)
    given = {"references": tmp_path / "events.tsv"}
    given["references"].write_text(header + "a\t0\t1\tSpeech\na\t2\t3\tDog\nb\t\t\t\na\t4\t5\tDog\n")
    with pytest.raises(UserError, match=r"events\.tsv', row [23]: .*times .* tags of whole clips; .*--format tags"):
        read_scores(tmp_path / "s.npz", **given)
    for wanted in ({"format": "tags"}, {"array": "scores"}, {"format": Tags()}, {"format": {"format": "tags"}}):
        with pytest.warns(DataWarning, match=r"2 of 4 rows in '.*events\.tsv' hold events with times"):
            found = read_scores(tmp_path / "s.npz", **given, **wanted)
        assert found.require_references().counts().tolist() == [[1, 0, 1], [0, 0, 0]]


def test_unnamed_scores_take_the_names_of_a_table_with_one_row_a_clip(tmp_path):
    write(tmp_path / "s.npy", SCORES)
    (tmp_path / "labels.tsv").write_text("filename\tevent_labels\nx\tDog\ny\t\n")
    found = read_scores(tmp_path / "s.npy", references=tmp_path / "labels.tsv", classes=CLASSES)
    assert found.clip_ids == ("x", "y")
    assert found.require_references().counts().tolist() == [[0, 0, 1], [0, 0, 0]]


@given(
    st.lists(
        st.sampled_from(["Speech", "Dog", "Male speech, man speaking", "Bee, wasp, etc."]), unique=True, max_size=4
    )
)
def test_labels_survive_being_written_quoted_or_bare(labels):
    known = ["Speech", "Dog", "Male speech, man speaking", "Bee, wasp, etc.", "Male speech"]
    assert split_labels(",".join(f'"{label}"' for label in labels), known) == labels
    assert split_labels(",".join(labels), known) == labels


def test_a_pickle_is_never_loaded(tmp_path):
    torch.save({"scores": Path("x")}, tmp_path / "s.pt")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("s.pt", "o.npy"):
        with pytest.raises(UserError, match="Python objects"):
            read_scores(tmp_path / name, format="tags")


@pytest.mark.parametrize(("truth", "said"), [
    (TRUTH[:1], "shape"),
    (TRUTH * 0.5, "row 1, column 1: the reference tag 0.5 is neither 0 nor 1"),
])  # fmt: skip
def test_references_that_do_not_fit_are_refused(tmp_path, truth, said):
    write(tmp_path / "s.npy", SCORES)
    write(tmp_path / "t.npy", truth)
    with pytest.raises(UserError, match=said):
        read_scores(tmp_path / "s.npy", references=tmp_path / "t.npy")


@pytest.mark.parametrize(("table", "said"), [
    ("filename\tevent_labels\na\tDg\nb\t\n", "row 2: the tag 'Dg' is not among the classes; did you mean 'Dog'"),
    ("filename\tevent_labels\na\tDog\na\tSpeech\nb\t\n", "row 3: the clip 'a' occurs twice"),
    ("filename\tevent_labels\na\tDog\n", "missing from the references"),
    ("filename\tevent_labels\na\tDog\nb\t\nc\t\n", "missing from the scores"),
    ("name\tevent_labels\na\tDog\n", "row 1: the header"),
    ("filename\tevent_labels\na\tDog\textra\nb\t\n", "row 2: 3 fields where 2"),
])  # fmt: skip
def test_faults_of_a_table_are_said_with_their_row(tmp_path, table, said):
    np.savez(tmp_path / "s.npz", scores=SCORES, clip_ids=["a", "b"], classes=CLASSES)
    (tmp_path / "t.tsv").write_text(table)
    with pytest.raises(UserError, match=said):
        read_scores(tmp_path / "s.npz", references=tmp_path / "t.tsv")


@pytest.mark.parametrize(("array", "said"), [
    (SCORES * 2, "is not a probability"),
    (SCORES[0], r"where numbers \[clip, tag\] are expected"),
    (SCORES[None], r"where numbers \[clip, tag\] are expected"),
])  # fmt: skip
def test_scores_that_are_no_probabilities_of_tags_are_refused(tmp_path, array, said):
    with pytest.raises(UserError, match=said):
        read_scores(write(tmp_path / "s.npy", array), format="tags")


def test_a_truncated_file_is_named(tmp_path):
    for name in ("s.pt", "s.npz", "s.npy"):
        path = write(tmp_path / name, SCORES)
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(UserError, match=f"{name}' is not a whole"):
            read_scores(path)


def test_hop_and_durations_make_no_sense_for_tags(tmp_path):
    write(tmp_path / "s.npy", SCORES)
    with pytest.raises(UserError, match="leave out durations and hop"):
        read_scores(tmp_path / "s.npy", hop=0.1)
    with pytest.raises(UserError, match="2 classes are named"):
        read_scores(tmp_path / "s.npy", classes=["a", "b"])
