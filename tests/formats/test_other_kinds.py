"""References and durations of other kinds, or named otherwise: the message names what they are and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import Run, assert_one_sentence

from rl_postproc.formats import read_durations, read_events, read_scores
from rl_postproc.utils.errors import UserError, suggest

HEADER = "filename\tonset\toffset\tevent_label\n"

KINDS = {
    "decimal commas": (
        "r.csv", "filename;onset;offset;event_label\na.wav;0,5;1;Cat\n",
        r"row 2: the onset '0,5' has a decimal comma; write points, such as 0\.5",
    ),
    "decimal commas without a header": ("r.tsv", "a.wav;0,5;1,2;Cat\n", "row 1: the onset '0,5' has a decimal comma"),
    "semicolons later on": ("r.tsv", HEADER + "a.wav;0;1;Cat\n", "row 2: the columns are separated by semicolons"),
    "spaces under a header": ("r.tsv", HEADER.replace("\t", "  "), "row 1: the columns are separated by spaces"),
    "spaces within labels": ("r.txt", "0.5 1.0 people walking\n", "row 1: the columns are separated by spaces"),
    "JSON": ("r.json", '[{"onset": 0}]', "is JSON, not a table"),
    "JSON that is no JAMS": ("r.json", '{"annotations": {}}', "is no JAMS file: it has no list 'annotations'"),
    "empty": ("r.tsv", "\n \n", "hold no row; give a table with the columns filename, onset, offset, event_label"),
    "header alone": ("r.tsv", HEADER, "hold no row; .* a row with a file name alone for each clip without events"),
    "other header": (
        "r.tsv", "clip\tstart\tstop\tsound\na.wav\t0\t1\tCat\n",
        "row 1: the header has the columns clip, start, stop, sound; name them filename, onset, offset, event_label",
    ),
    "folders": (
        "r.tsv", "audio/eval/a.wav\t0\t1\tCat\n",
        r"'audio/eval/a\.wav' is named with its folder: give base names, 'a\.wav'",
    ),
    "folders of Windows": ("r.tsv", "audio\\a.wav\t0\t1\tCat\n", r"named with its folder: give base names, 'a\.wav'"),
    "another data set": ("r.tsv", "x.wav\t0\t1\tCat\n", r"none of them is there, where clips are called 'x\.wav'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_references_of_another_kind_are_named(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    name, text, message = KINDS[kind]
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_scores(folders["sed_scores"], references=tmp_path / name)
    assert name in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize("kind", ["decimal commas", "JSON", "empty"])
def test_evaluate_names_them_too(run: Run, tmp_path: Path, kind: str) -> None:
    name, text, message = KINDS[kind]
    (tmp_path / name).write_text(text)
    (tmp_path / "events.tsv").write_text("a.wav\t0\t1\tCat\n")
    assert_one_sentence(run("evaluate", "events.tsv", "--references", name), message)


def test_detections_named_with_folders_get_the_hint(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.tsv").write_text("audio/a.wav\t0\t1\tCat\n")
    (tmp_path / "r.tsv").write_text("a.wav\t0\t1\tCat\n")
    assert_one_sentence(run("evaluate", "events.tsv", "--references", "r.tsv"), r"row 1: .* give base names, 'a\.wav'")


@pytest.mark.parametrize("name", ["clip 3 of 4.wav", "a, b, c, d.wav", "[laugh].wav", "a;b.wav", "SPEAKER.wav"])
def test_odd_names_of_clips_without_events_are_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "r.tsv").write_text(f"{name}\nb.wav\t0\t1\tCat\n")
    assert [row.filename for row in read_events(tmp_path / "r.tsv")] == [name, "b.wav"]


def test_the_header_of_audioset_strong_is_understood(tmp_path: Path) -> None:
    header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    (tmp_path / "r.tsv").write_text(header + "b0RFKhbpFJA_30000\t0.627\t7.237\t/m/04rlf\n")
    assert read_events(tmp_path / "r.tsv") == [("b0RFKhbpFJA_30000", 0.627, 7.237, "/m/04rlf", 2, None)]
    (tmp_path / "both.tsv").write_text(HEADER.strip() + "\tlabel\na\t0\t1\tCat\tx\n")
    assert read_events(tmp_path / "both.tsv")[0].label == "Cat"


def test_durations_of_another_kind_are_named(tmp_path: Path) -> None:
    for text, message in (
        ("a.wav;10,5\n", "the duration '10,5' has a decimal comma; write points, such as 10.5"),
        ("a.wav 10.0\n", "separated by spaces"),
        ("clip\tseconds\na\t3\n", "the header has the columns clip, seconds; name them filename, duration"),
    ):
        (tmp_path / "d.tsv").write_text(text)
        with pytest.raises(UserError, match=message):
            read_durations(tmp_path / "d.tsv")


def test_a_table_of_labels_with_semicolons_is_named(tmp_path: Path, folders: dict[str, Path]) -> None:
    (tmp_path / "labels.csv").write_text("filename;event_labels\na;Cat\n")
    with pytest.raises(UserError, match=r"labels\.csv' separates its columns by semicolons"):
        read_scores(folders["tags"], references=tmp_path / "labels.csv", classes=["Cat", "Dog"])


def test_of_many_known_names_only_the_nearest_are_listed() -> None:
    known = [f"Y{i:011d}_30.000" for i in range(500)]
    said = suggest("zzz", known)
    assert said.startswith("; 500 are known, the nearest of them ") and len(said) < 150
    assert suggest("Y00000000007_30.00", known) == "; did you mean 'Y00000000007_30.000'"
    assert suggest("x", ["Bell, alarm", "Cat"]) == "; known are 'Bell, alarm', Cat"
