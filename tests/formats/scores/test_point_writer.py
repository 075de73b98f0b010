"""Written operating points: read again, quantised as said; read by psds_eval, sed_eval and sed_scores_eval."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc import SimulationConfig, simulate
from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_events, read_scores, write_scores
from rl_postproc.utils.errors import UserError

DESED = [k / 100 for k in range(1, 100, 2)]


def quantised(scores: torch.Tensor, thresholds: list[float]) -> torch.Tensor:
    """The midpoints between the neighbours, 0 and 1 among them, of how many thresholds lie below."""
    bounds = np.concatenate([[0.0], thresholds, [1.0]])
    values = torch.from_numpy(((bounds[:-1] + bounds[1:]) / 2).astype(np.float32))
    return values[(scores[..., None] > torch.tensor(thresholds)).sum(-1)]


@st.composite
def score_sets(draw: st.DrawFn) -> tuple[ScoreSet, list[float]]:
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 8))
    cells = int(np.prod(shape))
    scores = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=cells, max_size=cells))).reshape(shape)
    scores[0, :, 0] = 1.0  # every class is detected somewhere
    scores[0, 0] = 1.0  # and some event to the end, without which the number of frames is not told
    hop = draw(st.sampled_from([0.01, 0.064, 0.5, 512 / 22050]))
    clips, classes = [f"c{i}.wav" for i in range(shape[0])], [f"k{i}" for i in range(shape[1])]
    thresholds = draw(st.lists(st.integers(0, 99).map(lambda k: k / 100), min_size=1, max_size=5, unique=True))
    return ScoreSet.build(scores, even_edges(hop, shape[2]), clips, classes), sorted(thresholds)


@settings(max_examples=60, deadline=None)
@given(score_sets(), st.booleans())
def test_written_points_give_the_quantised_scores_again(case: tuple[ScoreSet, list[float]], default: bool) -> None:
    scores, thresholds = case
    with tempfile.TemporaryDirectory() as folder:
        options = {} if default else {"thresholds": thresholds}
        write_scores(scores, folder, "operating_points", **options)
        found = read_scores(folder, hop=scores.hop if scores.hop != 0.02322 else 512 / 22050)
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    assert torch.equal(found.edges, scores.edges)
    assert torch.equal(found.scores, quantised(scores.scores, DESED if default else thresholds))


def test_levels_keep_the_order_of_all_scores(tmp_path: Path) -> None:
    scores = torch.tensor([[[0.1, 0.7, 0.700001, 0.1, 0.95]]])
    made = ScoreSet.build(scores, even_edges(0.5, 5), ["a"], ["Cat"])
    write_scores(made, tmp_path, "operating_points", thresholds="levels")
    found = read_scores(tmp_path, hop=0.5).scores[0, 0]
    assert len(list(tmp_path.iterdir())) == 3
    assert found[0] == found[3] < found[1] < found[2] < found[4]


def test_tables_are_named_by_their_thresholds_and_name_silent_clips_once(tmp_path: Path) -> None:
    scores = torch.tensor([[[0.6, 0.2]], [[0.001, 0.002]]])
    write_scores(ScoreSet.build(scores, even_edges(1.0, 2), ["a.wav", "b.wav"], ["Cat"]), tmp_path, "operating_points")
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == [f"predictions_th_{value}.tsv" for value in DESED]
    assert (tmp_path / files[0]).read_text().splitlines() == [
        "filename\tonset\toffset\tevent_label", "a.wav\t0.000000\t2.000000\tCat", "b.wav\t\t\t",
    ]  # fmt: skip
    assert [(row.filename, row.offset) for row in read_events(tmp_path / "predictions_th_0.59.tsv")] == [("a.wav", 1.0)]
    assert read_scores(tmp_path, hop=1.0).clip_ids == ("a.wav", "b.wav")


def test_peers_read_the_same_events(tmp_path: Path) -> None:
    peer = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed").io
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    io = pytest.importorskip("sed_eval").io
    scores = simulate(SimulationConfig(n_clips=6, classes=["Cat", "Dog"], clip_seconds=5, short=0.0))
    write_scores(scores, tmp_path / "ours", "operating_points", thresholds=[0.1, 0.5])
    write_scores(scores, tmp_path / "scores")
    frames = peer.read_sed_scores(tmp_path / "scores")
    for threshold in (0.1, 0.5):
        file = tmp_path / f"predictions_th_{threshold}.tsv"
        peer.write_detection(frames, threshold, file)
        ours = tmp_path / "ours" / file.name
        events = sorted((row.filename, row.label, row.onset, row.offset) for row in read_events(ours) if row.label)
        theirs = pandas.read_csv(file, sep="\t")
        columns = zip(theirs.filename, theirs.event_label, theirs.onset, theirs.offset, strict=True)
        assert events == [pytest.approx(row) for row in sorted(columns)]
        read = pandas.read_csv(ours, sep="\t").dropna()
        assert sorted(zip(read.filename, read.event_label, read.onset, read.offset, strict=True)) == events
        listed = [row for row in io.load_event_list(str(ours)) if row.event_label]
        assert sorted((row.filename, row.event_label, row.onset, row.offset) for row in listed) == events


def test_operating_points_of_sed_scores_eval_are_read(tmp_path: Path) -> None:
    peer = pytest.importorskip("sed_scores_eval", reason="sed_scores_eval is not installed").io
    scores = simulate(SimulationConfig(n_clips=12, classes=["Cat", "Dog"], clip_seconds=5, short=0.0))
    thresholds = np.array([0.1, 0.25, 0.5])
    peer.write_detections_for_multiple_thresholds(scores.to_sed_scores_eval(), thresholds, tmp_path)
    found = read_scores(tmp_path, classes=list(scores.classes))
    named = [scores.clip_ids.index(clip) for clip in found.clip_ids]
    expected = quantised(scores.scores[named], thresholds.tolist())
    assert len(named) >= 8 and found.hop == scores.hop
    assert torch.equal(found.scores, expected[:, :, : found.width])


def test_psds_eval_counts_the_tables(tmp_path: Path) -> None:
    peer = pytest.importorskip("psds_eval", reason="psds_eval is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    scores = simulate(SimulationConfig(n_clips=8, classes=["Cat", "Dog"], clip_seconds=5))
    write_scores(scores, tmp_path, "operating_points", thresholds=[0.2, 0.9])
    rows = scores.require_references().to_rows()
    truth = pandas.DataFrame(rows, columns=["filename", "onset", "offset", "event_label"])
    lengths = pandas.DataFrame({"filename": scores.clip_ids, "duration": scores.durations.tolist()})
    evaluator = peer.PSDSEval(ground_truth=truth, metadata=lengths)
    for file in sorted(tmp_path.iterdir()):
        evaluator.add_operating_point(pandas.read_csv(file, sep="\t"))
    assert evaluator.num_operating_points() == 2


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ([0.0, 0.1, 0.3, 0.4], {}, "frames of one length from 0 s on"),
        ([0.1, 0.2, 0.3, 0.4], {}, "frames of one length from 0 s on"),
        ([0.0, 0.1, 0.2, 0.3], {"thresholds": [1.0]}, "thresholds"),
        ([0.0, 0.1, 0.2, 0.3], {"thresholds": []}, "thresholds"),
    ],
)
def test_what_tables_cannot_hold_is_refused(tmp_path: Path, edges: list[float], options: dict, message: str) -> None:
    scores = ScoreSet.build(torch.rand(1, 1, 3), torch.tensor(edges, dtype=torch.float64), ["a"], ["Cat"])
    with pytest.raises(UserError, match=message):
        write_scores(scores, tmp_path / "out", "operating_points", **options)
    assert not (tmp_path / "out").exists()


def test_more_levels_than_tables_are_refused(tmp_path: Path) -> None:
    scores = ScoreSet.build(torch.linspace(0, 1, 1001)[None, None], even_edges(0.1, 1001), ["a"], ["Cat"])
    with pytest.raises(UserError, match=r"1001 levels, .* give thresholds"):
        write_scores(scores, tmp_path / "out", "operating_points", thresholds="levels")


def test_tables_of_other_thresholds_are_not_mixed_in(tmp_path: Path) -> None:
    scores = ScoreSet.build(torch.rand(1, 1, 3), even_edges(0.1, 3), ["a"], ["Cat"])
    write_scores(scores, tmp_path, "operating_points", thresholds=[0.25])
    write_scores(scores, tmp_path, "operating_points", thresholds=[0.25])
    with pytest.raises(UserError, match=r"predictions_th_0\.25\.tsv' is not of these scores"):
        write_scores(scores, tmp_path, "operating_points", thresholds=[0.5])
