"""Files of annotation tools: Audacity and Raven as they document them, RTTM, and JAMS against its own library."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rl_postproc.data.events import Events
from rl_postproc.formats import EventFormat, read_events, write_events
from rl_postproc.utils.errors import DataWarning, UserError


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """The sentences that are warned of; complete once the test is done."""
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = lambda message, kind, *_: said.append(str(message)) if kind is DataWarning else None
        yield said


def read(path: Path, text: str, **options: Any) -> list[tuple]:
    path.write_text(text)
    return [row[:4] for row in read_events(path, **options)]


def told(path: Path) -> list[str]:
    return [name for name, kind in EventFormat.types().items() if kind.recognises(path)]


def test_labels_of_audacity(tmp_path: Path, heard: list[str]) -> None:
    text = "0.500000\t1.250000\tdog bark\n\\\t100.000000\t2000.000000\n2.000000\t2.000000\tclick\n"
    path = tmp_path / "clip one.txt"
    assert read(path, text) == [("clip one", 0.5, 1.25, "dog bark"), ("clip one", 2.0, 2.0, "click")]
    assert told(path) == ["audacity"]
    assert heard == [f"1 of 2 labels in '{path}' are points, which are read as events without length; drag them out in "
                     "Audacity where they should have one."]  # fmt: skip
    # With a range of frequencies, as older versions wrote, the decimals do not matter.
    assert read(path, "0.5\t1.25\tdog\n\\\t1.0\t2.0\n") == [("clip one", 0.5, 1.25, "dog")]
    assert told(path) == ["audacity"]


def test_labels_of_audacity_without_texts_are_of_one_class(tmp_path: Path, heard: list[str]) -> None:
    assert [row[3] for row in read(tmp_path / "a.txt", "0.500000\t1.250000\t\n2.000000\t3.000000\n")] == ["event"] * 2
    assert "have no labels; all are read as the class 'event'" in heard[0]
    with pytest.raises(UserError, match=r"row 2: the event has times but no label"):
        read(tmp_path / "a.txt", "0.500000\t1.250000\tdog\n2.000000\t3.000000\t\n")
    with pytest.raises(
        UserError, match=r"row 1: the onset '0,500000' has a decimal comma; write points, such as 0.500000"
    ):
        read(tmp_path / "a.txt", "0,500000\t1,250000\tdog\n")


RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"


def test_a_selection_with_several_views_counts_once(tmp_path: Path) -> None:
    text = (
        f"{RAVEN}\tAnnotation\n"
        "1\tWaveform 1\t1\t0.5\t1.25\t0\t100\tDog\n1\tSpectrogram 1\t1\t0.5\t1.25\t10\t90\tDog\n"
        "2\tSpectrogram 1\t1\t2.0\t3.0\t10\t90\tCat\n"
    )
    path = tmp_path / "rec.Table.1.selections.txt"
    assert read(path, text) == [("rec", 0.5, 1.25, "Dog"), ("rec", 2.0, 3.0, "Cat")]
    assert told(path) == ["raven"]


def test_times_of_several_files_are_those_within_each(tmp_path: Path) -> None:
    header = f"{RAVEN}\tBegin Path\tFile Offset (s)\tAnnotation\n"
    rows = (
        "1\tS 1\t1\t0.5\t1.25\t0\t9\tC:\\audio\\a.wav\t0.5\tDog\n2\tS 1\t1\t60.1\t60.4\t0\t9\t/audio/b.wav\t0.1\tCat\n"
    )
    assert read(tmp_path / "t.txt", header + rows) == [("a.wav", 0.5, 1.25, "Dog"), ("b.wav", 0.1, 0.4, "Cat")]
    without = header.replace("\tFile Offset (s)", "") + rows.replace("\t0.5\tDog", "\tDog").replace(
        "\t0.1\tCat", "\tCat"
    )
    with pytest.raises(UserError, match=r"selections of 2 files, but no column File Offset \(s\)"):
        read(tmp_path / "t.txt", without)


def test_labels_of_raven_are_found_named_or_missing(tmp_path: Path, heard: list[str]) -> None:
    rows = "1\tS 1\t1\t0.5\t1.25\t0\t9\tDog\t0.75\tx\n"
    text = f"{RAVEN}\tCommon Name\tConfidence\tNotes\n{rows}"
    assert read(tmp_path / "t.txt", text) == [("t", 0.5, 1.25, "Dog")]
    assert "taken from its column 'common name', since it has no column 'Annotation'" in heard.pop()
    assert read_events(tmp_path / "t.txt")[0].confidence == 0.75
    heard.clear()
    assert read(tmp_path / "t.txt", text, format="raven", label="Notes")[0][3] == "x"
    with pytest.raises(UserError, match="has no column 'Note'; did you mean 'notes'"):
        read(tmp_path / "t.txt", text, format="raven", label="Note")
    assert not heard
    assert read(tmp_path / "t.txt", f"{RAVEN}\n1\tS 1\t1\t0.5\t1.25\t0\t9\n")[0][3] == "event"
    assert "have no labels" in heard[0]
    with pytest.raises(UserError, match="row 2: 9 columns where 8 are expected"):
        read(tmp_path / "t.txt", f"{RAVEN}\tAnnotation\n1\tS 1\t1\t0.5\t1.25\t0\t9\tDog\tx\n")


RTTM = "SPEAKER a 1 0.50 0.20 <NA> <NA> Dog 0.25 <NA>\n"


def test_lines_of_rttm(tmp_path: Path, heard: list[str]) -> None:
    text = ";; made by hand\nSPKR-INFO a 1 <NA> <NA> <NA> unknown Dog <NA>\n" + RTTM + RTTM.replace("0.25", "<NA>")
    assert read(tmp_path / "a.rttm", text) == [("a", 0.5, 0.7, "Dog")] * 2
    assert [row.confidence for row in read_events(tmp_path / "a.rttm")] == [0.25, None]
    assert "1 of 3 lines" in heard[0] and "no SPEAKER lines (1 SPKR-INFO)" in heard[0]
    assert read(tmp_path / "a.txt", RTTM.replace(" ", "\t")) == [("a", 0.5, 0.7, "Dog")]
    # Eight fields: without confidence and lookahead, as some tools write.
    assert read(tmp_path / "a.rttm", RTTM.replace(" 0.25 <NA>", "")) == [("a", 0.5, 0.7, "Dog")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RTTM.replace("0.20", "-1"), "row 1: the length -1 is negative"),
        (RTTM.replace("0.20", "long"), "row 1: the length 'long' is not a number"),
        (RTTM.replace("0.50", "x"), "row 1: the onset 'x' is not a number"),
        (RTTM.replace("Dog", "<NA>"), "row 1: the event has times but no label"),
        (RTTM + "SPEAKER a 1\n", "row 2: 3 fields where RTTM has 9"),
        (RTTM + "SPAKER a 1 0 1 x x x x\n", "row 2: 'SPAKER' is no type of an RTTM line"),
    ],
)
def test_bad_lines_of_rttm_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path / "a.rttm", text)


def test_silent_clips_have_no_line_in_rttm(tmp_path: Path, heard: list[str]) -> None:
    write_events(Events.from_rows([("a", 0, 1, "Dog")], ("a", "b"), ("Dog",)), tmp_path / "e.rttm")
    assert heard == ["1 of 2 clips have no event, and so no line in RTTM; choose another format to name them."]


ROWS = [("a b.wav", 0.1, 0.3, "Dog bark"), ("a b.wav", 2, 3.000001, "犬")]
EVENTS = Events.from_rows(ROWS, ("a b.wav",), ("Dog bark", "犬"))


def test_jams_reads_and_validates_ours_and_we_read_its(tmp_path: Path) -> None:
    jams = pytest.importorskip("jams")
    write_events(EVENTS, tmp_path / "ours.jams")
    loaded = jams.load(str(tmp_path / "ours.jams"), validate=True, strict=True)
    (annotation,) = loaded.annotations
    intervals, labels = annotation.to_interval_values()
    assert annotation.namespace == "tag_open"
    assert [(on, off, label) for (on, off), label in zip(intervals.round(6).tolist(), labels, strict=True)] == [
        row[1:] for row in EVENTS.to_rows()
    ]
    loaded.save(str(tmp_path / "its.jams"))
    assert [row[:4] for row in read_events(tmp_path / "its.jams")] == EVENTS.to_rows()


def test_jams_of_its_library_are_read(tmp_path: Path, heard: list[str]) -> None:
    jams = pytest.importorskip("jams")
    made = jams.JAMS(file_metadata=jams.FileMetadata(title="", duration=10.0))
    for namespace, value in (("segment_open", "Dog"), ("beat", 1.0), ("tag_open", "Cat")):
        annotation = jams.Annotation(namespace=namespace)
        annotation.append(time=0.5, duration=0.2, value=value, confidence=0.25 if namespace == "tag_open" else None)
        made.annotations.append(annotation)
    made.save(str(tmp_path / "clip.jams"))
    rows = read_events(tmp_path / "clip.jams")
    assert [row[:4] for row in rows] == [("clip", 0.5, 0.7, "Dog"), ("clip", 0.5, 0.7, "Cat")]
    assert [row.confidence for row in rows] == [None, 0.25]
    assert "1 of 3 annotations" in heard[0] and "(1 beat)" in heard[0]
    assert "2 annotations in" in heard[1] and "read together" in heard[1]


SCAPER = [
    {"time": 0.0, "duration": 10.0, "value": {"label": "park", "role": "background"}, "confidence": 1.0},
    {"time": 2.0, "duration": 1.5, "value": {"label": "siren", "role": "foreground", "snr": 3.0}, "confidence": 1.0},
]


def jams_of(data: Any, namespace: Any = "scaper", **metadata: Any) -> str:
    return json.dumps({"annotations": [{"namespace": namespace, "data": data}], "file_metadata": metadata})


def test_backgrounds_of_scaper_are_no_events(tmp_path: Path) -> None:
    assert read(tmp_path / "s.jams", jams_of(SCAPER)) == [("s", 2.0, 3.5, "siren")]
    assert read(tmp_path / "s.jams", jams_of(SCAPER[:1])) == [("s", None, None, None)]


@pytest.mark.parametrize(
    ("metadata", "clip"),
    [
        ({"identifiers": {"filename": "x.wav"}, "title": "y.wav"}, "x.wav"),
        ({"title": "y.wav"}, "y.wav"),
        ({"title": "My street"}, "s"),
        ({"identifiers": []}, "s"),
    ],
)
def test_the_clip_of_jams_is_the_file_that_it_names(tmp_path: Path, metadata: dict[str, Any], clip: str) -> None:
    assert read(tmp_path / "s.jams", jams_of(SCAPER, **metadata)) == [(clip, 2.0, 3.5, "siren")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (jams_of(SCAPER)[:-20], "is not valid JSON .* truncated"),
        (jams_of([{"value": 3}], "tag_open"), "observation 1 of tag_open: its value is no label"),
        (jams_of([{"value": "x", "time": None, "duration": 1}], "tag_open"), "row 1: the onset is empty"),
        (jams_of([{"value": "x", "time": 1, "duration": [1]}], "tag_open"), "row 1: the offset '.*' is not a number"),
        (jams_of([{"value": "x", "time": 1, "duration": -1}], "tag_open"), "row 1: the onset 1.0 lies after"),
        (
            jams_of([{"value": "x", "time": float("nan"), "duration": 1}], "tag_open"),
            "row 1: the onset nan is not finite",
        ),
        (jams_of({"time": []}, "tag_open"), "without a namespace or a list of data"),
        (jams_of([], None), "without a namespace or a list of data"),
    ],
)
def test_bad_jams_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path / "s.jams", text)


def test_a_folder_of_jams_is_read_whole(tmp_path: Path) -> None:
    events = Events.from_rows([("a.wav", 0, 1, "Dog")], ("a.wav", "b.wav"), ("Dog",))
    write_events(events, tmp_path / "out", format="jams")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.jams", "b.jams"]
    assert [row[:4] for row in read_events(tmp_path / "out")] == [
        ("a.wav", 0.0, 1.0, "Dog"),
        ("b.wav", None, None, None),
    ]


def test_confidences_that_are_none_are_left_aside(tmp_path: Path, heard: list[str]) -> None:
    (tmp_path / "a.tsv").write_text("filename\tonset\toffset\tevent_label\tscore\na\t0\t1\tDog\t3.5\n")
    assert read_events(tmp_path / "a.tsv")[0].confidence is None
    assert heard == [f"The column 'score' of '{tmp_path / 'a.tsv'}' is left aside, since it holds '3.5' in row 2, and "
                     "confidences are numbers from 0 to 1."]  # fmt: skip
