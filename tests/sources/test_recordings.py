"""Reading audio: which files, mono, at the rate that is asked for, and what damaged ones are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rl_postproc import UserError
from rl_postproc.sources import audio, find_recordings
from rl_postproc.sources.audio import Samples, read_audio
from rl_postproc.utils.errors import DataWarning

soundfile = pytest.importorskip("soundfile")
soxr = pytest.importorskip("soxr")


def tone(path: Path, seconds: float = 2.0, rate: int = 44100, frequency: float = 1000.0) -> Path:
    """A tone in the left channel, and half as loud in the right one."""
    samples = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.stack([samples, samples / 2], 1), rate)
    return path


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 1e-3), ("flac", 1e-3), ("ogg", 0.02), ("mp3", 0.02)])
def test_a_tone_stays_a_tone_at_another_rate(tmp_path: Path, suffix: str, tolerance: float) -> None:
    (recording,) = find_recordings([tone(tmp_path / f"a.{suffix}")])
    assert (recording.clip, recording.rate, recording.n_channels) == ("a", 44100, 2)
    samples, rate, duration = read_audio(recording, 32000)
    assert rate == 32000 and samples.dtype == np.float32
    assert duration == pytest.approx(2.0, abs=0.03 if suffix == "mp3" else 1e-6)
    assert len(samples) == pytest.approx(duration * 32000, abs=2)
    middle = samples[8000:40000]  # one second: bins are Hz
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(32000)))
    assert int(spectrum.argmax()) == 1000
    assert np.abs(middle).max() == pytest.approx(0.375, abs=tolerance)  # the mean of the channels


def test_blocks_give_what_the_whole_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, 30_000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, 22050, subtype="FLOAT")
    (recording,) = find_recordings([tmp_path / "a.wav"])
    monkeypatch.setattr(audio, "BLOCK", 777)
    blocks = list(Samples(recording, 32000))
    assert len(blocks) > 20
    np.testing.assert_allclose(np.concatenate(blocks), soxr.resample(noise, 22050, 32000), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(read_audio(recording)[0], noise)


def test_folders_are_searched_and_clips_are_called_as_their_files(tmp_path: Path) -> None:
    for name in ("b.flac", "deep/er/Y1_30.000_40.000.wav", ".hidden/c.wav", ".d.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        tone(tmp_path / name, 0.1)
    (tmp_path / "notes.txt").write_text("no audio")
    (tmp_path / "e.M4A").write_bytes(b"no matter")
    named = tone(tmp_path / ".d.wav", 0.1).rename(tmp_path / "named.xyz")
    with pytest.warns(DataWarning, match=r"1 of 3 recordings in '.*' \('e\.M4A'\) are left out, because their format"):
        found = find_recordings([tmp_path, tmp_path / "b.flac", named])
    assert [recording.clip for recording in found] == ["Y1_30.000_40.000", "b", "named"]


def test_two_recordings_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    first, second = tone(tmp_path / "a.wav", 0.1), tone(tmp_path / "x" / "a.flac", 0.1)
    with pytest.raises(UserError, match=f"'{first}' and '{second}' would both be the clip 'a'; rename one"):
        find_recordings([tmp_path])


@pytest.mark.parametrize("content", [b"", b"no audio at all " * 99, b"RIFF" + bytes(99)])
def test_what_is_no_audio_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match=r"'.*a\.wav' is not audio that can be read \(Format not recognised\)"):
        find_recordings([tmp_path])


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no file or folder '.*a\.wav'"):
        find_recordings([tmp_path / "a.wav"])
    with pytest.raises(UserError, match="holds no audio"):
        find_recordings([tmp_path])
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 32000)
    with pytest.raises(UserError, match=r"'.*a\.wav' holds no samples"):
        find_recordings([tmp_path])


def test_truncated_recordings_are_told(tmp_path: Path) -> None:
    for suffix in ("wav", "mp3", "flac"):
        path = tone(tmp_path / f"a.{suffix}")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(DataWarning, match=r"'.*a\.wav' is cut: \d+ of the 352800 bytes of samples"):
        (recording,) = find_recordings([tmp_path / "a.wav"])
    assert read_audio(recording)[2] == pytest.approx(1.0, abs=1e-3)
    (recording,) = find_recordings([tmp_path / "a.mp3"])
    with pytest.warns(
        DataWarning, match=r"'.*a\.mp3' ends at 0\.\d+ s, where its header says 2\.000 s; it may be trunc"
    ):
        assert read_audio(recording)[2] < 1.1
    with pytest.raises(UserError, match=r"'.*a\.flac' (is not audio that can be|cannot be) read"):
        (recording,) = find_recordings([tmp_path / "a.flac"])
        read_audio(recording)


def test_a_recording_written_into_a_pipe_is_no_truncated_one(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    data = bytearray(tone(tmp_path / "a.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(data)
    (recording,) = find_recordings([tmp_path / "a.wav"])
    assert recording.duration == 2.0 and not recwarn.list


def test_samples_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    samples = np.zeros(32000, dtype=np.float32)
    samples[16000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 32000, subtype="FLOAT")
    (recording,) = find_recordings([tmp_path / "a.wav"])
    with pytest.raises(UserError, match=r"'.*a\.wav' holds samples that are no numbers, the first at 0\.500 s"):
        read_audio(recording)


@pytest.mark.parametrize("library", ["soundfile", "soxr"])
def test_a_missing_library_is_told_with_its_extra(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recording,) = find_recordings([tone(tmp_path / "a.wav", 0.1)])
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(UserError, match=rf'{library} .*pip install "rl-postproc\[panns\]"'):
        read_audio(recording, 32000)
