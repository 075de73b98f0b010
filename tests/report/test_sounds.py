"""Sounds of clips: compressed so that others read them, with a spectrogram that shows what is heard."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import small_simulation

from rl_postproc.metrics import EventBased
from rl_postproc.report.clips import make_browser
from rl_postproc.report.sounds import BANDS, COLUMNS, read_sound, spectrogram, with_sounds
from rl_postproc.sources.recordings import find_recordings
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")


def tone(hertz: float, rate: int, seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("hertz", "rate"), [(440, 44_100), (3000, 16_000), (100, 8_000)])
def test_a_tone_is_where_it_belongs(hertz: float, rate: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(hertz, rate, 2.0), rate)
    sound = read_sound(find_recordings([tmp_path / "a.wav"])[0], 2.0)
    samples, found = soundfile.read(io.BytesIO(sound.data))
    assert found == min(rate, 16_000)
    assert abs(len(samples) / found - 2) < 0.15  # MP3 pads
    peak = np.abs(np.fft.rfft(samples[:found]))[1:].argmax() + 1
    assert peak == pytest.approx(hertz, abs=2)
    assert sound.spectrogram.shape[0] == BANDS and sound.spectrogram.shape[1] <= COLUMNS + 8
    mel = np.linspace(0, 2595 * np.log10(1 + sound.top / 700), BANDS + 2)[1:-1]
    centres = 700 * (10 ** (mel / 2595) - 1)
    loudest = centres[sound.spectrogram[:, sound.spectrogram.shape[1] // 2].argmax()]
    assert loudest == pytest.approx(hertz, rel=0.12, abs=40)


def test_a_spectrogram_spans_its_clip(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1000, 16_000, 2.0), 16_000)
    recording = find_recordings([tmp_path / "a.wav"])[0]
    loud = read_sound(recording, 4.0).spectrogram.max(0) > 128
    assert loud.mean() == pytest.approx(0.5, abs=0.03) and loud[: int(0.45 * len(loud))].all()
    assert (read_sound(recording, 1.0).spectrogram.max(0) > 128).all()


@pytest.mark.parametrize("n", [1, 100, 5000, 16_000 * 300])
def test_a_spectrogram_of_any_length_is_small(n: int) -> None:
    found = spectrogram(np.random.default_rng(0).normal(size=n).astype(np.float32), 16_000)
    assert found.shape[0] == BANDS and 1 <= found.shape[1] <= COLUMNS + 8
    assert found.max() == 255
    assert spectrogram(np.zeros(n, np.float32), 16_000).max() <= 255


def test_sounds_go_to_the_clips_that_differ_most_until_they_are_too_many(tmp_path: Path) -> None:
    scores = small_simulation(8)
    task = TuningTask.build(scores)
    systems = {"default": task.stack.events(scores, task.stack.space.defaults),
               "best": task.stack.events(scores, task.stack.space.values[task.best_constants])}  # fmt: skip
    browser, _ = make_browser(scores, systems, EventBased())
    for i, name in enumerate(scores.clip_ids[:6]):
        soundfile.write(tmp_path / f"{Path(name).stem}.wav", tone(200 + 100 * i, 16_000, 1.0), 16_000)
    heard, notes = with_sounds(browser, [tmp_path])
    assert sorted(heard.sounds) == list(range(6))
    assert notes == [
        "6 of the 8 clips can be heard, those on which the systems differ most; of 2 there is no recording."
    ]
    each = len(heard.sounds[0].data) + heard.sounds[0].spectrogram.size
    few, notes = with_sounds(browser, [tmp_path], most_bytes=3 * each + each // 2)
    assert 2 <= len(few.sounds) <= 4 and notes
    a, b = (own.astype(int) for own in browser.counts.values())
    apart = abs(a[:, 0] - b[:, 0]) + abs((a[:, 1] - a[:, 0]) - (b[:, 1] - b[:, 0]))
    assert min(apart[i] for i in few.sounds) >= max(apart[i] for i in range(6) if i not in few.sounds)
    long, notes = with_sounds(replace(browser, durations=browser.durations + 1000), [tmp_path])
    assert not long.sounds and "6 are longer than 10 minutes" in notes[0]
    (tmp_path / "other").mkdir()
    soundfile.write(tmp_path / "other" / "x.wav", tone(200, 16_000, 1.0), 16_000)
    with pytest.raises(UserError, match=r"None of the 1 recordings in .* is called as one of the clips"):
        with_sounds(browser, [tmp_path / "other"])
