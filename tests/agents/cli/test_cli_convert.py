"""`convert` writes scores and events in any other format of their kind, and what is read again is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from program import SIMULATED, Run, assert_one_sentence

from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats import EventFormat, Format, read_events, read_scores

NO_SCORES = {"operating_points", "tags"}
"""Formats of scores that hold less than frame-level scores."""


@pytest.fixture
def data(run: Run) -> Path:
    """A simulated data set, in the working folder."""
    assert run("simulate", "--out", "data", *SIMULATED)[0] == 0
    return Path("data")


@pytest.mark.parametrize("name", sorted(set(Format.types()) - NO_SCORES))
def test_scores_are_the_same_in_every_format_that_holds_them(run: Run, data: Path, name: str) -> None:
    out = Path("there.npz" if name == "arrays" else "there.csv" if name == "score_table" else "there")
    code, _, err = run("convert", data / "scores", out, "--to", name)
    assert code == 0, err
    first, second = read_scores(data / "scores"), read_scores(out, format=name, **_reading(name, data))
    assert [c.removesuffix(".wav") for c in second.clip_ids] == [c.removesuffix(".wav") for c in first.clip_ids]
    assert second.classes == first.classes
    assert torch.equal(second.scores, first.scores)
    assert torch.allclose(second.edges.expand(len(first.edges), -1), first.edges, atol=1e-6)


def _reading(name: str, data: Path) -> dict:
    return {"hop": read_scores(data / "scores").hop} if name == "npy" else {}


def test_operating_points_are_scores_again(run: Run, data: Path) -> None:
    assert run("convert", data / "scores", "points", "--to", "operating_points")[0] == 0
    assert len(list(Path("points").glob("*.tsv"))) >= 10
    code, _, err = run("convert", "points", "arrays.npz", "--durations", data / "durations.tsv")
    assert code == 0, err
    first, second = read_scores(data / "scores"), read_scores("arrays.npz")
    assert second.n_clips == first.n_clips
    width = min(first.width, second.width)
    order = [first.classes.index(name) for name in second.classes]
    assert float((first.scores[:, order, :width] - second.scores[..., :width]).abs().max()) < 0.02


@pytest.mark.parametrize("name", sorted(EventFormat.types()))
def test_events_are_the_same_in_every_format(run: Run, data: Path, name: str) -> None:
    code, _, err = run("convert", data / "references.tsv", "there", "--to", name)
    assert code == 0, err
    assert _events("there", name) == _events(data / "references.tsv", "table")


def _events(path: str | Path, name: str) -> list[tuple]:
    rows = read_events(path, format=name)
    return sorted(
        (row.filename.removesuffix(".wav"), round(row.onset or 0, 6), round(row.offset or 0, 6), row.label)
        for row in rows if row.label is not None
    )  # fmt: skip


def test_the_suffix_tells_the_format_where_it_can(run: Run, data: Path) -> None:
    assert run("convert", data / "references.tsv", "events.rttm")[0] == 0
    assert Path("events.rttm").read_text().startswith("SPEAKER ")
    assert run("convert", "events.rttm", "labels", "--to", "audacity")[0] == 0
    assert_one_sentence(run("convert", data / "scores", "somewhere"), "does not tell in which format.*--to")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data/scores", "x", "--to", "rttm"], "holds scores, which the format 'rttm' does not"),
        (["data/references.tsv", "x", "--to", "shards"], "holds events, which the format 'shards' does not"),
        (["data/references.tsv", "x", "--to", "raving"], "no format 'raving'; did you mean 'raven'"),
        (["nowhere", "x", "--to", "npy"], "There is no 'nowhere'"),
        (["data/durations.tsv", "x", "--to", "npy"], "holds durations"),
        (["data/references.tsv", "x", "--to", "rttm", "--hop", "0.02"], "--hop describes scores"),
        (["data/scores", "x", "--to", "npy", "--to-option", "colour=red"], "no option 'colour'"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_one_sentence_and_writes_nothing(
    run: Run, data: Path, arguments: list[str], message: str
) -> None:
    assert_one_sentence(run("convert", *arguments), message)
    assert not Path("x").exists()


def test_a_floor_makes_sparse_shards(run: Run, data: Path) -> None:
    code, out, err = run(
        "convert", data / "scores", "shards", "--floor", "0.4", "--references", data / "references.tsv"
    )
    assert code == 0, err
    assert "Wrote the scores of 12 clips" in out
    assert "never exceed 0.4 and are left out" in " ".join(err.split())
    found = read_scores("shards", in_parts=True)
    first = read_scores(data / "scores", references=data / "references.tsv")
    assert isinstance(found, StreamedScores)
    assert torch.equal(found.join().scores, torch.where(first.scores.amax(2, keepdim=True) > 0.4, first.scores, 0.0))
    assert found.require_references().to_rows() == first.require_references().to_rows()
    assert_one_sentence(
        run("convert", data / "scores", "x", "--floor", "0.4", "--to", "npy"), "sparse shards, not 'npy'"
    )
    assert_one_sentence(run("convert", data / "references.tsv", "x", "--floor", "0.4"), "holds events")
