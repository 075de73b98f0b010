"""Folders of scores that a detector fills: read back as they were, taken up again, and not mixed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panns_cases import sounds, write_sound

from rl_postproc import UserError
from rl_postproc.formats import read_durations, read_scores
from rl_postproc.sources import ClipScores, Recording, find_recordings, score_folder
from rl_postproc.utils.errors import DataWarning

pytest.importorskip("soundfile")


class Loudness:
    """Scores by chance, of every recording the same ones each time."""

    classes = ("Dog", "Male speech, man speaking")

    def __init__(self, hop: float = 0.05, repeat: int = 1, fails_at: str | None = None):
        self.hop, self.repeat, self._fails_at = hop, repeat, fails_at
        self.settings: dict[str, Any] = {"source": "test", "hop": hop, "classes": list(self.classes)}
        self.scored: list[str] = []

    def run(self, recordings: Sequence[Recording], advance: Any) -> Iterator[tuple[Recording, ClipScores]]:
        for recording in recordings[::-1]:
            if recording.clip == self._fails_at:
                raise KeyboardInterrupt
            self.scored.append(recording.clip)
            advance(recording.duration)
            yield recording, self.of(recording)

    def of(self, recording: Recording) -> ClipScores:
        rng = np.random.default_rng(len(recording.clip) + round(1000 * recording.duration))
        n = int(np.ceil(recording.duration / self.hop / self.repeat - 1e-9))
        return ClipScores(rng.random((n, 2), dtype=np.float32) ** 9, self.repeat, self.hop, recording.duration)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for name, seconds in (("a", 1.02), ("b", 0.5), ("cc", 2.0)):
        write_sound(tmp_path / "audio" / f"{name}.wav", sounds(seconds, 8000), 8000)
    return tmp_path / "audio"


@pytest.mark.parametrize("repeat", [1, 8])
def test_what_was_written_is_read_back_bit_by_bit(audio: Path, tmp_path: Path, repeat: int) -> None:
    recordings, detector = find_recordings([audio]), Loudness(0.01 if repeat > 1 else 0.05, repeat)
    shown: list[float] = []
    written = score_folder(
        detector, recordings, tmp_path / "out", show=lambda what, share, figures: shown.append(share)
    )
    assert written == (3, 0)
    assert shown == sorted(shown) and shown[-1] == 1.0
    found = read_scores(tmp_path / "out" / "scores", durations=tmp_path / "out" / "durations.tsv")
    assert found.classes == detector.classes and found.clip_ids == ("a.wav", "b.wav", "cc.wav")
    assert found.durations.tolist() == [1.02, 0.5, 2.0]
    for i, recording in enumerate(recordings):
        scores, n = detector.of(recording), int(found.n_frames[i])
        assert n == scores.n_frames
        np.testing.assert_array_equal(found.scores[i, :, :n].numpy().T, scores.frames)
        edges = found.edges.expand(3, -1)[i, : n + 1].numpy()
        np.testing.assert_array_equal(edges[:-1], np.round(np.arange(n) * detector.hop, 6))
        assert edges[-1] == recording.duration


def test_frames_are_cut_at_the_end_of_the_recording() -> None:
    scores = np.arange(8, dtype=np.float32).reshape(4, 2)
    clip = ClipScores(scores, 2, 0.3, 1.0)
    assert clip.n_frames == 4 and clip.edges.tolist() == [0, 0.3, 0.6, 0.9, 1.0]
    assert clip.frames.tolist() == scores[[0, 0, 1, 1]].tolist()
    assert ClipScores(scores, 1, 0.25, 1.0).edges.tolist() == [0, 0.25, 0.5, 0.75, 1.0]
    # A detector's frames may end before the recording.
    assert ClipScores(scores, 1, 0.2, 1.0).edges.tolist() == [0, 0.2, 0.4, 0.6, 0.8]
    assert ClipScores(scores, 1, 0.2, 0.05).edges.tolist() == [0, 0.05]


def test_what_was_stopped_is_taken_up_again(audio: Path, tmp_path: Path) -> None:
    out, recordings = tmp_path / "out", find_recordings([audio])
    with pytest.raises(KeyboardInterrupt):
        score_folder(Loudness(fails_at="a"), recordings, out)
    assert sorted(path.name for path in out.rglob("*")) == [".settings.json", "b.tsv", "cc.tsv", "scores"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.tsv")}
    detector = Loudness()
    assert score_folder(detector, recordings, out) == (1, 2) and detector.scored == ["a"]
    assert before.items() <= {path: path.stat().st_mtime_ns for path in out.rglob("*.tsv")}.items()
    assert read_durations(out / "durations.tsv") == {"a.wav": 1.02, "b.wav": 0.5, "cc.wav": 2.0}
    score_folder(Loudness(), recordings, tmp_path / "whole")
    for path in (tmp_path / "whole" / "scores").glob("*.tsv"):
        assert path.read_bytes() == (out / "scores" / path.name).read_bytes()


def test_further_recordings_join_those_that_are_there(audio: Path, tmp_path: Path) -> None:
    score_folder(Loudness(), find_recordings([audio]), tmp_path / "out")
    more = find_recordings([write_sound(tmp_path / "d.flac", sounds(0.3, 8000), 8000, "PCM_16")])
    assert score_folder(Loudness(), more, tmp_path / "out") == (1, 0)
    lengths = {"a.wav": 1.02, "b.wav": 0.5, "cc.wav": 2.0, "d.flac": 0.3}
    assert read_durations(tmp_path / "out" / "durations.tsv") == lengths


def test_scores_of_other_settings_are_not_mixed(audio: Path, tmp_path: Path) -> None:
    out, recordings = tmp_path / "out", find_recordings([audio])
    score_folder(Loudness(), recordings, out)
    before = (out / "scores" / "a.tsv").read_bytes()
    with pytest.raises(
        UserError, match=r"holds scores of other settings \(hop: 0\.05 there, 0\.1 here\); choose another"
    ):
        score_folder(Loudness(0.1), recordings, out)
    assert (out / "scores" / "a.tsv").read_bytes() == before
    assert score_folder(Loudness(0.1), recordings[:1], out, fresh=True) == (1, 0)
    assert [path.name for path in (out / "scores").glob("*.tsv")] == ["a.tsv"]
    assert (out / "scores" / "a.tsv").read_bytes() != before


def test_tables_of_another_origin_are_left_alone(audio: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "scores").mkdir(parents=True)
    (tmp_path / "out" / "scores" / "mine.tsv").write_text("mine")
    for fresh in (False, True):
        with pytest.raises(UserError, match=r"holds tables \(mine\.tsv, …\) of another origin; choose another --out"):
            score_folder(Loudness(), find_recordings([audio]), tmp_path / "out", fresh=fresh)
    assert (tmp_path / "out" / "scores" / "mine.tsv").read_text() == "mine"


def test_recordings_that_were_replaced_are_scored_anew(audio: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score_folder(Loudness(), find_recordings([audio]), out)
    times = (out / "scores" / "a.tsv").stat().st_mtime_ns
    os.utime(
        write_sound(audio / "a.wav", sounds(0.7, 8000), 8000), ns=(times - 10**9, times - 10**9)
    )  # shorter, as old
    os.utime(audio / "b.wav", ns=(times + 10**10, times + 10**10))
    detector = Loudness()
    with pytest.warns(DataWarning, match=r"2 of 3 recordings are newer or shorter .* \(the first: '.*a\.wav'\)"):
        assert score_folder(detector, find_recordings([audio]), out) == (2, 1)
    assert sorted(detector.scored) == ["a", "b"]
    assert read_durations(out / "durations.tsv")["a.wav"] == 0.7
