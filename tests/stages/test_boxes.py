"""Boxes against the definition in the paper, step by step in plain Python with exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.boxes import Boxes
from rl_postproc.stages.confidence import Confidence
from rl_postproc.utils.errors import UserError

# Sixteenths are exact in floating point.
scores = st.lists(st.integers(0, 16).map(lambda n: n / 16), min_size=1, max_size=40)


def frames_of(n: int, n_tracks: int = 1, hop: float = 1.0) -> Frames:
    edges = torch.arange(n + 1, dtype=torch.float64)[None] * hop
    return Frames(torch.full((n_tracks,), n), hop, edges, torch.full((n_tracks,), n * hop, dtype=torch.float64))


def plain_boxes(
    track: list[float], window: Fraction, absolute: float, relative: float
) -> list[tuple[int, int, Fraction]]:
    """First frame, one after the last, and mean score of each box."""
    exact = [Fraction(score) for score in track]

    def area(begin: Fraction, end: Fraction) -> Fraction:
        return sum(
            (
                score * max(Fraction(0), min(end, Fraction(i + 1)) - max(begin, Fraction(i)))
                for i, score in enumerate(exact)
            ),
            Fraction(0),
        )

    half = window / 2
    change = [(area(Fraction(e), e + half) - area(e - half, Fraction(e))) / half for e in range(len(exact) + 1)]
    # Follow the filter's output: a box opens where it stops rising, and closes where it begins to rise again.
    boxes, begin, rising = [], None, True
    for edge in range(len(exact)):
        now_rising = change[edge + 1] > change[edge]
        if rising and not now_rising:
            begin = edge
        if not rising and now_rising:
            boxes.append((begin, edge))
            begin = None
        rising = now_rising
    if begin is not None:
        boxes.append((begin, len(exact)))
    found: list[list[int]] = []
    heights: list[Fraction] = []
    for first, end in boxes:
        top = max(exact[first:end])
        if found:
            low = min(exact[found[-1][1] : first])
            floor = Fraction(1, 1000)
            if all(
                (absolute >= 1 or side - low < Fraction(absolute))
                and (relative >= 1001 or (side + floor) / (low + floor) < Fraction(relative))
                for side in (heights[-1], top)
            ):
                found[-1][1], heights[-1] = end, top
                continue
        found.append([first, end])
        heights.append(top)
    return [(a, b, sum(exact[a:b], Fraction(0)) / (b - a)) for a, b in found if any(exact[a:b])]


@settings(max_examples=400)
@given(
    track=scores,
    window=st.sampled_from([Fraction(2), Fraction(3), Fraction(4), Fraction(5, 2), Fraction(9)]),
    absolute=st.sampled_from([0.125, 0.25, 0.5, 1.0]),
    relative=st.sampled_from([1.5, 2.0, 3.0, 1001.0]),
)
def test_boxes_are_those_of_the_definition(
    track: list[float], window: Fraction, absolute: float, relative: float
) -> None:
    values = {"window": float(window), "absolute": absolute, "relative": relative}
    found = Boxes()(
        torch.tensor(track)[:, None], frames_of(len(track)), **{k: torch.tensor([v]) for k, v in values.items()}
    )
    expected = plain_boxes(track, window, absolute, relative)
    assert list(zip(found.onset.tolist(), found.offset.tolist(), strict=True)) == [(a, b) for a, b, _ in expected]
    assert found.confidence.tolist() == pytest.approx([float(mean) for _, _, mean in expected], abs=1e-6)


def test_a_step_up_and_down_is_one_box_there() -> None:
    track = torch.zeros(60)
    track[20:40] = 0.8
    values = {"window": torch.tensor([8.0]), "absolute": torch.tensor([0.2]), "relative": torch.tensor([1001.0])}
    found = Boxes()(track[:, None], frames_of(60), **values)
    sure = Confidence()(found, frames_of(60), threshold=torch.tensor([0.5]))
    assert (sure.onset.tolist(), sure.offset.tolist()) == ([20.0], [40.0])
    assert sure.confidence.tolist() == pytest.approx([0.8])


def test_the_sweep_gives_what_each_setting_gives() -> None:
    generator = torch.Generator().manual_seed(3)
    x, frames = torch.rand(50, 4, generator=generator), frames_of(50, 4, 0.064)
    stage = Boxes.model_validate({"window": [0.2, 0.5], "absolute": [0.1, 0.4], "relative": [1.5, 1001]})
    swept, candidate = stage.sweep(x, frames), 0
    for window in (0.2, 0.5):
        for absolute in (0.1, 0.4):
            for relative in (1.5, 1001.0):
                values = {"window": window, "absolute": absolute, "relative": relative}
                own = stage(x, frames, **{k: torch.full((4,), v) for k, v in values.items()})
                mine = swept.track // 4 == candidate
                for name in ("onset", "offset", "confidence"):
                    assert torch.equal(getattr(swept, name)[mine], getattr(own, name))
                assert torch.equal(swept.track[mine] % 4, own.track)
                candidate += 1
    assert swept.n_tracks == 4 * candidate


@given(level=st.sampled_from([0.0, 0.3, 0.5, 1.0]), sure=st.lists(st.floats(0, 1, width=32), max_size=8))
def test_confidence_keeps_what_is_strictly_surer(level: float, sure: list[float]) -> None:
    onset = torch.arange(len(sure), dtype=torch.float64)
    events = TrackEvents(torch.zeros(len(sure), dtype=torch.int64), onset, onset + 1, torch.tensor(sure), 1)
    threshold = torch.tensor([level])
    found = Confidence()(events, frames_of(10), threshold=threshold)
    assert found.onset.tolist() == [float(i) for i, c in enumerate(sure) if c > float(threshold)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"relative": [0.5, 2]}, "ratios must be at least 1"),
        ({"absolute": 1.5}, r"must lie in \[0, 1\]"),
        ({"window": -1}, "must not be negative"),
    ],
)
def test_impossible_values_are_refused(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Boxes.make({"stage": "boxes", **values})
