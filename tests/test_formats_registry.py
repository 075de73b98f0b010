"""Telling formats apart, and matching the clips of scores, references and durations."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_postproc.errors import UserError
from rl_postproc.formats import FORMATS, read_scores
from rl_postproc.formats.clips import match_names, without_audio_suffix
from rl_postproc.formats.folder import read_classes
from rl_postproc.formats.shards import write_shards
from rl_postproc.scores import ScoreSet

TABLE = "onset\toffset\tCat\tDog\n0.0\t0.5\t0.1\t0.2\n0.5\t1.0\t0.3\t0.4\n"
POINT = "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.0\tCat\n"


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """One small folder of each format."""
    folders = {name: tmp_path / name for name in FORMATS}
    for folder in folders.values():
        folder.mkdir()
    (folders["operating_points"] / "th_0.25.tsv").write_text(POINT)
    (folders["operating_points"] / "th_0.5.tsv").write_text("")
    (folders["sed_scores"] / "a.tsv").write_text(TABLE)
    np.save(folders["npy"] / "a.npy", np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32))
    (folders["npy"] / "classes.txt").write_text("Cat\nDog\n")
    write_shards(read_scores(folders["npy"], hop=0.5), folders["shards"])
    np.save(folders["tags"] / "scores.npy", np.array([[0.1, 0.2]], dtype=np.float32))
    folders["tags"] /= "scores.npy"  # one file is the whole set
    (tmp_path / "durations.tsv").write_text("a.wav\t1\n")
    return folders


def test_every_format_is_recognised_by_itself_alone(folders: dict[str, Path]) -> None:
    for name, folder in folders.items():
        assert [other for other, kind in FORMATS.items() if kind.recognises(folder)] == [name]


def test_all_formats_give_the_same_set(folders: dict[str, Path], tmp_path: Path) -> None:
    durations = tmp_path / "durations.tsv"
    table = read_scores(folders["sed_scores"], durations=durations)
    array = read_scores(folders["npy"], durations=durations, hop=0.5)
    points = read_scores(folders["operating_points"], durations=durations, classes=["Cat", "Dog"])
    for found in (table, array, points):
        assert found.clip_ids == ("a.wav",)
        assert found.classes == ("Cat", "Dog")
        assert found.edges.tolist() == [[0.0, 0.5, 1.0]]
    assert torch.equal(table.scores, array.scores)
    assert torch.equal(table.scores[:, :1] > 0.25, points.scores[:, :1] > 0.25)


@pytest.mark.parametrize(
    ("first_line", "stem", "expected"),
    [
        ("a.wav\t0.5\t1.0\tCat\n", "th_0.5", True),
        ("a.wav\t0.5\t1.0\tCat\n", "detections", False),
        ("Event_label\tOnset\tOffset\tFilename\tindex\n", "th_0.5", True),
        ("filename\tduration\n", "durations_1", False),
        (TABLE, "Y00_350.000_360.000", False),
        ("", "th_0.5", False),
    ],
)
def test_operating_points_are_recognised_by_header_or_columns(
    tmp_path: Path, first_line: str, stem: str, expected: bool
) -> None:
    (tmp_path / f"{stem}.tsv").write_text(first_line)
    assert FORMATS["operating_points"].recognises(tmp_path) is expected


def test_real_folders_are_recognised(data_root: Path) -> None:
    points = data_root / "desed_validation" / "baseline2021_student" / "operating_points"
    tables = data_root / "dcase2023_task4a_baseline2" / "scores"
    for name, kind in FORMATS.items():
        assert kind.recognises(points) is (name == "operating_points")
        assert kind.recognises(tables) is (name == "sed_scores")


def test_places_that_hold_no_scores_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "readme.md").write_text("hello")
    shutil.copy(folders["npy"] / "a.npy", folders["sed_scores"])
    for name, message in (
        ("absent", "There is no '.*absent'"),
        ("empty", "The folder '.*empty' is empty"),
        ("other", "other' looks like no known format; known are operating_points"),
        ("durations.tsv", "durations.tsv' looks like no known format"),
        ("sed_scores", "looks like sed_scores and npy; say which"),
    ):
        with pytest.raises(UserError, match=message):
            read_scores(tmp_path / name)
    for name in FORMATS:
        with pytest.raises(UserError, match=r"holds no (\.(tsv|npy)|meta\.json)"):
            read_scores(tmp_path / "other", format=name, durations=tmp_path / "durations.tsv")


def test_unknown_formats_and_options_are_refused_with_a_suggestion(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="no format 'sed_score'; did you mean 'sed_scores'"):
        read_scores(folders["sed_scores"], format="sed_score")
    with pytest.raises(UserError, match="no option 'subsets'; did you mean 'subset'"):
        read_scores(folders["sed_scores"], subsets=True)


def test_a_new_format_is_one_line_of_registration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Constant:
        DESCRIPTION = "a file named constant"

        @staticmethod
        def recognises(path: str | Path) -> bool:
            return Path(path).name == "constant"

        @staticmethod
        def read(path: str | Path, *, value: float = 0.5, **_: object) -> ScoreSet:
            return ScoreSet.build(torch.full((1, 1, 1), value), torch.tensor([0.0, 1.0]), ["a"], ["Cat"])

    monkeypatch.setitem(FORMATS, "constant", Constant)
    (tmp_path / "constant").write_text("")
    assert read_scores(tmp_path / "constant", value=0.25).scores.item() == 0.25


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("3u1ue_s4.wav", "3u1ue_s4"),
        ("Y00pbt6aJV8Y_350.000_360.000.wav", "Y00pbt6aJV8Y_350.000_360.000"),
        ("Y00pbt6aJV8Y_350.000_360.000", "Y00pbt6aJV8Y_350.000_360.000"),
        ("a.FLAC", "a"),
        ("a.aiff", "a"),
        ("a.wav.wav", "a.wav"),
        ("a.txt", "a.txt"),
        (".wav", ".wav"),
    ],
)
def test_only_audio_suffixes_are_taken_off(name: str, stem: str) -> None:
    assert without_audio_suffix(name) == stem


def test_names_match_exactly_before_they_match_by_stem() -> None:
    assert match_names(["a", "b", "c.mp3", "d.wav", "x"], ["a.wav", "a", "b.wav", "c.wav", "d.wav", "d.flac"]) == {
        "a": "a", "b": "b.wav", "c.mp3": "c.wav", "d.wav": "d.wav"}  # fmt: skip
    with pytest.raises(UserError, match=r"'d' may be 'd\.wav' or 'd\.flac'"):
        match_names(["d"], ["d.wav", "d.flac"])


@pytest.mark.parametrize("kind", ["references", "durations"])
def test_clips_that_differ_are_counted_and_named(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    folder = folders["sed_scores"]
    row = "{}\t\t\t\n" if kind == "references" else "{}\t1\n"
    table = tmp_path / f"{kind}_table.tsv"
    options: dict[str, Any] = {kind: table}
    table.write_text("".join(row.format(f"{name}.wav") for name in "abcde"))
    with pytest.raises(UserError) as error:
        read_scores(folder, **options)
    assert f"4 of 5 clips in the {kind} '{table}' are missing from the scores '{folder}'" in str(error.value)
    assert "('b.wav', 'c.wav', 'd.wav', …)" in str(error.value)
    assert read_scores(folder, **options, subset=True).clip_ids == ("a.wav",)
    table.write_text(row.format("b.wav"))
    for subset in (False, True):
        with pytest.raises(UserError) as error:
            read_scores(folder, **options, subset=subset)
        assert f"1 of 1 clips in the scores '{folder}' are missing from the {kind} '{table}' ('a')" in str(error.value)


def test_clip_is_called_what_the_references_call_it(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "references.tsv").write_text("a.flac\t0\t1\tDog\n")
    options: dict[str, Any] = {"references": tmp_path / "references.tsv", "durations": tmp_path / "durations.tsv"}
    assert read_scores(folders["sed_scores"], **options).clip_ids == ("a.flac",)


def test_reference_of_another_class_is_refused_and_class_without_reference_is_not(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    references = tmp_path / "references.tsv"
    references.write_text("filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\na.wav\t0\t1\tCats\n")
    with pytest.raises(UserError, match=r"references\.tsv', row 3: the class 'Cats' .* did you mean 'Cat'"):
        read_scores(folders["sed_scores"], references=references)
    references.write_text("a.wav\t0\t99\tDog\n")
    found = read_scores(folders["sed_scores"], references=references)
    assert found.require_references().rows() == [("a.wav", 0.0, 99.0, "Dog")]


def test_classes_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Cat\n\n Bell, alarm \n")
    assert read_classes(tmp_path / "classes.txt") == ["Cat", "Bell, alarm"]
    assert read_classes(str(tmp_path / "classes.txt")) == ["Cat", "Bell, alarm"]
    assert read_classes(("Dog", "Cat")) == ["Dog", "Cat"]
    assert read_classes(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"Cat\n\nDog\nCat\n", "classes.txt', row 4: the class 'Cat' occurs twice"), (b"\n", "classes.txt' is empty"),
     (b"Caf\xe9", "not a text file in UTF-8"), (None, "Cannot read the classes from '.*classes.txt'")],
)  # fmt: skip
def test_bad_list_of_classes_is_refused(tmp_path: Path, text: bytes | None, message: str) -> None:
    if text is not None:
        (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(UserError, match=message):
        read_classes(tmp_path / "classes.txt")
