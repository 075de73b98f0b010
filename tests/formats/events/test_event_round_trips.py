"""Every format of events: what it writes it recognises and reads again, and what is no file of events is refused."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats import EventFormat, EventRow, read_events, write_events
from rl_postproc.formats.clip_names import without_audio_suffix
from rl_postproc.formats.events.table import Table
from rl_postproc.testing import NonConformant, check_event_format
from rl_postproc.utils.errors import DataWarning, UserError

NAMES = ("audacity", "audioset_strong", "jams", "raven", "rttm", "sed_eval", "table")
CLIPS = ("a.wav", "Y00pbt6aJV8Y_350.000_360.000.wav", "clip 3, of 4.wav", "grüße 犬.flac")
CLASSES = ("Speech", "Bell, alarm", "犬 bark", "Dog")
PLAIN = {"Bell, alarm": "Bell", "犬 bark": "犬_bark", "clip 3, of 4.wav": "clip_3.wav", "grüße 犬.flac": "grüße.flac"}
"""Names without blanks, for RTTM."""
NO_NAMES = ("audacity",)
"""Formats whose clips have no names but those of their files."""

SAMPLES = {
    "audacity": ("a.txt", "0.500000\t1.250000\tDog bark\n\\\t100.000000\t2000.000000\n2.000000\t2.500000\tSpeech\n"),
    "audioset_strong": ("a.tsv", "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\nb0_3\t0.627\t7.2\t/m/04rlf\n"),
    "jams": ("a.jams", json.dumps({"annotations": [{"namespace": "tag_open", "data": [
        {"time": 0.5, "duration": 0.75, "value": "Dog", "confidence": None}]}], "file_metadata": {}})),
    "raven": ("a.selections.txt", "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"
              "1\tSpectrogram 1\t1\t0.5\t1.25\tDog\n"),
    "rttm": ("a.rttm", "SPEAKER a 1 0.50 0.75 <NA> <NA> Dog <NA> <NA>\n"),
    "sed_eval": ("a.txt", "21.64715\t23.00552\talert\n36.91184\t38.27021\talert\n"),
    "table": ("a.tsv", "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.25\tDog\n"),
}  # fmt: skip


@st.composite
def sets(draw: st.DrawFn) -> Events:
    row = st.tuples(st.sampled_from(CLIPS[:3]), st.floats(0, 36000), st.floats(0, 100), st.sampled_from(CLASSES))
    rows = draw(st.lists(row, max_size=12))
    rounded = [(clip, round(on, DECIMALS), round(on + length, DECIMALS), label) for clip, on, length, label in rows]
    return Events.from_rows(rounded, CLIPS, CLASSES)


def renamed(events: Events, names: dict[str, str]) -> Events:
    clips, classes = (tuple(names.get(name, name) for name in side) for side in (events.clip_ids, events.classes))
    return Events(clips, classes, events.clip, events.label, events.onset, events.offset, events.confidence)


def events_of(rows: list[EventRow]) -> list[tuple]:
    return sorted(row[:4] for row in rows if row.label is not None)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_what_is_written_is_recognised_and_read_again(name: str, suffix: str, data: st.DataObject) -> None:
    events = data.draw(sets())
    events = renamed(events, PLAIN) if name == "rttm" else events
    in_folder = EventFormat.types()[name]().of_one_clip  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        path = Path(folder) / ("events" if in_folder else f"events.x{suffix}")
        write_events(events, path, format=name)
        if len(events) or name in ("table", "audioset_strong", "jams", "raven"):
            assert [own for own, kind in EventFormat.types().items() if kind.recognises(path)] == [name]
        rows = read_events(path)
    expected = [(without_audio_suffix(row[0]) if name in NO_NAMES else row[0], *row[1:]) for row in events.to_rows()]
    assert events_of(rows) == sorted(expected)
    if name != "rttm":
        stems = [without_audio_suffix(clip) for clip in events.clip_ids]
        assert sorted({without_audio_suffix(row.filename) for row in rows}) == sorted(stems)


@pytest.mark.parametrize("name", NAMES)
def test_one_clip_is_one_file(tmp_path: Path, name: str) -> None:
    events = Events.from_rows([("a.wav", 0.1, 0.3, "Dog")], ("a.wav",), ("Dog",))
    suffix = {"raven": ".selections.txt", "jams": ".jams", "rttm": ".rttm"}.get(name, ".txt")
    write_events(events, tmp_path / f"a{suffix}.gz", format=name)
    assert (tmp_path / f"a{suffix}.gz").read_bytes()[:2] == b"\x1f\x8b"
    (row,) = read_events(tmp_path / f"a{suffix}.gz")
    assert row[:4] == ("a" if name in NO_NAMES else "a.wav", 0.1, 0.3, "Dog")


@pytest.mark.parametrize("name", NAMES)
def test_the_formats_conform(tmp_path: Path, name: str) -> None:
    file, text = SAMPLES[name]
    (tmp_path / file).write_text(text)
    check_event_format(EventFormat.types()[name](), tmp_path / file)


class Greedy(Table):
    @classmethod
    def recognises(cls, path: Path) -> bool:
        return True


class Forgetful(Table):
    def render(self, events: Events) -> str:
        return super().render(events).replace("0.500000", "0.600000")


class Broken(Table):
    def read(self, path: Path, clip: str | None = None) -> list[EventRow]:
        return self.parse(path, path.read_bytes().decode(), clip)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Greedy, "recognises 'empty'"), (Forgetful, "gives other events"), (Broken, "raises UnicodeDecodeError, not")],
)
def test_a_format_of_events_that_breaks_the_rules_is_refused(tmp_path: Path, kind: type, message: str) -> None:
    (tmp_path / "a.tsv").write_text(SAMPLES["table"][1])
    with pytest.raises(NonConformant, match=message):
        check_event_format(kind(), tmp_path / "a.tsv")


def test_confidences_are_kept_where_there_is_room(tmp_path: Path) -> None:
    import torch

    events = Events.from_rows([("a", 0, 1, "Dog"), ("a", 2, 3, "Dog")], ("a",), ("Dog",))
    sure = Events(*[getattr(events, f) for f in ("clip_ids", "classes", "clip", "label", "onset", "offset")],
                  torch.tensor([0.1, 0.7]))  # fmt: skip
    for name, options in (("table", {"confidence": True}), ("rttm", {}), ("jams", {})):
        write_events(sure, tmp_path / name, format=name, **options)
        assert torch.tensor([row.confidence for row in read_events(tmp_path / name)]).equal(sure.confidence)
        write_events(events, tmp_path / name, format=name)
        assert [row.confidence for row in read_events(tmp_path / name)] == [None, None]
    write_events(sure, tmp_path / "plain.tsv")
    assert "confidence" not in (tmp_path / "plain.tsv").read_text()


def test_the_suffix_tells_the_format_to_write(tmp_path: Path) -> None:
    events = Events.from_rows([("a", 0, 1, "Dog")], ("a",), ("Dog",))
    for name, kind in (("a.rttm", "rttm"), ("a.jams.gz", "jams"), ("a.selections.txt", "raven"), ("a.txt", "table")):
        write_events(events, tmp_path / name)
        assert [own for own, cls in EventFormat.types().items() if cls.recognises(tmp_path / name)] == [kind]


@pytest.mark.parametrize(
    ("name", "clips", "label", "message"),
    [
        ("audacity", ["a"], "a\tb", r"class 'a\\tb' holds a tab"),
        ("raven", ["a"], "a\tb", r"name 'a\\tb' holds a tab"),
        ("rttm", ["a b"], "Dog", "name 'a b' holds blanks"),
        ("rttm", ["a"], "big dog", "name 'big dog' holds blanks"),
        ("table", ["a"], "a\nb", "holds a line break"),
        ("jams", ["a.wav", "a.flac"], "Dog", "would both be written to 'a.jams'; rename one"),
        ("audacity", ["x/a", "b"], "Dog", "clip id 'x/a' cannot name a file"),
    ],
)
def test_names_that_a_format_cannot_hold_are_refused(
    tmp_path: Path, name: str, clips: list[str], label: str, message: str
) -> None:
    events = Events.from_rows([(clips[0], 0, 1, label)], clips, (label,))
    with pytest.raises(UserError, match=message):
        write_events(events, tmp_path / "out", format=name)
    assert not (tmp_path / "out").exists()


def test_several_clips_need_a_folder(tmp_path: Path) -> None:
    events = Events.from_rows([("a", 0, 1, "Dog")], ("a", "b"), ("Dog",))
    (tmp_path / "taken").write_text("x")
    for path in (tmp_path / "taken", Path("/dev/stdout")):
        with pytest.raises(UserError, match=r"one clip a file, and these are 2, so that '.*' must be a folder"):
            write_events(events, path, format="audacity")
    assert (tmp_path / "taken").read_text() == "x"


def test_unknown_formats_and_options_are_refused(tmp_path: Path) -> None:
    events = Events.from_rows([("a", 0, 1, "Dog")], ("a",), ("Dog",))
    with pytest.raises(UserError, match="no format of events 'rtmm'; did you mean 'rttm'"):
        write_events(events, tmp_path / "x", format="rtmm")
    with pytest.raises(UserError, match="sure"):
        read_events(tmp_path / "x", format={"event_format": "table", "sure": True})


GARBAGE: SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=200),
    st.text(alphabet='\t\n;, {}[]":.0123456789aSPEAKER\\', max_size=200).map(str.encode),
)


@settings(deadline=None, max_examples=150)
@given(GARBAGE)
def test_garbage_is_refused_or_read_never_more(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        path = Path(folder) / "x.txt"
        for whole in (content, gzip.compress(content), gzip.compress(content)[:-5]):
            path.write_bytes(whole)
            for format in ("auto", *NAMES):
                try:
                    read_events(path, format=format)
                except UserError as error:
                    assert "x.txt" in str(error)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_samples_are_refused_or_read_never_more(tmp_path: Path, name: str) -> None:
    content, dice = SAMPLES[name][1].encode(), random.Random(7)
    path = tmp_path / "x.txt"
    for round in range(60):
        damaged = bytearray(content[: dice.randrange(len(content) + 1)] if round % 2 else content)
        for _ in range(round % 5):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.choice([0, 9, 10, 34, 46, 45, 57, 123, 255])
        path.write_bytes(bytes(damaged))
        for format in ("auto", name):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)
                try:
                    read_events(path, format=format)
                except UserError as error:
                    assert "x.txt" in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"0" * (700 << 20), 1), "unfolds to more than"),
        (b"x" * (4 << 20), "row 1|not a number|field larger"),
        (b"[" * 200_000, "JSON"),
        (b'{"annotations": ' + b"[" * 200_000, "nested too deeply"),
        (b'{"annotations": [' + b'{"a":' * 5000, "JSON"),
    ],
)
def test_hostile_files_are_refused_at_once(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    start = time.monotonic()
    with pytest.raises(UserError, match=message):
        read_events(tmp_path / "x.txt")
    assert time.monotonic() - start < 20
