"""Events from and to pandas and dcase_util, and between them and `evaluate`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc import Events, UserError, evaluate
from rl_postproc.data.frames import DECIMALS

CLIPS, CLASSES = ("b.wav", "silent.wav", "a, 犬.wav"), ("Speech", "Bell, alarm", "Dog")
ROWS = [("b.wav", 0.5, 1.25, "Dog"), ("a.wav", 0.0, 10.0, "Cat")]
ITEMS = [{"filename": n, "onset": on, "offset": off, "event_label": label} for n, on, off, label in ROWS]


@st.composite
def sets(draw: st.DrawFn) -> Events:
    time = st.floats(0, 3600).map(lambda value: round(value, DECIMALS))
    row = st.tuples(st.sampled_from(CLIPS[::2]), time, time, st.sampled_from(CLASSES))
    rows = draw(st.lists(row.filter(lambda row: row[1] <= row[2]), max_size=10))
    events = Events.from_rows(rows, CLIPS, CLASSES)
    if not draw(st.booleans()):
        return events
    sure = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=len(rows), max_size=len(rows))))
    return Events.from_tensors(CLIPS, CLASSES, events.clip, events.label, events.onset, events.offset, sure)


def assert_equal(found: Events, expected: Events, confidence: bool = True) -> None:
    assert (found.clip_ids, found.classes) == (expected.clip_ids, expected.classes)
    assert found.to_rows() == expected.to_rows()
    assert torch.equal(found.confidence, expected.confidence if confidence else torch.ones(len(expected)))


@settings(deadline=None, max_examples=30)
@given(sets())
def test_events_come_back_from_pandas_and_dcase_util(events: Events) -> None:
    pytest.importorskip("pandas")
    frame = events.to_pandas()
    assert [*dict.fromkeys(frame["filename"])] == list(CLIPS)
    assert ("confidence" in frame) == bool((events.confidence != 1).any())
    assert_equal(Events.from_pandas(frame, classes=CLASSES), events)
    assert_equal(Events.from_dcase_util(events.to_dcase_util(), classes=CLASSES), events, confidence=False)


def test_tables_of_pandas_read_from_files_are_understood(tmp_path: Any) -> None:
    pandas = pytest.importorskip("pandas")
    from rl_postproc.formats import write_events

    events = Events.from_rows([*ROWS, ("b.wav", 2, 3, "Dog")], ("b.wav", "silent.wav", "a.wav"), ("Cat", "Dog"))
    write_events(events, tmp_path / "events.tsv")
    assert_equal(Events.from_pandas(pandas.read_csv(tmp_path / "events.tsv", sep="\t")), events)
    strong = pandas.DataFrame({"label": ["/m/0"], "end_time_seconds": [2], "start_time_seconds": [np.float32(1)],
                               "segment_id": ["b0_3"], "other": ["x"]})  # fmt: skip
    assert Events.from_pandas(strong).to_rows() == [("b0_3", 1.0, 2.0, "/m/0")]


def test_dcase_util_and_sed_eval_take_what_leaves_and_give_what_enters() -> None:
    sed_eval = pytest.importorskip("sed_eval")
    import dcase_util

    events = Events.from_rows(ROWS, ("b.wav", "silent.wav", "a.wav"), ("Cat", "Dog"))
    container = events.to_dcase_util()
    assert isinstance(container, dcase_util.containers.MetaDataContainer)
    assert container.unique_files == ["a.wav", "b.wav", "silent.wav"]
    assert container.unique_event_labels == ["Cat", "Dog"]
    meter = sed_eval.sound_event.EventBasedMetrics(["Cat", "Dog"], t_collar=0.2)
    for name in container.unique_files:
        side = container.filter(filename=name).filter(event_list=["Cat", "Dog"])
        meter.evaluate(side, side)
    assert meter.overall["Ntp"] == meter.overall["Nref"] == 2
    assert_equal(Events.from_dcase_util(dcase_util.containers.MetaDataContainer(ITEMS)), Events.from_rows(
        ROWS, ("b.wav", "a.wav"), ("Cat", "Dog")))  # fmt: skip
    nameless = [{"onset": 0.5, "offset": 1, "event_label": "Dog"}]
    assert Events.from_dcase_util(nameless, clip="x").to_rows() == [("x", 0.5, 1.0, "Dog")]


def test_evaluate_takes_both_sides_as_they_come() -> None:
    references = Events.from_dcase_util([*ITEMS, {"filename": "silent.wav"}])
    found = Events.from_dcase_util([{**ITEMS[1], "event_label": "Cow"}, ITEMS[0]])
    figures = evaluate(references, found)
    assert figures.classes == ("Cat", "Dog", "Cow")
    assert figures.counts["estimated"].tolist() == [0, 1, 1]
    assert figures.counts["true_positives"].tolist() == [0, 1, 0]
    fewer = evaluate(references, Events.from_rows([ROWS[0]], ("b.wav",), ("Dog",)))
    assert fewer.classes == ("Cat", "Dog")
    assert fewer.counts["true_positives"].tolist() == [0, 1]
    assert fewer.counts["reference"].tolist() == [1, 1]
    stems = evaluate(references, Events.from_rows([("b", *ROWS[0][1:])], ("b",), ("Dog",)))
    assert stems.counts["true_positives"].tolist() == [0, 1]
    with pytest.raises(UserError, match=r"events of the clip 'b\.wav', which is not among the 1 of the other side"):
        evaluate(Events.from_rows([], ("a.wav",), ("Dog",)), found)


BAD = [
    ({"filename": None}, "Event item 1: the file name None is no text"),
    ({"onset": 3.0}, r"Event item 1: 3\.0 to 1\.25 is no stretch of time"),
    ({"offset": float("inf")}, "is no stretch of time"),
    ({"onset": "early"}, "early to 1.25 is no stretch of time"),
    ({"event_label": None}, "Event item 1: the label None is no text"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_items_that_are_no_events_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Events.from_dcase_util([ITEMS[1], {**ITEMS[0], **change}])


def test_tables_that_hold_no_events_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ITEMS)
    with pytest.raises(UserError, match="no column offset, event_label; its columns must be filename, onset"):
        Events.from_pandas(frame[["filename", "onset"]])
    with pytest.raises(UserError, match=r"Event row 0: the confidence 3\.0 is no number from 0 to 1"):
        Events.from_pandas(frame.assign(confidence=[3.0, 0.5]))
    with pytest.raises(UserError, match=r"class 'Dog' is not among the 1 given; known are Cat"):
        Events.from_pandas(frame, classes=["Cat"])
    with pytest.raises(UserError, match=r"clip 'a\.wav' is not among the 1 given"):
        Events.from_pandas(frame, clip_ids=["b.wav"])
