"""Simulated clips of many classes, few of which are active, are drawn block by block and written without being held."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats import read_scores
from rl_postproc.simulation import sparse
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate, simulate_with_truth
from rl_postproc.simulation.sparse import simulate_sparse
from rl_postproc.utils.errors import UserError

CONFIG = SimulationConfig(n_clips=70, n_classes=40, clip_seconds=5, active=0.1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "BLOCK", 30)


def test_few_tracks_are_active_and_about_half_of_them_have_events() -> None:
    parts = list(simulate_sparse(CONFIG))
    assert [part.n_clips for part in parts] == [30, 30, 10]
    n_tracks = sum(len(part.track) for part in parts)
    assert n_tracks == pytest.approx(0.1 * 70 * 40, rel=0.25)
    first = parts[0]
    cells = (first.references.counts() > 0).flatten().nonzero()[:, 0] if first.references else torch.empty(0)
    assert torch.isin(cells, first.track).all()
    assert len(cells) == pytest.approx(0.5 * len(first.track), rel=0.35)
    with_events = torch.isin(first.track, cells)
    assert float(first.scores[with_events].amax(1).mean()) > 0.5
    assert 0.15 < float(first.scores[~with_events].amax(1).mean()) < 0.95


def test_more_clips_leave_the_first_ones_as_they_are() -> None:
    few = next(iter(simulate_sparse(CONFIG.model_copy(update={"n_clips": 12}))))
    many = next(iter(simulate_sparse(CONFIG))).clips(range(12))
    assert torch.equal(few.track, many.track)
    assert torch.equal(few.scores, many.scores)
    assert few.references is not None and many.references is not None
    assert few.references.to_rows() == many.references.to_rows()


def test_the_whole_set_is_that_of_the_blocks() -> None:
    whole = simulate(CONFIG)
    assert whole.scores.shape == (70, 40, 79)
    parts = list(simulate_sparse(CONFIG))
    assert torch.equal(whole.scores, torch.cat([part.dense().scores for part in parts]))
    rows = [row for part in parts if part.references for row in part.references.to_rows()]
    assert whole.require_references().to_rows() == rows
    with pytest.raises(UserError, match="leave out 'active'"):
        simulate_with_truth(CONFIG)


def test_the_command_writes_sparse_shards(run, tmp_path: Path) -> None:
    settings = [f"{name}={getattr(CONFIG, name)}" for name in ("n_clips", "n_classes", "clip_seconds", "active")]
    options = [word for setting in settings for word in ("--set", setting)]
    for _ in range(2):
        code, out, err = run("simulate", "--out", "data", "--floor", "0.2", *options)
        assert code == 0, err
        assert "Wrote 70 clips to data" in out
        assert "of 2800 tracks never exceed 0.2 and are left out" in " ".join(err.split())
    found, whole = read_scores("data", in_parts=True), simulate(CONFIG)
    assert isinstance(found, StreamedScores)
    assert torch.equal(found.join().scores, torch.where(whole.scores.amax(2, keepdim=True) > 0.2, whole.scores, 0.0))
    assert "--set active=0.02" in run("simulate", "--out", "data", "--floor", "0.2")[2]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("")
    assert "holds other files" in run("simulate", "--out", tmp_path / "taken", "--floor", "0.2", *options)[2]
