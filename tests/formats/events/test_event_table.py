"""Event tables and duration tables, against sed_eval's own reader and by round trips."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats import EventRow, read_durations, read_events, write_events
from rl_postproc.formats.references import collect_references
from rl_postproc.utils.errors import UserError

CLIPS = ("a.wav", "Y00pbt6aJV8Y_350.000_360.000.wav", "silent clip.wav")
HEADER = "filename\tonset\toffset\tevent_label\n"
CLASSES = ("Speech", "Bell, alarm", 'the "dog"')


def write(folder: Path, text: str, name: str = "events.tsv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def plain(rows: list[EventRow]) -> list[tuple]:
    return [tuple(row[:5]) for row in rows]


@st.composite
def tables(draw: st.DrawFn) -> Events:
    row = st.tuples(st.sampled_from(CLIPS[:2]), st.floats(0, 36000), st.floats(0, 100), st.sampled_from(CLASSES))
    rows = draw(st.lists(row, max_size=20))
    rounded = [(clip, round(on, DECIMALS), round(on + length, DECIMALS), label) for clip, on, length, label in rows]
    return Events.from_rows(rounded, CLIPS, CLASSES)


@given(tables())
def test_written_table_reads_back_bit_for_bit(events: Events) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.tsv"
        write_events(events, path)
        rows = read_events(path)
        again = collect_references(rows, CLIPS, CLASSES, path)
    assert {row.filename for row in rows} == set(CLIPS)
    assert torch.equal(again.onset, events.onset)
    assert torch.equal(again.offset, events.offset)
    assert again.to_rows() == events.to_rows()


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20))
def test_times_that_torch_rounded_are_written_without_a_further_change(times: list[float]) -> None:
    onset = torch.tensor(times, dtype=torch.float64).round(decimals=DECIMALS)
    index = torch.zeros(len(onset), dtype=torch.int64)
    events = Events.from_tensors(CLIPS[:1], CLASSES[:1], index, index, onset, onset)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.tsv"
        write_events(events, path)
        assert [row.onset for row in read_events(path)] == onset.sort().values.tolist()


def test_written_table_is_what_sed_eval_reads(tmp_path: Path) -> None:
    sed_eval = pytest.importorskip("sed_eval")
    rows = [("a.wav", 0.0, 1.25, "Speech"), ("a.wav", 0.7, 0.9, "Cat"), ("b.wav", 9.920001, 10.0, "Cat")]
    path = tmp_path / "events.tsv"
    write_events(Events.from_rows(rows, ("a.wav", "b.wav", "c.wav"), ("Cat", "Speech")), path)
    loaded = sed_eval.io.load_event_list(str(path))
    found = {(e.filename, e.onset, e.offset, e.event_label) for e in loaded if e.event_label}
    assert found == set(rows)


def test_written_table_text(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.tsv"
    write_events(Events.from_rows([("b", 0.1, 2, "Cat")], ("a", "b"), ("Cat",)), path)
    assert path.read_text() == "filename\tonset\toffset\tevent_label\na\t\t\t\nb\t0.100000\t2.000000\tCat\n"
    assert [file.name for file in path.parent.iterdir()] == ["events.tsv"]


def test_references_keep_the_order_of_the_given_clips_and_classes(tmp_path: Path) -> None:
    path = write(tmp_path, "b\t0\t1\tCat\na\t1\t2\tDog\nb\t0.5\t1\tDog\nc\n")
    events = collect_references(read_events(path), ["c", "b", "a"], ["Dog", "Cat"], path)
    assert events.to_rows() == [("b", 0.5, 1.0, "Dog"), ("b", 0.0, 1.0, "Cat"), ("a", 1.0, 2.0, "Dog")]
    assert events.clip_ids == ("c", "b", "a")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.tsv", "a.wav\t0\t1.5\tCat\n", [("a.wav", 0.0, 1.5, "Cat", 1)]),
        ("a.txt", "a.wav\t0\t1.5\tCat", [("a.wav", 0.0, 1.5, "Cat", 1)]),
        ("a.tsv", "Event_Label\toffset\textra\tONSET\tFilename\nCat\t2\tx\t1\ta\n", [("a", 1.0, 2.0, "Cat", 2)]),
        ("a.tsv", "\ufeff" + HEADER + "a\t1\t2\tCat\n", [("a", 1.0, 2.0, "Cat", 2)]),
        ("a.tsv", HEADER.strip() + "\r\n\r\na\t1\t2\tCat\r\n", [("a", 1.0, 2.0, "Cat", 3)]),
        ("a.tsv", "\n \t \na\t0\t0\tCat\n\n\n", [("a", 0.0, 0.0, "Cat", 3)]),
        ("a.tsv", "a\t1e-1\t.5\tCat \n", [("a", 0.1, 0.5, "Cat", 1)]),
        ("a.tsv", HEADER + "a\t\t\t\nb\n", [("a", None, None, None, 2), ("b", None, None, None, 3)]),
        ("a.csv", ',event_label,onset,offset,filename\n0,"A, b",0.0,9.984,a.wav\n', [("a.wav", 0.0, 9.984, "A, b", 2)]),
        ("a.csv", HEADER + "a\t1\t2\tA, b\n", [("a", 1.0, 2.0, "A, b", 2)]),
        ("a.tsv", "", []),
        ("a.tsv", HEADER, []),
    ],
)
def test_tables_that_are_read(tmp_path: Path, name: str, text: str, expected: list[tuple]) -> None:
    assert plain(read_events(write(tmp_path, text, name))) == expected


def test_file_of_one_clip(tmp_path: Path) -> None:
    path = write(tmp_path, "0.000\t1.300\tSpeech\n1.985\t4.574\tRunning_water\n", "clip.txt")
    expected = [("clip", 0.0, 1.3, "Speech", 1), ("clip", 1.985, 4.574, "Running_water", 2)]
    assert plain(read_events(path)) == expected
    other = [("a.wav", *row[1:]) for row in expected]
    assert plain(read_events(path, clip="a.wav")) == plain(read_events(path, clip="a.wav", format="table")) == other
    with pytest.raises(UserError, match=r"clip\.txt', row 1: 3 columns where 4"):
        read_events(path, format="table")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "a\t1\t2\tCat\na\t1\t2\n", "row 3: 3 columns where 4"),
        (HEADER + "a\t1\t2\tCat\textra\n", "row 2: 5 columns where 4"),
        ("a\t1\t2\tCat\n\nonset\n a\t1\t2\n", "row 4: 3 columns where 4"),
        (HEADER + "a\tone\t2\tCat\n", "row 2: the onset 'one' is not a number"),
        (HEADER + "a\t1\t2,5\tCat\n", "row 2: the offset '2,5' has a decimal comma; write points, such as 2.5"),
        (HEADER + "a\t\t2\tCat\n", "row 2: the onset is empty"),
        (HEADER + "a\t\t\tCat\n", "row 2: the onset is empty"),
        (HEADER + "a\t1\t\tCat\n", "row 2: the offset is empty"),
        (HEADER + "a\tnan\t2\tCat\n", "row 2: the onset nan is not finite"),
        (HEADER + "a\t1\tinf\tCat\n", "row 2: the offset inf is not finite"),
        (HEADER + "a\t-0.1\t2\tCat\n", "row 2: the onset -0.1 is negative"),
        (HEADER + "a\t2.5\t2\tCat\n", "row 2: the onset 2.5 lies after the offset 2.0"),
        (HEADER + "a\t1\t2\t \n", "row 2: the event has times but no label"),
        (HEADER + "\t1\t2\tCat\n", "row 2: the file name is empty"),
        ("filename\tonset\tevent_label\na\t1\tCat\n", "row 1: the header lacks the column 'offset'"),
        ("filename\tonset\tonset\toffset\tevent_label\n", "row 1: the header repeats the column 'onset'"),
        (HEADER + 'a\t1\t2\t"Cat\nb\t1\t2\tDog\n', "a quoted field runs over several lines"),
    ],
)
def test_bad_row_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_events(write(tmp_path, text))
    assert "events.tsv" in str(error.value)
    assert message in str(error.value)


def test_unreadable_files_are_refused_with_their_name(tmp_path: Path) -> None:
    (tmp_path / "latin.tsv").write_bytes("a\t0\t1\tCaf\xe9\n".encode("latin-1"))
    for name, message in (
        ("latin.tsv", "not a text file in UTF-8"),
        ("absent.tsv", "Cannot read"),
        (".", r"holds no \.txt or \.ann or \.jams or \.rttm file"),
    ):
        with pytest.raises(UserError, match=message):
            read_events(tmp_path / name)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a\t0\t1\tSpeach\n", r"row 1: the class 'Speach' .* did you mean 'Speech'"),
        ("a\t0\t1\tSpeech\nA\n", r"row 2: the clip 'A' is not among the 1 clips"),
    ],
)
def test_unknown_class_or_clip_of_a_reference_is_refused_with_its_place(
    tmp_path: Path, rows: str, message: str
) -> None:
    path = write(tmp_path, rows)
    with pytest.raises(UserError, match=r"events\.tsv', " + message):
        collect_references(read_events(path), ["a"], ["Speech"], path)


@pytest.mark.parametrize("header", ["", "filename\tduration\n", "Duration\tother\tFILENAME\n"])
def test_durations(tmp_path: Path, header: str) -> None:
    rows = "10.0\tx\ta.wav\n2.5\tx\tb.wav\n" if "other" in header else "a.wav\t10.0\nb.wav\t2.5\n"
    assert read_durations(write(tmp_path, header + rows)) == {"a.wav": 10.0, "b.wav": 2.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename\tduration\na\t10\nb\t-1\n", "row 3: the duration -1 is not a positive"),
        ("a\t0\n", "row 1: the duration 0 is not a positive"),
        ("a\tNaN\n", "row 1: the duration NaN is not a positive"),
        ("a\tinf\n", "row 1: the duration inf is not a positive"),
        ("a\tlong\n", "row 1: the duration 'long' is not a number"),
        ("a\t\n", "row 1: the duration is empty"),
        ("a\t10\nb\t10\na\t10\n", "row 3: the clip 'a' stands in row 1 already"),
        ("a\t10\t3\n", "row 1: 3 columns where 2"),
        ("a\n", "row 1: 1 columns where 2"),
        ("\t3\n", "row 1: the file name is empty"),
        ("filename\tlength\na\t3\n", "row 1: the header lacks the column 'duration'"),
    ],
)
def test_bad_duration_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_durations(write(tmp_path, text, "durations.tsv"))
    assert "durations.tsv" in str(error.value)
    assert message in str(error.value)


def test_real_references_and_published_detections(data_root: Path) -> None:
    folder = data_root / "desed_validation"
    rows = read_events(folder / "ground_truth.tsv")
    assert sum(row.label is not None for row in rows) == 4224
    assert sum(row.label is None for row in rows) == 15
    assert set(read_durations(folder / "durations.tsv")) == {row.filename for row in rows}
    detected = read_events(folder / "baseline2021_student" / "predictions_th_0.5.csv")
    # Nsys of each class in the published report.
    expected = {"Alarm_bell_ringing": 292, "Blender": 83, "Cat": 288, "Dishes": 327, "Dog": 365,
                "Electric_shaver_toothbrush": 86, "Frying": 187, "Running_water": 202, "Speech": 1361,
                "Vacuum_cleaner": 121}  # fmt: skip
    assert {name: sum(row.label == name for row in detected) for name in expected} == expected
    assert len(detected) == sum(expected.values())
