"""Shards on disk, and counting score sets that arrive one after another."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import small_simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.counts import CountTable
from rl_postproc.errors import UserError
from rl_postproc.formats import read_scores
from rl_postproc.formats.shards import read_shards, write_shards
from rl_postproc.metrics import EventBased
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack
from rl_postproc.sweep import sweep, sweep_stream

STACK = Stack.default()


def split(scores: ScoreSet, ends: list[int]) -> list[ScoreSet]:
    bounds = [0, *sorted(set(ends)), scores.n_clips]
    return [scores.select(range(a, b)) for a, b in pairwise(bounds) if b > a]


def assert_same_table(found: CountTable, expected: CountTable) -> None:
    for name in ("true_positives", "estimated", "reference"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    assert found.space == expected.space


@settings(max_examples=25)
@given(st.integers(0, 5), st.lists(st.integers(0, 12), max_size=5), st.integers(1, 1 << 20))
def test_a_stream_counts_as_the_whole_does(seed: int, ends: list[int], chunk_bytes: int) -> None:
    scores = small_simulation(12, seed=seed)
    found = sweep_stream(split(scores, ends), STACK, EventBased(), chunk_bytes=chunk_bytes)
    assert_same_table(found, sweep(scores, STACK, EventBased()))


def test_tracks_that_need_wider_integers_widen_the_table() -> None:
    """300 runs in one track do not fit a byte; the tracks before and after it do."""
    frames = torch.zeros(3, 1, 600)
    frames[1, 0, ::2] = 0.7
    edges = torch.arange(601, dtype=torch.float64) * 0.1
    simulated = small_simulation(3, 1)
    references = simulated.require_references()
    scores = ScoreSet.build(frames, edges, simulated.clip_ids, simulated.classes, references=references)
    stack = Stack.from_config([{"stage": "threshold", "threshold": [0.2, 0.5, 0.8]}])
    table = sweep_stream(split(scores, [1, 2]), stack, EventBased(), chunk_bytes=1)
    assert table.estimated[:, 0].tolist() == [[0, 0, 0], [300, 300, 0], [0, 0, 0]]
    assert table.true_positives.dtype == torch.uint8
    assert_same_table(table, sweep(scores, stack, EventBased()))


def test_progress_counts_over_all_parts() -> None:
    scores, seen = small_simulation(7), []
    sweep_stream(split(scores, [3, 5]), STACK, EventBased(), n_clips=7, progress=lambda *at: seen.append(at),
                 chunk_bytes=1)  # fmt: skip
    assert seen == [(i + 1, 7) for i in range(7)]


def test_parts_of_other_classes_and_no_parts_are_refused() -> None:
    parts = [small_simulation(2, 2), small_simulation(2, 3)]
    with pytest.raises(UserError, match="make them equal"):
        sweep_stream(parts, STACK, EventBased())
    with pytest.raises(UserError, match="at least one"):
        sweep_stream([], STACK, EventBased())


def own_edges(scores: ScoreSet) -> ScoreSet:
    """Gives each clip frame edges of its own."""
    shift = torch.arange(scores.n_clips, dtype=torch.float64)[:, None] * 1e-3
    return ScoreSet.build(scores.scores, scores.edges + shift, scores.clip_ids, scores.classes, scores.n_frames,
                          references=scores.references)  # fmt: skip


@pytest.mark.parametrize("change", [lambda s: s, own_edges], ids=["shared edges", "own edges"])
def test_shards_hold_the_very_set_that_was_written(change: Callable[[ScoreSet], ScoreSet], tmp_path: Path) -> None:
    scores = change(small_simulation(11, short=0.5))
    one_clip = scores.n_classes * scores.width * 4
    write_shards(split(scores, [6]), tmp_path, shard_bytes=4 * one_clip)
    shards = read_shards(tmp_path)
    assert [part.n_clips for part in shards] == [4, 2, 4, 1]
    assert shards.n_clips == 11
    found = read_scores(tmp_path)
    for name in ("scores", "n_frames", "edges", "durations"):
        assert torch.equal(getattr(found, name), getattr(scores, name)), name
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    assert found.require_references().rows() == scores.require_references().rows()
    assert_same_table(sweep_stream(shards, STACK, EventBased()), sweep(scores, STACK, EventBased()))


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
    assert found.require_references().rows() == [(scores.clip_ids[0], 0.5, 1.25, scores.classes[0])]
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
