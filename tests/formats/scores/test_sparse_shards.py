"""Sparse shards: what is kept is the very same, what is left out is told, and what is damaged is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from sparse_cases import FLOOR, sparse_set

from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats import read_scores, write_scores
from rl_postproc.formats.scores.shards import write_sparse_shards
from rl_postproc.utils.errors import DataWarning, UserError


def test_tracks_above_the_floor_and_all_references_are_the_very_same(tmp_path: Path) -> None:
    scores, streamed = sparse_set(tmp_path)
    with pytest.warns(DataWarning, match=f"tracks are left out of the shards, since they never exceed {FLOOR}"):
        found = read_scores(tmp_path)
    loud = scores.scores.amax(2, keepdim=True) > FLOOR
    assert 0.2 < float(loud.float().mean()) < 0.8
    assert torch.equal(found.scores, torch.where(loud, scores.scores, 0.0))
    for name in ("n_frames", "edges", "durations"):
        assert torch.equal(getattr(found, name), getattr(scores, name)), name
    assert (found.clip_ids, found.classes, found.hop) == (scores.clip_ids, scores.classes, scores.hop)
    assert found.require_references().to_rows() == scores.require_references().to_rows()
    assert streamed.density == pytest.approx(float(loud.float().mean()))


def test_parts_are_the_clips_in_order_whatever_their_size(tmp_path: Path) -> None:
    scores, streamed = sparse_set(tmp_path)
    some = streamed.select(torch.tensor([1, 4, 9, 10, 25])).of_classes(scores.classes[2:0:-1])
    assert isinstance(some, StreamedScores)
    whole = some.join()
    expected = scores.select([1, 4, 9, 10, 25]).of_classes(scores.classes[2:0:-1])
    loud = expected.scores.amax(2, keepdim=True) > FLOOR
    assert torch.equal(whole.scores, torch.where(loud, expected.scores, 0.0))
    assert whole.require_references().to_rows() == expected.require_references().to_rows()
    parts = list(some.parts(part_bytes=2 * 4 * scores.n_classes * scores.width))
    assert [part.n_clips for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.scores for part in parts]), whole.scores)
    assert [
        row for part in parts for row in part.require_references().to_rows()
    ] == expected.require_references().to_rows()


def test_a_floor_is_an_option_of_the_format(tmp_path: Path) -> None:
    scores = small_simulation(4)
    with pytest.warns(DataWarning, match="of 12 tracks never exceed 0.9 and are left out"):
        write_scores(scores, tmp_path, format="shards", floor=0.9)
    assert isinstance(read_scores(tmp_path, in_parts=True), StreamedScores)


def test_sets_without_references_and_silent_sets_are_held_too(tmp_path: Path) -> None:
    silent = make_set(torch.zeros(3, 2, 5), [("c1", 0.1, 0.3, "k1")])
    write_sparse_shards(silent, tmp_path / "silent", floor=0.5)
    found = read_scores(tmp_path / "silent", in_parts=True)
    assert isinstance(found, StreamedScores)
    assert found.density == 0
    assert not found.join().scores.any()
    assert found.require_references().to_rows() == [("c1", 0.1, 0.3, "k1")]
    bare = small_simulation(3)
    write_sparse_shards(bare, tmp_path / "bare", floor=0.5)
    write_sparse_shards(replace(bare, references=None), tmp_path / "bare", floor=0.5)
    assert read_scores(tmp_path / "bare", in_parts=True).references is None


def truncate(folder: Path) -> None:
    file = folder / "scores_00001.npy"
    file.write_bytes(file.read_bytes()[:-100])


def disorder(folder: Path) -> None:
    tracks = np.load(folder / "tracks_00001.npy")
    np.save(folder / "tracks_00001.npy", tracks[::-1])


def lengthen(folder: Path) -> None:
    np.save(folder / "tracks_00001.npy", np.arange(3))


def spoil(folder: Path) -> None:
    values = np.load(folder / "scores_00001.npy")
    values[1, 2] = np.nan
    np.save(folder / "scores_00001.npy", values)


def stray(folder: Path) -> None:
    rows = np.load(folder / "events_00001.npy")
    rows[0, 1] = 99
    np.save(folder / "events_00001.npy", rows)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "scores_00001.npy"),
        (disorder, "tracks_00001.npy' holds no ascending tracks"),
        (lengthen, "is expected"),
        (spoil, r"lip '.*', class '.*': a score is not a probability"),
        (stray, "of clips or classes that are not there"),
    ],
)
@pytest.mark.filterwarnings("ignore::rl_postproc.utils.errors.DataWarning")
def test_damaged_sparse_shards_are_refused_in_one_sentence(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    sparse_set(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        read_scores(tmp_path)
    assert "\n" not in str(error.value)


def test_what_does_not_fit_is_not_written_as_sparse_shards(tmp_path: Path) -> None:
    scores = small_simulation(4)
    with pytest.raises(UserError, match="occurs twice"):
        write_sparse_shards([scores, scores], tmp_path, floor=0.1)
    assert not (tmp_path / "meta.json").exists()
    with pytest.raises(UserError, match="other classes"):
        write_sparse_shards([scores, small_simulation(2, 2)], tmp_path, floor=0.1)
    own = make_set(scores.scores, edges=torch.arange(scores.width + 1) * 0.1 + torch.arange(4.0)[:, None])
    with pytest.raises(UserError, match="leave out the floor"):
        write_sparse_shards(own, tmp_path, floor=0.1)
