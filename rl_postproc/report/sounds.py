"""What is heard of the clips of a report: compressed audio and spectrograms of those on which systems differ most."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rl_postproc.formats.clip_names import match_names
from rl_postproc.report.browser import Browser, Sound
from rl_postproc.report.clips import how_far_apart
from rl_postproc.sources.audio import Samples
from rl_postproc.sources.recordings import Recording, find_recordings
from rl_postproc.utils.errors import UserError

RATE = 16_000
"""Samples a second that are kept."""
MOST_BYTES = 3_000_000
"""Bytes that all sounds may take."""
MOST_SECONDS = 600
"""Longer clips are left out."""
BANDS, COLUMNS = 64, 400
"""Size of a spectrogram at the most."""
RANGE = 80.0
"""Decibels from the loudest to silence."""


def with_sounds(browser: Browser, audio: Sequence[Path], most_bytes: int = MOST_BYTES) -> tuple[Browser, list[str]]:
    """Returns the browser with the sounds of its clips, and sentences on what was left out.

    Those on which systems differ most come first, until all take as many bytes as they may.

    Args:
        browser: the clips.
        audio: files and folders of recordings, called as the clips.
        most_bytes: what they may take together.

    Raises:
        UserError: a recording cannot be read, none is of these clips, or a library is missing.
    """
    recordings = {own.clip: own for own in find_recordings(audio)}
    found = match_names(browser.clip_ids, list(recordings))
    if not found:
        raise UserError(f"None of the {len(recordings)} recordings in '{audio[0]}' is called as one of the clips, such as "
                        f"'{browser.clip_ids[0]}'; give the folder of their audio.")  # fmt: skip
    sounds, taken, long = dict[int, Sound](), 0, 0
    apart = how_far_apart(browser.counts) if browser.counts else np.zeros(len(browser.clip_ids))
    order: list[int] = np.argsort(-apart, kind="stable").tolist()  # pyright: ignore[reportAssignmentType]
    for clip in order:
        if (name := browser.clip_ids[clip]) not in found:
            continue
        if browser.durations[clip] > MOST_SECONDS:
            long += 1
            continue
        sound = read_sound(recordings[found[name]], float(browser.durations[clip]))
        taken += len(sound.data) + sound.spectrogram.size
        if taken > most_bytes and sounds:
            break
        sounds[clip] = sound
    notes = []
    if len(sounds) < len(browser.clip_ids):
        without = len(browser.clip_ids) - len(found)
        said = (
            f"{len(sounds)} of the {len(browser.clip_ids)} clips can be heard, those on which the systems differ most"
        )
        said += f"; of {without} there is no recording" if without else ""
        notes.append(said + (f"; {long} are longer than {MOST_SECONDS // 60} minutes" if long else "") + ".")
    return replace(browser, sounds=sounds), notes


def read_sound(recording: Recording, seconds: float) -> Sound:
    """Returns a recording as MP3 at 16 kHz, or at its own rate if that is lower, with its mel spectrogram.

    Args:
        recording: what to read.
        seconds: length of the clip, which the spectrogram spans; what the recording lacks is silent there.

    Raises:
        UserError: it cannot be read, or the library that compresses is missing or too old.
    """
    import soundfile

    if "MP3" not in soundfile.available_formats():
        raise UserError("Sounds are kept as MP3, which this version of soundfile does not write; update it with "
                        "`pip install -U soundfile`.")  # fmt: skip
    stream = Samples(recording, min(RATE, recording.rate))
    samples, file = np.concatenate(list(stream)), io.BytesIO()
    soundfile.write(file, samples, stream.rate, format="MP3", subtype="MPEG_LAYER_III")
    n = max(1, round(seconds * stream.rate))
    spanned = np.pad(samples[:n], (0, max(0, n - len(samples))))
    return Sound("audio/mpeg", file.getvalue(), spectrogram(spanned, stream.rate), stream.rate / 2)


def spectrogram(samples: np.ndarray, rate: int) -> np.ndarray:
    """Returns levels in mel bands, from 0 (80 dB below the loudest, or less) to 255, uint8 ``[band, column]``.

    Args:
        samples: float32 ``[sample]``.
        rate: samples a second.
    """
    import librosa
    from scipy.signal import stft

    window = 1 << max(5, round(np.log2(rate * 0.032)))
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    hop = max(window // 4, -(-len(padded) // COLUMNS))
    overlap: Any = {"nperseg": window, "noverlap": max(0, window - hop), "boundary": None, "nfft": 4 * window}
    _, _, spectrum = stft(padded, rate, **overlap)
    if hop > window:  # frames of a window each would leave gaps: the loudest of each column stays
        step = -(-spectrum.shape[1] // COLUMNS)
        power = np.abs(np.pad(spectrum, ((0, 0), (0, -spectrum.shape[1] % step)))) ** 2
        power = power.reshape(len(power), -1, step).max(2)
    else:
        power = np.abs(spectrum) ** 2
    mel = librosa.filters.mel(sr=rate, n_fft=4 * window, n_mels=BANDS, htk=True, norm=None) @ power
    level = 10 * np.log10(np.maximum(mel, 1e-12) / max(float(mel.max()), 1e-12))
    return ((level.clip(-RANGE, 0) + RANGE) / RANGE * 255).round().astype(np.uint8)
