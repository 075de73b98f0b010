"""Score sets and event tables: what is refused, what is cut, and how clips are selected and dealt into folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from hypothesis import given
from hypothesis import strategies as st

from rl_postproc.data.events import Events
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.errors import UserError, suggest

BASE: dict[str, Any] = {
    "scores": torch.full((2, 2, 4), 0.5),
    "edges": torch.arange(5) * 0.1,
    "clip_ids": ["a", "b"],
    "classes": ["Cat", "Dog"],
}


def with_value(index: tuple[int, int, int], value: float) -> torch.Tensor:
    scores = BASE["scores"].clone()
    scores[index] = value
    return scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": with_value((1, 0, 2), float("nan"))}, r"Clip 'b', class 'Cat', frame 2.*nan"),
        ({"scores": with_value((0, 1, 3), 1.001)}, r"Clip 'a', class 'Dog', frame 3.*1.001"),
        ({"scores": with_value((0, 1, 0), -0.1)}, r"Clip 'a', class 'Dog', frame 0.*-0.1"),
        ({"scores": with_value((0, 0, 0), float("inf"))}, r"frame 0.*inf"),
        ({"scores": torch.zeros(2, 2, 0), "edges": torch.zeros(1)}, r"at least one clip, class and frame"),
        ({"scores": torch.zeros(0, 2, 4), "clip_ids": []}, r"at least one clip"),
        ({"clip_ids": ["a"]}, r"do not fit 1 clip ids"),
        ({"classes": ["Cat", "Dog", "Cow"]}, r"do not fit 2 clip ids and 3 class names"),
        ({"clip_ids": ["a", "a"]}, r"Clip id 'a' occurs twice"),
        ({"classes": ["Cat", "Cat"]}, r"Class 'Cat' occurs twice"),
        ({"edges": torch.arange(4) * 0.1}, r"4 frames need 5 edges"),
        ({"edges": torch.tensor([0.0, 0.1, 0.1, 0.2, 0.3])}, r"increase strictly"),
        ({"edges": torch.tensor([0.0, 0.2, 0.1, 0.3, 0.4])}, r"increase strictly"),
        ({"edges": torch.tensor([0.0, 0.1, 0.2, 0.3, float("inf")])}, r"finite"),
        ({"durations": torch.tensor([0.4, 0.0])}, r"duration of clip 'b'"),
        ({"durations": torch.tensor([-1.0, 0.4])}, r"duration of clip 'a'"),
        ({"durations": torch.tensor([float("nan"), 0.4])}, r"duration of clip 'a'"),
        ({"edges": torch.arange(1, 6) * 0.1, "durations": torch.tensor([0.5, 0.1])}, r"'b' has no frame inside"),
        ({"references": Events.from_rows([], ["a", "c"], ["Cat", "Dog"])}, r"list other clips or classes"),
        ({"references": Events.from_rows([], ["a", "b"], ["Cat"])}, r"list other clips or classes"),
    ],
)
def test_build_refuses_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        ScoreSet.build(**(BASE | change))
    assert "\n" not in str(caught.value)


def test_what_lies_beyond_a_clips_end_may_be_anything_and_is_silenced() -> None:
    scores = with_value((1, 0, 3), float("nan"))
    built = ScoreSet.build(**(BASE | {"scores": scores}), n_frames=torch.tensor([4, 3]))
    assert built.scores[1, :, 3].tolist() == [0.0, 0.0]
    assert built.scores[0].eq(0.5).all()
    assert built.valid.tolist() == [[True] * 4, [True] * 3 + [False]]


@pytest.mark.parametrize(
    ("duration", "n_frames"), [(0.4, 4), (0.31, 4), (0.3, 3), (0.30000001, 4), (0.05, 1), (9.0, 4)]
)
def test_frames_that_begin_at_or_after_the_clips_end_are_cut(duration: float, n_frames: int) -> None:
    edges = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    durations = torch.tensor([duration, 0.4], dtype=torch.float64)
    built = ScoreSet.build(**(BASE | {"edges": edges}), durations=durations)
    assert built.n_frames.tolist() == [n_frames, 4]
    last = built.clip_frames.offset_times(torch.tensor([0]), torch.tensor([n_frames - 1]))
    assert float(last) == pytest.approx(min(duration, 0.4), abs=1e-6)


def test_without_durations_a_clip_ends_with_its_last_frame() -> None:
    built = ScoreSet.build(**BASE, n_frames=torch.tensor([4, 2]))
    assert built.durations.tolist() == pytest.approx([0.4, 0.2])


def test_selected_clips_keep_their_own_scores_edges_and_references() -> None:
    rng = np.random.default_rng(0)
    edges = torch.from_numpy(np.cumsum(rng.random((4, 7)) + 0.1, axis=1))
    rows = [(f"c{c}", c / 10, c / 10 + 0.5, "k1") for c in (0, 1, 1, 3)]
    scores = make_set(rng.random((4, 2, 6)), rows, edges=edges, n_frames=[6, 5, 4, 3])
    part = scores.select([3, 1])
    assert part.clip_ids == ("c3", "c1")
    assert torch.equal(part.scores, scores.scores[[3, 1]])
    assert torch.equal(part.edges, scores.edges[[3, 1]])
    assert part.n_frames.tolist() == [3, 5]
    assert torch.equal(part.durations, scores.durations[[3, 1]])
    assert part.require_references().to_rows() == [
        ("c3", 0.3, 0.8, "k1"),
        ("c1", 0.1, 0.6, "k1"),
        ("c1", 0.1, 0.6, "k1"),
    ]
    assert part.require_references().counts().tolist() == [[0, 1], [0, 2]]


def test_shared_edges_stay_shared() -> None:
    assert make_set(np.zeros((3, 1, 5))).select([2]).edges.shape == (1, 6)


def test_references_that_are_missing_are_asked_for() -> None:
    with pytest.raises(UserError, match="--references"):
        ScoreSet.build(**BASE).require_references()


@given(
    st.lists(st.text("abcXYZ019_.é", min_size=1, max_size=6), min_size=1, max_size=40, unique=True), st.integers(2, 6)
)
def test_folds_follow_the_held_out_protocol(clip_ids: list[str], n_folds: int) -> None:
    permuted = np.random.default_rng(0).permutation(len(clip_ids)) % n_folds
    expected = dict(zip(sorted(clip_ids), permuted.tolist(), strict=True))
    assert fold_of_clips(clip_ids, n_folds).tolist() == [expected[name] for name in clip_ids]


def test_folds_do_not_depend_on_the_global_random_state() -> None:
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    first = fold_of_clips([f"c{i}" for i in range(20)])
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(first, fold_of_clips([f"c{i}" for i in range(20)]))
    assert torch.bincount(first).tolist() == [4] * 5


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", 0.0, 1.0, "Cat"), r"Clip 'x'.*not among the 2 clips"),
        (("a", 0.0, 1.0, "Cta"), r"unknown class 'Cta'.*did you mean 'Cat'"),
        (("a", 1.0, 0.5, "Cat"), r"ends at 0.5 s, before its onset 1.0 s"),
    ],
)
def test_events_that_do_not_fit_are_refused(row: tuple[str, float, float, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Events.from_rows([row], ["a", "b"], ["Cat", "Dog"])


times = st.integers(0, 50).map(lambda t: t / 10)
rows_of_events = st.lists(
    st.tuples(st.sampled_from("abc"), times, times, st.sampled_from(("Cat", "Dog"))).map(
        lambda r: (r[0], min(r[1:3]), max(r[1:3]), r[3])
    ),
    max_size=12,
)


@given(rows_of_events)
def test_events_are_sorted_by_clip_class_and_onset_and_none_is_lost(rows: list[tuple[str, float, float, str]]) -> None:
    events = Events.from_rows(rows, ["c", "a", "b"], ["Dog", "Cat"])
    order = {"c": 0, "a": 1, "b": 2, "Dog": 0, "Cat": 1}
    assert events.to_rows() == sorted(rows, key=lambda r: (order[r[0]], order[r[3]], r[1], r[2]))
    assert len(events) == len(rows) == int(events.counts().sum())
    parts = [events.select(torch.tensor(clips)) for clips in ([2], [1, 0])]
    assert [part.clip_ids for part in parts] == [("b",), ("a", "c")]
    again = [row for part in parts for row in part.to_rows()]
    assert Events.from_rows(again, ["c", "a", "b"], ["Dog", "Cat"]).to_rows() == events.to_rows()


def test_a_misspelt_name_gets_a_suggestion_and_a_strange_one_the_list() -> None:
    assert "did you mean 'median'" in suggest("medain", ["median", "threshold"])
    assert "known are median, threshold" in suggest("xyz", ["median", "threshold"])


def test_the_hop_is_the_median_frame() -> None:
    assert make_set(np.zeros((1, 1, 5)), edges=torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.9])).hop == pytest.approx(0.1)
    assert small_simulation(n_clips=2).hop == pytest.approx(0.064)
