"""Lists of sed_eval and dcase_util: every form of theirs is read as they read it, and ours by them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_postproc.data.events import Events
from rl_postproc.formats import read_events, write_events
from rl_postproc.utils.errors import DataWarning, UserError

OFFICE = "21.64715\t23.00552\talert\n36.91184\t38.27021\talert\n7.546220\t9.014880\tdoorslam\n"
STREET = (
    "audio/street/b099.wav\tstreet\t13.837159\t22.064659\tcar\n"
    "audio/street/b099.wav\tstreet\t15.500374\t18.187105\tbrakes squeaking\n"
    "audio/street/a013.wav\tstreet\t5.75604\t8.771984\tpeople walking\n"
)
FORMS = {
    "onset offset label": OFFICE,
    "file onset offset label": "/m/0284vy3\t0.1\t2.0\tTrain horn\n/m/05x_td\t2.9\t5.2\tAir horn, truck horn\n",
    "file scene onset offset label": STREET,
    "file onset offset label identifier": "a.wav\t0.5\t1.0\tcar horn\tsession7\n",
    "file scene onset offset label source": "a.wav\tstreet\t0.5\t1.0\tcar horn\tm\nb.wav\tstreet\t0\t2\tdog\tmain\n",
    "file scene onset offset label source identifier": "a.wav\tstreet\t0.5\t1.0\tcar horn\tm\tid42\n",
    "files without events": "a.wav\t0.5\t1.0\tdog\nb.wav\nc.wav\t\t\t\n",
}
"""As sed_eval's own examples are, and as dcase_util documents them."""


def theirs(path: Path) -> list[tuple]:
    sed_eval = pytest.importorskip("sed_eval")
    loaded = sed_eval.io.load_event_list(str(path))
    return [(e.filename or path.stem, e.onset, e.offset, e.event_label) for e in loaded]


def ours(path: Path) -> list[tuple]:
    return [row[:4] for row in read_events(path)]


@pytest.mark.parametrize(
    ("form", "separator"), [(form, sep) for form, text in FORMS.items() for sep in "\t;, " if sep not in text]
    + [(form, "\t") for form in FORMS]
)  # fmt: skip
def test_every_form_is_read_as_sed_eval_reads_it(tmp_path: Path, form: str, separator: str) -> None:
    text = FORMS[form]
    path = tmp_path / "list.txt"
    path.write_text(text)
    expected = theirs(path)
    path.write_text(text.replace("\t", separator))
    assert ours(path) == expected
    if "without" not in form:  # there their sniffer finds no other separator than tabs
        assert theirs(path) == expected


def test_lists_with_a_header_are_read_as_dcase_util_reads_them(tmp_path: Path) -> None:
    dcase_util = pytest.importorskip("dcase_util")
    path = tmp_path / "street.csv"
    path.write_text("filename\tscene_label\tonset\toffset\tevent_label\n" + STREET)
    loaded = dcase_util.containers.MetaDataContainer().load(str(path))
    assert ours(path) == [(e.filename, e.onset, e.offset, e.event_label) for e in loaded]


ITEMS = [
    {"filename": "a.wav", "onset": 0.5, "offset": 1.25, "event_label": "dog bark"},
    {"filename": "a.wav", "onset": 2.0, "offset": 3.0, "event_label": "speech"},
]


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("extra", [{}, {"scene_label": "street"}, {"scene_label": "street", "source_label": "m"}])
@pytest.mark.parametrize("suffix", [".txt", ".ann", ".csv"])
def test_what_dcase_util_saves_is_read(tmp_path: Path, suffix: str, extra: dict[str, str], delimiter: str) -> None:
    dcase_util = pytest.importorskip("dcase_util")
    path = tmp_path / f"list{suffix}"
    dcase_util.containers.MetaDataContainer([{**item, **extra} for item in ITEMS]).save(str(path), delimiter=delimiter)
    assert ours(path) == [tuple(item.values()) for item in ITEMS]
    bare = [{key: item[key] for key in item if key != "filename"} for item in ITEMS]
    dcase_util.containers.MetaDataContainer(bare).save(str(path), delimiter=delimiter)
    assert ours(path) == [("list", *item.values()) for item in bare]


