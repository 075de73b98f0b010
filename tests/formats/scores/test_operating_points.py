"""Scores rebuilt from operating points: thresholding them must give the tables' frames again."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_durations, read_events, read_scores
from rl_postproc.utils.errors import UserError

HEADER = "filename\tonset\toffset\tevent_label\n"


def runs(active: np.ndarray) -> list[tuple[int, int]]:
    """First and one-past-last index of each run of a bool track."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(int), [0]])))
    return list(zip(change[::2].tolist(), change[1::2].tolist(), strict=True))


def make(folder: Path, tables: dict[str, str], durations: str = "a.wav\t1\nb.wav\t1\n") -> dict[str, Any]:
    """Writes tables by threshold and durations, and returns the arguments that read them."""
    (folder / "points").mkdir()
    for threshold, rows in tables.items():
        (folder / "points" / f"th_{threshold}.tsv").write_text(HEADER + rows)
    (folder / "durations.tsv").write_text(durations)
    return {"path": folder / "points", "durations": folder / "durations.tsv"}


@st.composite
def nested_points(draw: st.DrawFn) -> tuple[list[float], np.ndarray, float]:
    """Thresholds, the number of them at which each frame is active ``[clip, class, frame]``, and a hop."""
    thresholds = draw(st.lists(st.one_of(st.integers(0, 999).map(lambda i: i / 1000), st.floats(0, 0.999)), min_size=1,
                               max_size=6, unique_by=lambda x: round(x, 6)))  # fmt: skip
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 12))
    levels = draw(st.lists(st.integers(0, len(thresholds)), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    level = np.array(levels).reshape(shape)
    level[0, :, 0] = np.maximum(level[0, :, 0], 1)  # every class is detected somewhere
    return sorted(thresholds), level, draw(st.sampled_from([0.01, 0.064, 0.5, 512 / 22050]))


@settings(max_examples=150, deadline=None)
@given(nested_points())
def test_thresholding_rebuilt_scores_gives_the_active_frames_again(case: tuple[list[float], np.ndarray, float]) -> None:
    thresholds, level, hop = case
    n_clips, n_classes, n_frames = level.shape
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {}
        for k, threshold in enumerate(thresholds):
            tables[repr(threshold)] = "".join(
                f"c{c}.wav\t{round(start * hop, 6)}\t{round(stop * hop, 6)}\tclass{j}\n"
                for c in range(n_clips) for j in range(n_classes) for start, stop in runs(level[c, j] > k)
            )  # fmt: skip
        found = read_scores(
            **make(folder, tables, "".join(f"c{c}.wav\t{n_frames * hop}\n" for c in range(n_clips))), hop=hop
        )
    width = found.width
    assert found.classes == tuple(f"class{j}" for j in range(n_classes))
    assert not level[:, :, width:].any()
    assert found.edges[0].tolist() == [round(t * hop, 6) for t in range(width + 1)]
    for k, threshold in enumerate(thresholds):
        expected = level[:, :, :width] > k
        assert np.array_equal((found.scores > threshold).numpy(), expected)
        assert np.array_equal(found.scores.double().numpy() > threshold, expected)


def test_scores_lie_midway_between_the_thresholds(tmp_path: Path) -> None:
    case = make(tmp_path, {"0.2": "a.wav\t0\t0.3\tDog\n", "0.6": "a.wav\t0.1\t0.2\tDog\n"})
    found = read_scores(**case)
    expected = torch.tensor([[0.4, 0.8, 0.4], [0.1, 0.1, 0.1]])
    assert found.hop == pytest.approx(0.1)
    assert torch.equal(found.scores[:, 0], expected)


@pytest.fixture(scope="module")
def real(data_root: Path) -> tuple[ScoreSet, Path]:
    folder = data_root / "desed_validation"
    points = folder / "baseline2021_student" / "operating_points"
    return read_scores(points, references=folder / "ground_truth.tsv", durations=folder / "durations.tsv"), points


def test_real_points_have_the_known_shape(real: tuple[ScoreSet, Path]) -> None:
    found, _ = real
    assert found.scores.shape == (1168, 10, 156)
    assert found.edges[0, 1].item() == 0.064
    assert found.edges[0, -1].item() == 9.984
    assert found.references is not None
    assert len(found.references) == 4224
    assert "Y00pbt6aJV8Y_350.000_360.000.wav" in found.clip_ids
    assert found.classes == tuple(sorted(found.classes))


def test_real_points_are_rebuilt_event_for_event_at_every_threshold(
    real: tuple[ScoreSet, Path], data_root: Path
) -> None:
    found, folder = real
    seconds = read_durations(data_root / "desed_validation" / "durations.tsv")
    files = sorted(folder.glob("*.tsv"))
    assert len(files) == 50
    for file in files:
        expected = Counter(
            (row.filename, row.label, row.onset, min(row.offset, seconds[row.filename]))
            for row in read_events(file)
            if row.onset is not None and row.offset is not None and row.onset < seconds[row.filename]
        )
        active = (found.scores > float(file.stem.split("_")[-1])).numpy().astype(np.int8)
        change = np.diff(np.pad(active, ((0, 0), (0, 0), (1, 1))), axis=2)
        clip, label, start = torch.from_numpy(np.argwhere(change == 1)).unbind(1)
        stop = torch.from_numpy(np.argwhere(change == -1))[:, 2]
        frames = found.clip_frames
        onset, offset = frames.onset_times(clip, start), frames.offset_times(clip, stop - 1)
        rebuilt = Counter(
            (found.clip_ids[c], found.classes[j], on, off)
            for c, j, on, off in zip(clip.tolist(), label.tolist(), onset.tolist(), offset.tolist(), strict=True)
        )
        assert rebuilt == expected, file


def test_detections_beyond_the_end_of_a_clip_are_cut(tmp_path: Path) -> None:
    rows = "a.wav\t0\t0.3\tDog\nb.wav\t0.1\t0.4\tDog\nb.wav\t0.4\t0.5\tDog\n"
    found = read_scores(**make(tmp_path, {"0.5": rows}, "a.wav\t0.45\nb.wav\t0.25\n"))
    assert found.n_frames.tolist() == [5, 3]
    assert (found.scores[1, 0] > 0.5).tolist() == [False, True, True, False, False]


def test_set_is_no_wider_than_its_longest_clip(tmp_path: Path) -> None:
    found = read_scores(**make(tmp_path, {"0.5": "a.wav\t0.1\t0.9\tDog\n"}, "a.wav\t0.25\n"))
    assert found.scores.shape == (1, 1, 3)


def test_offset_clipped_to_the_duration_ends_with_the_last_frame(tmp_path: Path) -> None:
    rows = "a.wav\t0\t0.128\tDog\na.wav\t0.192\t0.2\tDog\nb.wav\t0.064\t0.256\tDog\n"
    found = read_scores(**make(tmp_path, {"0.5": rows}, "a.wav\t0.2\nb.wav\t0.3\n"))
    assert found.n_frames.tolist() == [4, 4]
    assert (found.scores[0, 0] > 0.5).tolist() == [True, True, False, True]


def test_detections_that_all_fill_their_clips_are_one_frame_each(tmp_path: Path) -> None:
    found = read_scores(**make(tmp_path, {"0.5": "a.wav\t0\t1\tDog\n"}))
    assert (found.scores > 0.5).tolist() == [[[True]], [[False]]]
    assert found.edges.tolist() == [[0.0, 1.0]]


def test_empty_table_and_row_without_event_are_no_detections(tmp_path: Path) -> None:
    case = make(tmp_path, {"0.1": "a.wav\t0.1\t0.3\tDog\nb.wav\t\t\t\n", "0.9": ""})
    found = read_scores(**case)
    assert (found.scores > 0.1).sum() == 2
    assert not (found.scores > 0.9).any()


def test_zero_length_detection_has_no_frame(tmp_path: Path) -> None:
    found = read_scores(**make(tmp_path, {"0.1": "a.wav\t0.1\t0.3\tDog\nb.wav\t0.2\t0.2\tDog\n"}))
    assert (found.scores > 0.1).sum(-1).tolist() == [[2], [0]]


def test_names_match_without_audio_suffix_and_keep_their_dots(tmp_path: Path) -> None:
    clip = "Y00_350.000_360.000"
    case = make(tmp_path, {"0.1": f"{clip}\t0.1\t0.3\tDog\n{clip}.wav\t0.4\t0.5\tDog\n"}, f"{clip}.flac\t1\n")
    (tmp_path / "references.tsv").write_text(f"{clip}.wav\t0\t1\tDog\n")
    found = read_scores(**case, references=tmp_path / "references.tsv")
    assert found.clip_ids == (f"{clip}.wav",)
    assert (found.scores > 0.1).sum() == 3
    assert found.durations.tolist() == [1.0]


def test_subset_keeps_the_clips_of_both_tables(tmp_path: Path) -> None:
    case = make(tmp_path, {"0.1": "a.wav\t0.1\t0.3\tDog\nb.wav\t0.1\t0.3\tCat\nc.wav\t0\t0.1\tDog\n"})
    (tmp_path / "references.tsv").write_text("b.wav\t0\t1\tCat\nc.wav\t0\t1\tCat\n")
    case["references"] = tmp_path / "references.tsv"
    with pytest.raises(
        UserError, match=r"1 of 2 clips in the references .*references\.tsv' are missing from the durations"
    ):
        read_scores(**case)
    found = read_scores(**case, subset=True)
    assert found.clip_ids == ("b.wav",)
    assert found.require_references().to_rows() == [("b.wav", 0.0, 1.0, "Cat")]
    assert (found.scores > 0.1).tolist() == [[[False, True, True], [False, False, False]]]


def test_referenced_class_that_is_never_detected_must_be_listed(tmp_path: Path) -> None:
    case = make(tmp_path, {"0.1": "a.wav\t0.1\t0.3\tSpeech\n"})
    (tmp_path / "references.tsv").write_text("a.wav\t0\t1\tSpeech\nb.wav\t0\t1\tSpeach\n")
    case["references"] = tmp_path / "references.tsv"
    with pytest.raises(UserError, match=r"references\.tsv', row 2: the class 'Speach' .* did you mean 'Speech'"):
        read_scores(**case)
    found = read_scores(**case, classes=["Speach", "Speech"])
    assert found.classes == ("Speach", "Speech")
    assert not (found.scores[:, 0] > 0.1).any()


GOOD = "a.wav\t0\t0.3\tDog\na.wav\t0.4\t0.5\tDog\n"


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        ({"0.1": GOOD, "0.2": "b.wav\na.wav\t0.1\t0.4\tDog\n"}, {}, "th_0.2.tsv', row 3: the event 0.1 to 0.4 s is"),
        ({"0.1": GOOD, "0.2": "", "0.3": GOOD}, {}, "th_0.3.tsv', row 2: the event 0.0 to 0.3 s is not covered"),
        ({"0.1": GOOD + "c.wav\t0\t0.1\tDog\n"}, {}, "th_0.1.tsv', row 4: the clip 'c.wav' is in neither"),
        ({"0.1": GOOD + "c.wav\n"}, {}, "th_0.1.tsv', row 4: the clip 'c.wav' is in neither"),
        ({"0.1": GOOD}, {"classes": ["Dogs"]}, "th_0.1.tsv', row 2: the class 'Dog' is not among the given"),
        ({"0.1": GOOD + "b.wav\t0.1\t0.27\tDog\n"}, {"hop": 0.1}, "th_0.1.tsv', row 4: the offset 0.27 is no multiple"),
        ({"0.1": GOOD + "b.wav\t0.16\t0.3\tDog\n"}, {"hop": 0.1}, "th_0.1.tsv', row 4: the onset 0.16 is no multiple"),
        ({"0.1": GOOD + "b.wav\tx\t0.3\tDog\n"}, {}, "th_0.1.tsv', row 4: the onset 'x'"),
        ({"2": GOOD}, {}, "th_2.tsv' has the last number 2, which is not in [0, 1]"),
        ({"none": GOOD}, {"format": "operating_points"}, "th_none.tsv' has no number in its name"),
        ({"0.1": GOOD, "0.10": GOOD}, {}, "same threshold"),
        ({"0.1": GOOD, "1": GOOD}, {}, "th_1.tsv' has detections at the threshold 1"),
        ({"0.1": GOOD, "0.100000001": GOOD}, {}, "too close"),
        ({"0.1": GOOD, "0.100000002": GOOD}, {}, "too close"),
        ({"0.1": ""}, {}, "holds a detection"),
        ({"0.1": "a.wav\t0\t0\tDog\n"}, {}, "without any event time after 0"),
        ({"0.1": GOOD}, {"hop": 0.0}, "The hop 0.0 is not a positive number"),
        ({"0.1": GOOD}, {"hop": float("nan")}, "The hop nan is not a positive number"),
    ],
)  # fmt: skip
def test_bad_points_are_refused_with_their_place(
    tmp_path: Path, tables: dict[str, str], options: dict, message: str
) -> None:
    with pytest.raises(UserError) as error:
        read_scores(**make(tmp_path, tables), **options)
    assert message in str(error.value)


def test_without_references_and_durations_the_clips_are_those_that_a_table_names(tmp_path: Path) -> None:
    found = read_scores(make(tmp_path, {"0.1": GOOD + "silent.wav\n"})["path"])
    assert "silent.wav" in found.clip_ids and "a.wav" in found.clip_ids and found.references is None


def test_threshold_is_the_last_number_of_the_name(tmp_path: Path) -> None:
    case = make(tmp_path, {"0.5_model2_7e-1": GOOD, "0.9_v3-.2": GOOD})
    assert read_scores(**case).scores[0, 0, 0].item() == pytest.approx(0.85)


def test_thresholds_zero_and_one_may_stand_at_the_ends(tmp_path: Path) -> None:
    found = read_scores(**make(tmp_path, {"0": GOOD, "0.5": "a.wav\t0\t0.1\tDog\n", "1.0": ""}))
    assert found.scores[0, 0].tolist() == [0.75, 0.25, 0.25, 0.0, 0.25]
