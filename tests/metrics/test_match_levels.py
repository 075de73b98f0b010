"""True positives of events that are kept up to a level: at each level those of the events that are left."""

from __future__ import annotations

import pytest
import torch
from cases import small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts.levels import tabulate
from rl_postproc.data.events import Events
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

CLIPS, CLASSES = ("a", "b"), ("x",)
TENTHS = st.integers(0, 12).map(lambda n: n / 10)
# Short and close together, so that several references and events suit each other.
reference = st.tuples(st.integers(0, 1), TENTHS, st.integers(1, 4).map(lambda n: n / 10))
gaps = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(1, 5)), max_size=8)


def events_of(rows: list[tuple[int, float, float]]) -> Events:
    clip, onset, offset = (torch.tensor([row[i] for row in rows]) for i in range(3))
    return Events.from_tensors(
        CLIPS, CLASSES, clip.long(), torch.zeros(len(rows)).long(), onset.double(), offset.double()
    )


@settings(max_examples=300)
@given(wanted=st.lists(reference, max_size=8), found=st.tuples(gaps, gaps))
def test_every_level_counts_what_is_left_there(wanted: list, found: tuple[list, list]) -> None:
    metric, rows, levels = EventBased(), [], []
    for clip, own in enumerate(found):
        time = 0.0
        for gap, length, level in own:
            onset = time + gap / 10
            time = onset + length / 10
            rows.append((clip, onset, time))
            levels.append(level)
    references = events_of([(clip, onset, onset + length) for clip, onset, length in wanted])
    estimates, level = events_of(rows), torch.tensor(levels, dtype=torch.int64)
    intervals = metric.level_intervals(references, estimates, level)
    for name, part in intervals.items():
        table = tabulate(part, 2, 5, torch.int32)
        for at in range(5):
            left = events_of([row for row, top in zip(rows, levels, strict=True) if top > at])
            assert torch.equal(table[:, at], metric.count(references, left)[name][:, 0].int()), (name, at)


@pytest.mark.parametrize("last", [{"stage": "confidence", "threshold": [0.1, 0.4, 0.7]}, {"stage": "duration"}])
def test_a_metric_without_the_fast_path_counts_the_same(last: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = small_simulation(8, 2, short=0.4)
    stack = Stack.from_config([{"stage": "boxes", "window": [0.2, 0.4]}, last])
    fast = TuningTask.build(scores, stack).table
    monkeypatch.setattr(EventBased, "level_intervals", lambda *_: None)
    slow = TuningTask.build(scores, stack).table
    for name, column in fast.counts.items():
        assert torch.equal(column.int(), slow.counts[name].int()), name
