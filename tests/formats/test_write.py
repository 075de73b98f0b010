"""What `write_scores` writes is read back, and what it cannot write is said."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest
import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import Format, Given, read_scores, write_scores
from rl_postproc.utils.errors import UserError


class ReadOnly(Format):
    """A format as a plug-in brings it, that is only read."""

    format: Literal["test_read_only"] = "test_read_only"
    looks_like: ClassVar[str] = "nothing"

    @classmethod
    def recognises(cls, path: Path) -> bool:
        return False

    def read(self, path: Path, given: Given) -> ScoreSet:
        raise UserError(f"'{path}' holds nothing.")


@pytest.fixture
def scores() -> ScoreSet:
    """Clips of different lengths on uneven frames."""
    values = torch.rand(3, 2, 5, generator=torch.Generator().manual_seed(0))
    edges = torch.tensor([0.1, 0.25, 0.3, 0.7, 0.8, 1.25], dtype=torch.float64)
    return ScoreSet.build(values, edges, ["a", "b.c", "d"], ["Bell, alarm", "Cat"], torch.tensor([5, 3, 1]))


@pytest.mark.parametrize("format", ["npy", "sed_scores", "shards"])
def test_what_is_written_is_read_back(tmp_path: Path, scores: ScoreSet, format: str) -> None:
    write_scores(scores, tmp_path / "out", format)
    found = read_scores(tmp_path / "out")
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    for name in ("scores", "n_frames", "edges", "durations"):
        assert torch.equal(getattr(found, name), getattr(scores, name)), name


@pytest.mark.parametrize("format", ["auto", "sed_score"])
def test_a_format_to_write_is_named(tmp_path: Path, scores: ScoreSet, format: str) -> None:
    with pytest.raises(UserError, match=f"There is no format '{format}'.*sed_scores"):
        write_scores(scores, tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_only_read_says_so(tmp_path: Path, scores: ScoreSet) -> None:
    with pytest.raises(
        UserError, match="cannot be written in the format 'test_read_only'; choose another, such as sed_"
    ):
        write_scores(scores, tmp_path / "out", ReadOnly())


def test_an_option_that_a_format_lacks_is_refused(tmp_path: Path, scores: ScoreSet) -> None:
    with pytest.raises(UserError, match="The format 'npy' has no option 'thresholds'"):
        write_scores(scores, tmp_path / "out", "npy", thresholds=[0.5])


def test_arrays_need_edges_that_all_clips_share(tmp_path: Path, scores: ScoreSet) -> None:
    edges = torch.arange(6.0).double() + torch.tensor([[0.0], [0.1], [0.2]])
    own = ScoreSet.build(scores.scores, edges, scores.clip_ids, scores.classes)
    with pytest.raises(UserError, match="one row of frame edges, but the clips have their own"):
        write_scores(own, tmp_path / "out", "npy")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["sed_scores", "operating_points"])
def test_tables_may_be_compressed(tmp_path: Path, scores: ScoreSet, format: str) -> None:
    even = torch.arange(6).double() / 2
    scores = ScoreSet.build(scores.scores, even, scores.clip_ids, scores.classes)
    for name, packed in (("plain", False), ("packed", True)):
        write_scores(scores, tmp_path / name, format, gzip=packed)
    files = [sorted(file.name for file in (tmp_path / name).iterdir()) for name in ("plain", "packed")]
    assert files[1] == [f"{name}.gz" for name in files[0]]
    plain, packed = (read_scores(tmp_path / name) for name in ("plain", "packed"))
    assert plain.clip_ids == packed.clip_ids and torch.equal(plain.scores, packed.scores)
    assert torch.equal(plain.edges, packed.edges)
