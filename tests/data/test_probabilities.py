"""Scores outside [0, 1]: rounding is clipped and counted, the rest is refused with advice that fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores
from rl_postproc.utils.errors import DataWarning, UserError

SCORES = np.array([[0.0, 0.5], [1.0, 0.25], [0.5, 0.75]])
"""``[frame, class]``"""


def build(scores: np.ndarray, folder: Path) -> ScoreSet:
    return ScoreSet.from_arrays({"a": scores}, hop=0.5, classes=["Cat", "Dog"])


def tables(scores: np.ndarray, folder: Path) -> ScoreSet:
    rows = [f"{t / 2}\t{t / 2 + 0.5}\t{cat!r}\t{dog!r}" for t, (cat, dog) in enumerate(scores.tolist())]
    (folder / "a.tsv").write_text("\n".join(["onset\toffset\tCat\tDog", *rows]) + "\n")
    return read_scores(folder)


def arrays(scores: np.ndarray, folder: Path) -> ScoreSet:
    np.save(folder / "a.npy", scores)
    return read_scores(folder, hop=0.5, classes=["Cat", "Dog"])


def tags(scores: np.ndarray, folder: Path) -> ScoreSet:
    np.save(folder / "a.npy", scores)
    return read_scores(folder / "a.npy", classes=["Cat", "Dog"])


WAYS: Any = pytest.mark.parametrize("way", [build, tables, arrays, tags])


@WAYS
def test_rounding_is_clipped_and_counted(way: Any, tmp_path: Path) -> None:
    with pytest.warns(
        DataWarning, match=r"2 scores lie up to 0\.0001 outside \[0, 1\].*the first: clip .*'Cat'"
    ) as said:
        found = way(SCORES + np.array([[-9e-5, 0], [6e-7, 0], [0, 0]]), tmp_path)
    assert len(said) == 1
    assert torch.equal(found.scores.reshape(-1), (way(SCORES, tmp_path)).scores.reshape(-1))


@WAYS
@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda s: s * 8 - 4, "look like logits: apply a sigmoid"),
        (lambda s: s * 100, "look like percent: divide them by 100"),
        (lambda s: s * 1.01, "more than rounding explains"),
        (lambda s: s - 0.001, "more than rounding explains"),
        (lambda s: s * 255, r"from 0 to 255 must be scaled to \[0, 1\]"),
        (lambda s: np.where(s == 1, np.nan, s), "find out why the detector gave it, and remove NaN"),
    ],
)
def test_what_is_farther_outside_is_refused_with_advice_that_fits(
    way: Any, change: Any, advice: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"the score .* is not a probability in \[0, 1\]; .*{advice}"):
        way(change(SCORES), tmp_path)


def test_what_lies_beyond_a_clip_may_be_anything() -> None:
    scores = torch.tensor([[[0.5, float("nan"), 7.0]]])
    found = ScoreSet.build(scores, torch.arange(4.0), ["a"], ["Cat"], durations=torch.tensor([1.0]))
    assert found.scores.tolist() == [[[0.5, 0.0, 0.0]]]
