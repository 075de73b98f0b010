"""Shards on disk: round trips, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import small_simulation

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores
from rl_postproc.formats.scores.shards import read_shards, write_shards
from rl_postproc.utils.errors import UserError


def own_edges(scores: ScoreSet) -> ScoreSet:
    """Gives each clip frame edges of its own."""
    shift = torch.arange(scores.n_clips, dtype=torch.float64)[:, None] * 1e-3
    return ScoreSet.build(scores.scores, scores.edges + shift, scores.clip_ids, scores.classes, scores.n_frames,
                          references=scores.references)  # fmt: skip


@pytest.mark.parametrize("change", [lambda s: s, own_edges], ids=["shared edges", "own edges"])
def test_shards_hold_the_very_set_that_was_written(change: Callable[[ScoreSet], ScoreSet], tmp_path: Path) -> None:
    scores = change(small_simulation(11, short=0.5))
    one_clip = scores.n_classes * scores.width * 4
    parts = [scores.select(range(6)), scores.select(range(6, 11))]
    write_shards(parts, tmp_path, shard_bytes=4 * one_clip)
    shards = read_shards(tmp_path)
    assert [part.n_clips for part in shards] == [4, 2, 4, 1]
    assert shards.n_clips == 11
    found = read_scores(tmp_path)
    for name in ("scores", "n_frames", "edges", "durations"):
        assert torch.equal(getattr(found, name), getattr(scores, name)), name
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    assert found.require_references().to_rows() == scores.require_references().to_rows()


def test_a_shard_is_mapped_and_left_as_it_is(tmp_path: Path) -> None:
    scores = small_simulation(4)
    write_shards(scores, tmp_path)
    before = (tmp_path / "scores_00000.npy").read_bytes()
    for part in read_shards(tmp_path):
        part.scores.fill_(0.5)
    assert (tmp_path / "scores_00000.npy").read_bytes() == before


def test_references_may_come_from_elsewhere_and_must_name_the_clips(tmp_path: Path) -> None:
    scores = small_simulation(3)
    write_shards(scores, tmp_path / "shards")
    table = tmp_path / "references.tsv"
    names = "".join(f"{name}\t\t\t\n" for name in scores.clip_ids[1:])
    event = f"{scores.clip_ids[0]}\t0.5\t1.25\t{scores.classes[0]}\n"
    table.write_text("filename\tonset\toffset\tevent_label\n" + event + names)
    found = read_scores(tmp_path / "shards", references=table)
    assert found.require_references().to_rows() == [(scores.clip_ids[0], 0.5, 1.25, scores.classes[0])]
    table.write_text("filename\tonset\toffset\tevent_label\n" + names)
    with pytest.raises(UserError, match=scores.clip_ids[0]):
        read_scores(tmp_path / "shards", references=table)


def truncate(folder: Path) -> None:
    file = folder / "scores_00000.npy"
    file.write_bytes(file.read_bytes()[:-100])


def reshape(folder: Path) -> None:
    np.save(folder / "scores_00000.npy", np.zeros((4, 3, 2), dtype=np.float32))


def forget_clip(folder: Path) -> None:
    lines = (folder / "durations.tsv").read_text().splitlines()
    (folder / "durations.tsv").write_text("\n".join(lines[:-1]))


def misspell(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    meta["clases"] = meta.pop("classes")
    (folder / "meta.json").write_text(json.dumps(meta))


def spoil(folder: Path) -> None:
    values = np.load(folder / "scores_00000.npy")
    values[1, 2, 3] = np.nan
    np.save(folder / "scores_00000.npy", values)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "scores_00000.npy"),
        (reshape, r"shape \[4, 3, 2\]"),
        (forget_clip, "lists 3 clips"),
        (misspell, "meta.json"),
        (spoil, "is not a probability"),
    ],
)
def test_damaged_shards_are_refused_in_one_sentence(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    write_shards(small_simulation(4), tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        read_scores(tmp_path, format="shards")
    assert "\n" not in str(error.value)


def test_what_does_not_fit_is_not_written_as_shards(tmp_path: Path) -> None:
    scores = small_simulation(4)
    with pytest.raises(UserError, match="occurs twice"):
        write_shards([scores, scores], tmp_path)
    assert not (tmp_path / "meta.json").exists()
    with pytest.raises(UserError, match="other classes"):
        write_shards([scores, small_simulation(2, 2)], tmp_path)
    with pytest.raises(UserError, match="leave out hop"):
        write_shards(scores, tmp_path)
        read_scores(tmp_path, hop=0.1)
