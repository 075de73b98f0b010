"""Scores from and to the DataFrames of sed_scores_eval, held against its own functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc import SimulationConfig, simulate
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.formats import write_scores
from rl_postproc.utils.errors import UserError

pandas = pytest.importorskip("pandas", reason="pandas is not installed")


@st.composite
def score_sets(draw: st.DrawFn) -> ScoreSet:
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    cells = int(np.prod(shape))
    scores = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=cells, max_size=cells))).reshape(shape)
    rows = draw(st.sampled_from([1, shape[0]]))
    steps = draw(st.lists(st.floats(0.001, 1), min_size=rows * (shape[2] + 1), max_size=rows * (shape[2] + 1)))
    edges = torch.tensor(steps, dtype=torch.float64).reshape(rows, -1).cumsum(1)
    n_frames = torch.tensor(draw(st.lists(st.integers(1, shape[2]), min_size=shape[0], max_size=shape[0])))
    names = [f"c{i}" for i in range(shape[0])], [f"k{i}" for i in range(shape[1])]
    return ScoreSet.build(scores, edges, *names, n_frames)


@settings(max_examples=60, deadline=None)
@given(score_sets())
def test_there_and_back_is_the_same_set(scores: ScoreSet) -> None:
    found = ScoreSet.from_sed_scores_eval(scores.to_sed_scores_eval())
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    assert torch.equal(found.n_frames, scores.n_frames) and torch.equal(found.durations, scores.durations)
    assert torch.equal(found.scores, scores.scores[:, :, : found.width])
    for clip, n in enumerate(scores.n_frames.tolist()):
        assert torch.equal(*(one.edges[clip if len(one.edges) > 1 else 0, : n + 1] for one in (found, scores)))


@pytest.fixture(scope="module")
def made() -> ScoreSet:
    return simulate(SimulationConfig(n_clips=6, classes=["Cat", "Dog"], clip_seconds=5))


def test_what_its_own_function_makes_is_read() -> None:
    peer = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed").base_modules.scores
    values, edges = np.array([[0.1, 0.2], [0.9, 0.4]]), np.array([0.0, 0.5, 1.25])
    tables = {"a": peer.create_score_dataframe(values, edges, ["Cat", "Dog"])}
    truth = {"a": [(0.5, 1.0, "Cat"), (0.0, 0.5, "Dog")]}
    found = ScoreSet.from_sed_scores_eval(tables, references=truth, durations={"a": 1.1})
    assert found.scores[0].T.numpy() == pytest.approx(values)
    assert (found.edges.tolist(), found.durations.tolist()) == ([edges.tolist()], [1.1])
    assert found.require_references().to_rows() == [("a", 0.5, 1.0, "Cat"), ("a", 0.0, 0.5, "Dog")]


def test_its_functions_take_ours(made: ScoreSet, tmp_path: Path) -> None:
    peer = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed")
    tables = made.to_sed_scores_eval()
    found = peer.base_modules.detection.scores_to_event_list(tables, 0.5, event_classes=list(made.classes))
    events = TrackEvents.from_decisions(made.scores.flatten(0, 1).T > 0.5, made.frames)
    seconds = dict(zip(made.clip_ids, made.durations.tolist(), strict=True))
    theirs = [
        (clip + ".wav", onset, min(offset, seconds[clip + ".wav"]), label)
        for clip, rows in found.items() for onset, offset, label in rows
    ]  # fmt: skip
    ours = events.to_events(made.clip_ids, made.classes).to_rows()
    assert len(ours) >= 10 and sorted(theirs) == [pytest.approx(row) for row in sorted(ours)]
    truth: dict[str, list] = {clip: [] for clip in tables}
    for clip, onset, offset, label in made.require_references().to_rows():
        truth[clip.removesuffix(".wav")].append((onset, offset, label))
    write_scores(made, tmp_path)
    collars = {"onset_collar": 0.2, "offset_collar": 0.2, "offset_collar_rate": 0.2}
    results = [peer.collar_based.fscore(x, truth, threshold=0.5, **collars)[0] for x in (tables, str(tmp_path))]
    assert results[0] == results[1] and results[0]["macro_average"] > 0


def table(**changes: list) -> pandas.DataFrame:
    return pandas.DataFrame({"onset": [0.0, 0.5], "offset": [0.5, 1.0], "Cat": [0.1, 0.2], **changes})


BAD = {
    "no clip": ({}, "There is no clip"),
    "no table": ({"a": [[0.0, 1.0, 0.5]]}, "clip 'a' has the columns of no DataFrame"),
    "no class": ({"a": table().drop(columns="Cat")}, "has the columns onset, offset; give"),
    "other classes": ({"a": table(), "b": table(Dog=[0.0, 0.0])}, "clip 'b' differs from the first in the class 'Dog'"),
    "no row": ({"a": table().iloc[:0]}, "clip 'a' has no row"),
    "text": ({"a": table(Cat=["x", "y"])}, "clip 'a' holds what is no number"),
    "gap": ({"a": table(offset=[0.4, 1.0])}, "leave neither gaps nor overlaps"),
    "backwards": ({"a": table(onset=[0.5, 0.0])}, "do not increase from 0"),
    "logits": ({"a": table(Cat=[0.1, 3.0])}, r"not a probability in \[0, 1\]"),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_hold_no_scores_are_refused(case: str) -> None:
    tables, message = BAD[case]
    with pytest.raises(UserError, match=message):
        ScoreSet.from_sed_scores_eval(tables)


def test_clips_that_differ_in_their_extensions_alone_are_refused() -> None:
    scores = ScoreSet.build(torch.rand(2, 1, 1), torch.tensor([0.0, 1.0]), ["a.wav", "a.flac"], ["Cat"])
    with pytest.raises(UserError, match="Two clips are called 'a' without"):
        scores.to_sed_scores_eval()
