"""Detectors that pad clips and cut their offsets: their operating points hold what clean ones hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc import SimulationConfig, simulate
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import runs
from rl_postproc.formats import read_scores
from rl_postproc.utils.errors import DataWarning, UserError

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)


def write_tables(folder: Path, scores: np.ndarray, hop: float, cut: float, decimals: int = 6) -> None:
    """Writes the detections of ``[clip, class, frame]`` with all offsets cut at one time."""
    folder.mkdir()
    for threshold in THRESHOLDS:
        track, first, last = (column.numpy() for column in runs(torch.from_numpy(scores > threshold).flatten(0, 1)))
        rows = [
            f"c{i // scores.shape[1]}.wav\t{on:.{decimals}f}\t{off:.{decimals}f}\tk{i % scores.shape[1]}\n"
            for i, on, off in zip(track, first * hop, np.minimum((last + 1) * hop, cut), strict=True)
        ]
        (folder / f"th_{threshold}.tsv").write_text("filename\tonset\toffset\tevent_label\n" + "".join(rows))


def write_durations(folder: Path, durations: np.ndarray) -> Path:
    rows = (f"c{i}.wav\t{seconds:.3f}\n" for i, seconds in enumerate(durations))
    (folder / "durations.tsv").write_text("filename\tduration\n" + "".join(rows))
    return folder / "durations.tsv"


def assert_equal(found: ScoreSet, expected: ScoreSet) -> None:
    assert (found.clip_ids, found.classes, found.hop) == (expected.clip_ids, expected.classes, expected.hop)
    for name in ("n_frames", "durations", "edges", "scores"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize(("hop", "decimals"), [(0.064, 6), (0.06375, 3), (0.064, 3), (0.02, 2)])
@pytest.mark.parametrize("told", [True, False])
def test_a_padded_set_cut_at_ten_seconds_is_the_clean_one(
    tmp_path: Path, hop: float, decimals: int, told: bool
) -> None:
    made = simulate(SimulationConfig(n_clips=40, classes=["k0", "k1"], hop=hop, short=0.5, seed=3))
    padded = made.scores.numpy().copy()
    beyond = np.arange(made.width) >= made.n_frames.numpy()[:, None]
    rng = np.random.default_rng(0)
    # Half of the short clips sound on into their padding, the other half makes detections of its own there.
    own = beyond & (rng.uniform(size=(made.n_clips, 1)) < 0.5)
    padded[np.broadcast_to(beyond[:, None], padded.shape)] = 0.95
    padded[np.broadcast_to(own[:, None], padded.shape)] = rng.uniform(size=padded.shape)[
        np.broadcast_to(own[:, None], padded.shape)
    ]
    write_tables(tmp_path / "clean", made.scores.numpy(), hop, np.inf, decimals)
    write_tables(tmp_path / "padded", padded, hop, 10.0, decimals)
    given = {"durations": write_durations(tmp_path, made.durations.numpy()), **({"hop": hop} if told else {})}
    expected = read_scores(tmp_path / "clean", **given)
    assert_equal(read_scores(tmp_path / "padded", **given), expected)
    assert expected.hop == pytest.approx(hop, rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_set_cut_at_a_common_end_is_the_one_that_is_not(data: st.DataObject) -> None:
    hop = data.draw(st.sampled_from([0.064, 0.06375, 0.1]))
    n_clips, n_frames = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 12))
    levels = data.draw(st.lists(st.integers(0, 5), min_size=n_clips * n_frames, max_size=n_clips * n_frames))
    scores = np.array(levels, dtype=np.float32).reshape(n_clips, 1, n_frames) / 5
    scores[0, 0, -1] = 1.0  # the largest offset of the whole is the end
    cut = (n_frames - data.draw(st.floats(0.05, 0.9))) * hop
    durations = np.array(data.draw(st.lists(st.floats(0.04, 2.0), min_size=n_clips, max_size=n_clips)))
    with tempfile.TemporaryDirectory() as name:
        folder, given = Path(name), {"hop": hop}
        write_tables(folder / "whole", scores, hop, np.inf)
        write_tables(folder / "cut", scores, hop, cut)
        if data.draw(st.booleans()):
            given["durations"] = write_durations(folder, durations)
        assert_equal(read_scores(folder / "cut", **given), read_scores(folder / "whole", **given))


def tables(folder: Path, rows: str, durations: str | None = None) -> dict[str, Any]:
    (folder / "points").mkdir()
    (folder / "points" / "th_0.5.tsv").write_text(rows)
    if durations is None:
        return {"path": folder / "points"}
    (folder / "durations.tsv").write_text(durations)
    return {"path": folder / "points", "durations": folder / "durations.tsv"}


GRID = "".join(f"a\t{t * 0.064:.3f}\t{(t + 1) * 0.064:.3f}\tCat\n" for t in range(0, 40, 3))


def test_the_common_end_is_told_without_durations_and_said(tmp_path: Path) -> None:
    case = tables(tmp_path, GRID + "b\t9.600\t10.000\tCat\nc\t0\t10.000\tCat\n")
    with pytest.warns(DataWarning, match=r"2 offsets at 10 s, the largest of all, lie off the frame grid of 0\.064 s"):
        found = read_scores(**case)
    assert (found.hop, found.width) == (0.064, 157)
    assert (found.scores[1:, 0] > 0.5).sum(1).tolist() == [7, 157]


def test_detections_wholly_beyond_a_clip_have_no_frame(tmp_path: Path) -> None:
    rows = (
        "b\t9.217\t9.300\tCat\nb\t9.200\t10.000\tCat\nb\t9.15\t9.99\tCat\nb\t10.000\t10.000\tCat\nc\t9.600\t10\tCat\n"
    )
    found = read_scores(**tables(tmp_path, GRID + rows.replace("9.15", "9.152"), "a\t10\nb\t9.2\nc\t10\n"))
    assert found.n_frames.tolist() == [157, 144, 157]
    assert (found.scores[1, 0] > 0.5).nonzero()[:, 0].tolist() == [143]


def test_offsets_off_the_grid_elsewhere_are_still_refused(tmp_path: Path) -> None:
    case = tables(tmp_path, GRID + "b\t9.600\t9.900\tCat\nc\t9.600\t10.000\tCat\n")
    with pytest.raises(
        UserError, match=r"row 15: the offset 9\.9 is no multiple .* the durations if clips end at such"
    ):
        read_scores(**case, hop=0.064)
    (tmp_path / "durations.tsv").write_text("a\t10\nb\t9.95\nc\t10\n")
    with pytest.raises(UserError, match=r"row 15: the offset 9\.9 is no multiple .* as hop\.$"):
        read_scores(case["path"], durations=tmp_path / "durations.tsv", hop=0.064)
