"""Score sets from arrays of one's own: equal to reading the same from files, and one sentence for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_postproc import Events, ScoreSet, read_scores
from rl_postproc.utils.errors import UserError

CLASSES = ["Cat", "Dog"]
ROWS = [("b", 0.1, 0.25, "Dog"), ("a", 0.0, 0.2, "Cat")]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.random((n, 2), dtype=np.float32) for name, n in (("a", 7), ("b", 4), ("c", 1))}


def make(scores: Any = None, **changes: Any) -> ScoreSet:
    given = {"hop": 0.064, "classes": CLASSES, **changes}
    return ScoreSet.from_arrays(arrays() if scores is None else scores, **given)


def assert_equal(first: ScoreSet, second: ScoreSet) -> None:
    for name in ("scores", "n_frames", "edges", "durations"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
    assert (first.clip_ids, first.classes) == (second.clip_ids, second.classes)
    if first.references is not None and second.references is not None:
        assert first.references.to_rows() == second.references.to_rows()
    assert (first.references is None) == (second.references is None)


def test_arrays_are_read_as_the_same_arrays_in_files(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    for name, array in arrays().items():
        np.save(tmp_path / "scores" / f"{name}.npy", array)
    lines = ["filename\tonset\toffset\tevent_label", *("\t".join(map(str, row)) for row in ROWS), "c\t\t\t"]
    (tmp_path / "references.tsv").write_text("\n".join(lines) + "\n")
    durations = {"a": 0.4, "b": 0.25, "c": 0.064}
    lines = ["filename\tduration", *(f"{name}\t{length}" for name, length in durations.items())]
    (tmp_path / "durations.tsv").write_text("\n".join(lines) + "\n")
    files = {"references": tmp_path / "references.tsv", "durations": tmp_path / "durations.tsv"}
    assert_equal(
        make(references=ROWS, durations=durations),
        read_scores(tmp_path / "scores", hop=0.064, classes=CLASSES, **files),
    )
    assert_equal(make(), read_scores(tmp_path / "scores", hop=0.064, classes=CLASSES))


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a.tolist(),
        lambda a: torch.from_numpy(a),
        lambda a: torch.from_numpy(a).double().requires_grad_(),
        lambda a: a.astype(np.float64),
        lambda a: np.asfortranarray(a)[::-1][::-1],
    ],
)
def test_lists_tensors_and_views_are_arrays_too(convert: Any) -> None:
    assert_equal(make({name: convert(array) for name, array in arrays().items()}), make())


def test_whole_numbers_are_probabilities_where_they_are_0_and_1() -> None:
    found = make({"a": [[0, 1], [True, False]]})
    assert found.scores.dtype == torch.float32
    assert found.scores[0].tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_references_may_be_events_of_these_clips_in_another_order() -> None:
    events = Events.from_rows(ROWS, ["c", "b", "a"], ["Dog", "Cat"])
    assert_equal(make(references=events), make(references=ROWS))
    assert_equal(make(references=iter(ROWS)), make(references=ROWS))
    assert make(references=[]).require_references().to_rows() == []


def test_clips_end_with_their_last_frames_unless_durations_say_otherwise() -> None:
    assert make().durations.tolist() == pytest.approx([7 * 0.064, 4 * 0.064, 0.064])
    assert make(durations={"a": 0.1, "b": 9, "c": np.float32(0.5)}).n_frames.tolist() == [2, 4, 1]


def spoiled(value: float) -> dict[str, np.ndarray]:
    found = arrays()
    found["b"][2, 1] = value
    return found


@pytest.mark.parametrize(
    ("scores", "changes", "message"),
    [
        ({}, {}, r"no clip.*mapping"),
        ([[[0.5, 0.5]]], {}, r"mapping of clip ids to arrays"),
        ({3: [[0.5, 0.5]]}, {}, r"clip id 3 is no text"),
        ({"a": [[0.5, 0.5], [0.5]]}, {}, r"clip 'a' are no array"),
        ({"a": [["x", "y"]]}, {}, r"clip 'a' are of type <U1; give numbers"),
        ({"a": [0.5, 0.5]}, {}, r"clip 'a' have the shape \[2\] where \[frame, 2\] is expected"),
        ({"a": np.zeros((0, 2))}, {}, r"shape \[0, 2\]"),
        ({"a": np.zeros((2, 5))}, {}, r"shape \[2, 5\] where \[frame, 2\] is expected; transpose them"),
        ({"a": np.zeros((4, 5))}, {}, r"shape \[4, 5\].*one column a class"),
        (None, {"classes": ["Cat"]}, r"shape \[7, 2\] where \[frame, 1\]"),
        (None, {"classes": "Cat"}, r"classes are 'Cat'; give a list"),
        (None, {"classes": ["Cat", "Cat"]}, r"Class 'Cat' occurs twice"),
        (spoiled(1.5), {}, r"Clip 'b', class 'Dog', frame 2: the score 1\.5 is not a probability"),
        (spoiled(-0.1), {}, r"frame 2: the score -0\.1"),
        (spoiled(np.nan), {}, r"frame 2: the score nan.*remove NaN"),
        (None, {"hop": 0}, r"hop 0 is not a positive number of seconds"),
        (None, {"hop": float("nan")}, r"hop nan"),
        (None, {"hop": "0.064"}, r"hop 0\.064 is not"),
        (None, {"references": [("x", 0.0, 1.0, "Cat")]}, r"Clip 'x' has an event but is not among the 3 clips"),
        (None, {"references": [("a", 0.0, 1.0, "Cta")]}, r"unknown class 'Cta'.*did you mean 'Cat'"),
        (None, {"references": [("a", 1.0, 0.5, "Cat")]}, r"ends at 0\.5 s, before its onset 1\.0"),
        (None, {"references": [ROWS[0], ("a", 1.0, "Cat")]}, r"Row 2 of the references is \('a', 1\.0, 'Cat'\)"),
        (None, {"references": ["abcd"]}, r"Row 1 of the references is 'abcd'; give \(clip_id"),
        (None, {"references": [("a", None, 1.0, "Cat")]}, r"onset and offset must be finite numbers"),
        (None, {"references": [("a", 0.0, float("nan"), "Cat")]}, r"onset and offset must be finite numbers"),
        (None, {"references": [("a", -1.0, 1.0, "Cat")]}, r"onset must not be negative"),
        (None, {"references": [("a", 0.0, 1.0, 0)]}, r"clip id and label must be text"),
        (None, {"durations": {"a": 1.0, "c": 1.0}}, r"durations lack clip 'b'"),
        (None, {"durations": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}}, r"clip 'd', which has no scores"),
        (None, {"durations": {"a": 1.0, "b": -1.0, "c": 1.0}}, r"duration of clip 'b' is -1\.0"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(scores: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make(scores, **changes)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
