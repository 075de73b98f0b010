"""Scores in pieces: what the sources give is what reading them whole gives, frame by frame."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import make_set, small_simulation
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl_postproc.data.checked_pieces import CheckedClip
from rl_postproc.data.clip_source import HopSurvey
from rl_postproc.data.frames import common_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_scores
from rl_postproc.formats.stream import stream_scores
from rl_postproc.utils.errors import UserError


def uneven() -> ScoreSet:
    rng = np.random.default_rng(3)
    edges = np.cumsum(rng.uniform(0.01, 0.03, (4, 31)), 1).round(6)
    scores = rng.random((4, 2, 30)).astype(np.float32)
    return make_set(scores, edges=torch.from_numpy(edges - edges[:, :1]), n_frames=[30, 7, 1, 19])


def assert_same_as_whole(folder: Path, n_frames: int, **options: object) -> None:
    whole, source = read_scores(folder, **options), stream_scores(folder, **options)  # type: ignore[arg-type]
    assert source is not None
    assert (source.hop, source.classes, source.format) == (whole.hop, whole.classes, whole.origin.format)
    assert (source.hop_known, source.lengths_known) == (whole.origin.hop, whole.origin.durations)
    assert tuple(clip.clip_id for clip in source.clips) == whole.clip_ids
    for i, clip in enumerate(source.clips):
        checked = CheckedClip(clip, source.classes, whole.classes, n_frames)
        edges, scores = zip(*checked.pieces(), strict=True)
        n = int(whole.n_frames[i])
        assert max(map(len, scores)) <= n_frames and sum(map(len, scores)) == n
        assert np.array_equal(np.concatenate(scores).T, whole.scores[i, :, :n].numpy())
        row = whole.edges[i if len(whole.edges) > 1 else 0, : n + 1].numpy()
        joined = np.concatenate([*(own[:-1] for own in edges), edges[-1][-1:]])
        assert np.array_equal(joined, row)
        assert checked.facts.duration == float(whole.durations[i])
        assert clip.n_frames == checked.facts.n_given


@pytest.mark.parametrize("n_frames", [1, 7, 1000])
@pytest.mark.parametrize("format", ["sed_scores", "npy", "shards"])
def test_pieces_of_any_size_are_the_clips(tmp_path: Path, format: str, n_frames: int) -> None:
    write_scores(small_simulation(4, 2, short=0.4), tmp_path / "even", format)
    assert_same_as_whole(tmp_path / "even", n_frames, format=format)
    if format != "npy":
        write_scores(uneven(), tmp_path / "uneven", format)
        assert_same_as_whole(tmp_path / "uneven", n_frames, format=format)


def test_classes_hop_and_durations_are_those_given(tmp_path: Path) -> None:
    scores = small_simulation(3, 3)
    for format in ("sed_scores", "npy"):
        write_scores(scores, tmp_path / format, format)
    table = tmp_path / "durations.tsv"
    table.write_text("".join(f"{clip}\t{2.345 + i}\n" for i, clip in enumerate([*scores.clip_ids, "more.wav"])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frames beyond the clips' ends
        options = {"durations": table, "subset": True}
        assert_same_as_whole(tmp_path / "sed_scores", 9, classes=scores.classes[:0:-1], **options)
        assert_same_as_whole(tmp_path / "npy", 9, **options)
        (tmp_path / "npy" / "edges.txt").unlink()
        assert_same_as_whole(tmp_path / "npy", 9, hop=0.0213, **options)
    with pytest.raises(UserError, match=r"durations\.tsv.*'more\.wav'"):
        stream_scores(tmp_path / "npy", hop=0.02, durations=table)
    with pytest.raises(UserError, match="leave out the hop"):
        stream_scores(tmp_path / "sed_scores", hop=0.1)


def test_what_is_read_as_a_whole_alone_has_no_source(tmp_path: Path) -> None:
    np.save(tmp_path / "tags.npy", np.full((3, 2), 0.5))
    assert stream_scores(tmp_path / "tags.npy") is None


@pytest.mark.parametrize(
    ("row", "text", "message"),
    [
        (1, "onset\toffset\tCat\tDog\tCat", r"row 1: the class 'Cat' stands in two columns"),
        (40, "0.76", r"row 40: 1 columns where the header has 4; the file may be truncated"),
        (40, "0.76\t0.78\t0.5", r"row 40: 3 columns where the header has 4; the file may be truncated"),
        (40, "0.76\t0.78\t0.5\tx", r"row 40: 'x' in the column 'k1' is not a number"),
        (40, "0.76\t0.78\t0.5\t1.5", r"row 40: the score 1\.5 of the class 'k1' is not a probability"),
        (40, "0.76\t0.78\t0.5\tnan", r"row 40: the score nan of the class 'k1'"),
        (40, "0.74\t0.76\t0.5\t0.5", r"row 40: the frame begins at 0\.74 s where the one before ends at 0\.76 s"),
        (40, "y\t0.78\t0.5\t0.5", r"row 40: 'y' in the column 'onset' is not a number"),
    ],
)
@pytest.mark.parametrize("n_frames", [1, 13, 38, 39, 1000])
def test_faults_are_named_by_their_row_wherever_pieces_begin(
    tmp_path: Path, row: int, text: str, message: str, n_frames: int
) -> None:
    write_scores(make_set(np.full((1, 2, 60), 0.5), hop=0.02), tmp_path / "s")
    file = tmp_path / "s" / "c0.tsv"
    lines = file.read_text().splitlines()
    lines[row - 1] = text
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=message):
        source = stream_scores(tmp_path / "s", format="sed_scores")
        assert source is not None
        list(CheckedClip(source.clips[0], source.classes, source.classes, n_frames).pieces())


def test_scores_outside_and_frames_beyond_the_end_are_counted() -> None:
    @dataclasses.dataclass(frozen=True)
    class Source:
        clip_id: str = "a"
        duration: float | None = 0.45
        value: float = 1.00005

        def pieces(self, n_frames: int):
            edges, scores = np.arange(9) * 0.1, np.full((8, 2), 0.5)
            scores[3, 1], scores[6, 0] = self.value, 0.0
            scores[7] = 0
            for start in range(0, 8, n_frames):
                yield edges[start : start + n_frames + 1], scores[start : start + n_frames]

    for n_frames in (1, 3, 8):
        checked = CheckedClip(Source(), "xy", "yx", n_frames)  # type: ignore[arg-type]
        parts = [scores for _, scores in checked.pieces()]
        assert sum(map(len, parts)) == 5 and np.concatenate(parts)[3].tolist() == [1.0, 0.5]
        facts = checked.facts
        assert (facts.n_given, facts.n_frames, facts.n_lost, facts.n_clipped) == (8, 5, 2, 1)
        assert facts.first_clipped is not None and facts.first_clipped[:2] == ("y", 3)
        assert facts.end == 0.5 and facts.duration == 0.45 and facts.highest.tolist() == [1.0, 0.5]
        for value, message in ((1.04, "more than rounding"), (np.nan, "find out why"), (-3.0, "logits")):
            with pytest.raises(UserError, match=rf"Clip 'a', class 'y', frame 3: the score .*{message}"):
                list(CheckedClip(Source(value=value), "xy", "yx", n_frames).pieces())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="duration of clip 'a' is not a positive"):
        list(CheckedClip(Source(duration=0.0), "xy", "xy", 3).pieces())  # type: ignore[arg-type]


steps = hnp.arrays(np.float64, st.integers(1, 12), elements=st.sampled_from([0.02, 0.021, 0.0213333, 0.03]))


@given(st.lists(steps, min_size=1, max_size=5), st.booleans())
def test_the_hop_of_a_set_is_found_clip_by_clip(rows: list[np.ndarray], shared: bool) -> None:
    if shared:
        rows = [max(rows, key=len)[: len(row)] for row in rows]
    edges = [np.append(0.0, row.cumsum()).round(6) for row in rows]
    survey = HopSurvey()
    for own in edges:
        survey.add(own)
    table = torch.from_numpy(common_edges(edges))
    scores = torch.zeros(len(rows), 1, table.shape[1] - 1)
    n_frames = torch.tensor([len(row) for row in rows])
    whole = ScoreSet.build(scores, table, [f"c{i}" for i in range(len(rows))], ["k"], n_frames)
    assert survey.hop == whole.hop
