"""Whether confidences come true, counted by hand and drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import decode_events, small_simulation

from rl_postproc.data.events import Events
from rl_postproc.metrics import EventBased, Tagging
from rl_postproc.results.calibration import calibration, pooled
from rl_postproc.results.plots import plot_calibration


def drawn(n: int, gain: float) -> tuple[Events, Events]:
    """References a second apart, and an event for each that is right with ``gain`` times its confidence."""
    rng = np.random.default_rng(0)
    confidence = rng.random(n)
    onset = torch.arange(n, dtype=torch.float64)
    wrong = torch.from_numpy(rng.random(n) > gain * confidence)
    zeros = torch.zeros(n, dtype=torch.int64)
    references = Events.from_tensors(("a",), ("x",), zeros, zeros, onset, onset + 0.5)
    events = Events.from_tensors(("a",), ("x",), zeros, zeros, onset + 0.4 * wrong, onset + 0.5 + 0.4 * wrong,
                                 torch.from_numpy(confidence).float())  # fmt: skip
    return references, events


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_the_bins_hold_what_was_drawn(gain: float) -> None:
    rows = pooled([calibration(EventBased(), *drawn(20_000, gain))] * 2)
    assert [row["bin"] for row in rows] == [i / 10 for i in range(10)]
    assert sum(row["events"] for row in rows) == 40_000
    for row in rows:
        assert row["expected"] == pytest.approx(row["bin"] + 0.05, abs=0.01)
        assert row["right"] == pytest.approx(gain * row["expected"], abs=4 * row["error"] + 1e-9)
        assert row["error"] < 0.02
    axes = plot_calibration([{"agent": "a", "calibration": calibration(EventBased(), *drawn(2_000, gain))}], "t").axes[
        0
    ]
    assert len(axes.lines) >= 2 and axes.get_ylabel() == "right in %"


def test_events_that_are_all_as_sure_and_metrics_that_know_no_right_event_give_nothing() -> None:
    references, events = drawn(50, 1.0)
    sure = Events.from_tensors(events.clip_ids, events.classes, events.clip, events.label, events.onset, events.offset)
    assert calibration(EventBased(), references, sure) == []
    assert calibration(EventBased(), references, events.select(torch.tensor([], dtype=torch.int64))) == []
    assert calibration(Tagging(), references, events) == []


def test_right_events_are_those_that_match_alone() -> None:
    """Each event, as if it were the only one, against the count that sed_eval certifies."""
    scores = small_simulation(6)
    references, events = scores.require_references(), decode_events(scores, scores.scores > 0.3)
    metric = EventBased(t_collar=0.3, percentage_of_length=0.4)
    right = metric.right(references, events)
    for i in range(len(events)):
        alone = Events.from_tensors(events.clip_ids, events.classes, *(
            column[i : i + 1] for column in (events.clip, events.label, events.onset, events.offset)))  # fmt: skip
        assert int(metric.count(references, alone)["true_positives"].sum()) == int(right[i])
    assert 0 < int(right.sum()) < len(events)