@pytest.mark.parametrize("format", ["sed_eval", "table"])
def test_what_we_write_is_read_by_them(tmp_path: Path, format: str) -> None:
    events = Events.from_rows([tuple(item.values()) for item in ITEMS], ("a.wav", "b.wav"), ("dog bark", "speech"))
    path = tmp_path / ("list.txt" if format == "sed_eval" else "list.csv")
    write_events(events, path, format=format)
    found = [row for row in theirs(path) if row[3] and row[3] != "event_label"]
    assert found == [tuple(item.values()) for item in ITEMS]


def test_labels_of_one_clip_are_read_by_sed_eval(tmp_path: Path) -> None:
    events = Events.from_rows([("a.wav", 0.5, 1.25, "dog bark")], ("a.wav",), ("dog bark",))
    write_events(events, tmp_path / "a.txt", format="audacity")
    assert theirs(tmp_path / "a.txt") == [("a", 0.5, 1.25, "dog bark")]


@pytest.fixture
def heard() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield caught


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5\t1.0\n2.0\t3.0\n", [("x", 0.5, 1.0, "event"), ("x", 2.0, 3.0, "event")]),
        ("a.wav\t0.5\t1.0\nb.wav\n", [("a.wav", 0.5, 1.0, "event"), ("b.wav", None, None, None)]),
        ("a.wav\tstreet\t0.5\t1.0\n", [("a.wav", 0.5, 1.0, "event")]),
    ],
)
def test_events_without_labels_are_of_one_class(
    tmp_path: Path, text: str, expected: list[tuple], heard: list[warnings.WarningMessage]
) -> None:
    (tmp_path / "x.txt").write_text(text)
    assert ours(tmp_path / "x.txt") == expected
    n = sum(row[3] is not None for row in expected)
    assert [f"The {n} events in '{tmp_path / 'x.txt'}' have no labels; all are read as the class 'event'."] == [
        str(one.message) for one in heard
    ]


def test_tags_of_a_stretch_are_an_event_each(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a.wav\tstreet\t0.5\t1.0\tcar;dog;\n")
    assert ours(tmp_path / "x.txt") == [("a.wav", 0.5, 1.0, "car"), ("a.wav", 0.5, 1.0, "dog")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0.1\t0.5\t1.0\n",
            "columns of numbers may be onset, offset, event_label or filename, onset, offset; write",
        ),
        (OFFICE + "1.0\t2.0\n", r"row 4: 2 columns where 3 are expected"),
        (OFFICE + "1.0\t2.0\t\n", r"row 4: the event has times but no label"),
        (OFFICE + "3.0\t2.0\tdog\n", r"row 4: the onset 3.0 lies after the offset 2.0"),
        (OFFICE + "3,5\t4.0\tdog\n", r"row 4: the onset '3,5' has a decimal comma; write points, such as 3.5"),
        ("3,25;4,5;dog\n", r"row 1: the onset '3,25' has a decimal comma"),
        (STREET + "a.wav\tstreet\tx\t1.0\tcar\n", "row 4: the onset 'x' is not a number"),
        ("a.wav\tstreet\nb.wav\tpark\n", "row 1: 2 columns where 4 are expected"),
    ],
)
def test_lists_that_cannot_be_told_or_used_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_events(tmp_path / "x.txt")


def test_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("7\t0.5\t1.0\n")
    columns = ("filename", "onset", "offset")
    (row,) = read_events(tmp_path / "x.txt", format="sed_eval", columns=columns)
    assert row[:4] == ("7", 0.5, 1.0, "event")
    with pytest.raises(UserError, match=r"columns of .* are given as onset; name onset and offset among them"):
        read_events(tmp_path / "x.txt", format="sed_eval", columns=("onset",))


def test_a_folder_of_lists_is_one_set_of_references(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_text(OFFICE)
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "classes.txt").write_text("alert\n")
    rows = read_events(tmp_path)
    assert [row.filename for row in rows] == ["a", "a", "a", "b"]
    assert rows[-1].label is None
