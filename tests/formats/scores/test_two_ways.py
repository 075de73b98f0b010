"""Archives that can be read in several ways are refused with all of them; what is told by shape alone is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from program import Run, assert_one_sentence

from rl_postproc.formats import read_scores
from rl_postproc.utils.errors import DataWarning, UserError

CLIPS, FRAMES, CLASSES = 4, 20, 3
TAGS = np.random.default_rng(0).uniform(size=(CLIPS, CLASSES)).astype(np.float32)
FRAMEWISE = np.random.default_rng(1).uniform(size=(CLIPS, FRAMES, CLASSES)).astype(np.float32)
NAMES = {"clip_ids": np.array(list("abcd")), "classes": np.array(["Cat", "Dog", "Speech"])}
REMEDY = r"read in the format arrays: give --format arrays"


def archive(path: Path, **arrays: Any) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".pt":
        torch.save({name: torch.from_numpy(one) for name, one in arrays.items() if one.dtype.kind != "U"}, path)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, one in arrays.items():
                file[name] = one.astype("S") if one.dtype.kind == "U" else one
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".pt"])
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)])
def test_tags_beside_frame_level_scores_are_refused_until_one_is_named(
    tmp_path: Path, suffix: str, axes: tuple[int, int, int]
) -> None:
    frames = FRAMEWISE.transpose(axes)
    path = archive(tmp_path / f"all{suffix}", framewise_output=frames, clipwise_output=TAGS, **NAMES)
    with pytest.raises(UserError) as error:
        read_scores(path)
    assert (
        f"all{suffix}' can be read in two ways, as tags of whole clips from 'clipwise_output' [4, 3] or frame by frame "
        f"from 'framewise_output' {list(frames.shape)}; say which with the option array, such as "
        "--format-option array=clipwise_output, or the frames with --format arrays."
    ) in str(error.value)
    found = read_scores(path, array="clipwise_output")
    assert np.array_equal(found.scores[:, :, 0].numpy(), TAGS)
    with pytest.raises(UserError, match=rf"framewise_output' is \[4, .*frame-level scores are {REMEDY}"):
        read_scores(path, array="framewise_output")
    named = {} if suffix != ".pt" else {"classes": NAMES["classes"].tolist()}
    found = read_scores(path, format="arrays", hop=0.1, **named)
    assert np.array_equal(found.scores.numpy(), FRAMEWISE.transpose(0, 2, 1))


CASES: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "scores twice": (
        {"scores": TAGS, "predictions": 1 - TAGS},
        r"in two ways, from 'scores' \[4, 3\] or from 'predictions' \[4, 3\]; .* array=scores",
    ),
    "references twice": (
        {"scores": TAGS, "target": TAGS > 0.5, "labels": TAGS > 0.4},
        r"in two ways, from 'target' .* or from 'labels' .*option references_array, .* references_array=target",
    ),
    "no usual name": ({"a": TAGS, "b": TAGS, **NAMES}, "no array called scores.*name the array"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_else_is_not_clear_is_refused(tmp_path: Path, case: str) -> None:
    arrays, message = CASES[case]
    with pytest.raises(UserError, match=message):
        read_scores(archive(tmp_path / "all.npz", **arrays))


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
def test_frames_alone_are_no_tags(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"frames{suffix}"
    torch.save(torch.from_numpy(FRAMEWISE), path) if suffix == ".pt" else np.save(path, FRAMEWISE)
    found = read_scores(path, hop=0.1, classes=["Cat", "Dog", "Speech"])
    assert found.origin.format == "arrays" and found.clip_ids == ("clip_0", "clip_1", "clip_2", "clip_3")
    assert np.array_equal(found.scores.numpy(), FRAMEWISE.transpose(0, 2, 1))
    with pytest.raises(UserError, match=rf"is \[4, 20, 3\] where .*{REMEDY}"):
        read_scores(path, format="tags")


def test_features_of_other_shapes_and_references_in_a_file_of_their_own_are_no_second_way(tmp_path: Path) -> None:
    features = np.zeros((CLIPS, 100, 64), dtype=np.float32)
    path = archive(tmp_path / "s.npz", scores=TAGS, logmel=features, **NAMES)
    truth = archive(tmp_path / "t.npz", target=TAGS > 0.5, clipwise_output=TAGS, framewise_output=FRAMEWISE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_scores(path, references=truth)
    assert np.array_equal(found.require_references().counts().numpy(), TAGS > 0.5)


def test_an_array_told_by_its_shape_is_said(tmp_path: Path) -> None:
    path = archive(tmp_path / "s.npz", mine=TAGS, target=TAGS > 0.5, ids=np.arange(CLIPS))
    with pytest.warns(DataWarning, match=r"probabilities are taken from 'mine' \[4, 3\], the only one"):
        found = read_scores(path)
    assert np.array_equal(found.scores[:, :, 0].numpy(), TAGS)


def test_training_stops_before_any_work(run: Run, tmp_path: Path) -> None:
    archive(tmp_path / "all.npz", framewise_output=FRAMEWISE, clipwise_output=TAGS, **NAMES)
    (tmp_path / "r.tsv").write_text("a\t0.5\t1\tCat\nb\t0\t1\tDog\nc\nd\n")
    options = ["--scores", "all.npz", "--references", "r.tsv", "--agent", "grid_search", "--out", "out"]
    assert_one_sentence(run("train", *options), "can be read in two ways")
    tags = ["--metric", "tagging", "--format-option", "array=clipwise_output"]
    assert not (tmp_path / "out").exists()
    code, _, err = run("train", *options, *tags)
    assert code == 0 and "references of tags each says that its clip has the class" in " ".join(err.split())
