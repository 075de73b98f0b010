"""Matching the clips of scores, references and durations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_postproc.formats import read_scores
from rl_postproc.formats.clip_names import match_names, without_audio_suffix
from rl_postproc.utils.errors import UserError


@pytest.fixture
def folder(folders: dict[str, Path]) -> Path:
    """The scores of one clip, called a, of the classes Cat and Dog."""
    return folders["sed_scores"]


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
def test_clips_that_differ_are_counted_and_named(folder: Path, tmp_path: Path, kind: str) -> None:
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


def test_clip_is_called_what_the_references_call_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "references.tsv").write_text("a.flac\t0\t1\tDog\n")
    options: dict[str, Any] = {"references": tmp_path / "references.tsv", "durations": tmp_path / "durations.tsv"}
    assert read_scores(folder, **options).clip_ids == ("a.flac",)


def test_reference_of_another_class_is_refused_and_class_without_reference_is_not(folder: Path, tmp_path: Path) -> None:
    references = tmp_path / "references.tsv"
    references.write_text("filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\na.wav\t0\t1\tCats\n")
    with pytest.raises(UserError, match=r"references\.tsv', row 3: the class 'Cats' .* did you mean 'Cat'"):
        read_scores(folder, references=references)
    references.write_text("a.wav\t0\t99\tDog\n")
    found = read_scores(folder, references=references)
    assert found.require_references().to_rows() == [("a.wav", 0.0, 99.0, "Dog")]
