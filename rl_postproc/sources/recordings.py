"""Which files of audio there are, and what their headers tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_postproc.formats.clip_names import without_audio_suffix
from rl_postproc.utils.errors import UserError, quoted, warn

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64")
"""What is looked for in folders: what libsndfile reads. A file that is named itself may have any name."""
UNREADABLE = (".m4a", ".aac", ".mp4", ".mkv", ".webm", ".wma")
"""Recordings that libsndfile does not read."""
EXTRA = 'pip install "rl-postproc[panns]"'

_CUT = re.compile(r"(?:data|SSND) *: (\d+) \(should be (\d+)\)")
_UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What headers of recordings say that were written into a pipe."""


@dataclass(frozen=True)
class Recording:
    """One file of audio.

    Attributes:
        path: the file.
        clip: its name without the suffix, by which scores, references and durations find each other.
        rate: samples a second.
        n_channels: channels.
        duration: length in seconds, as the header tells it; 0 where it does not.
    """

    path: Path
    clip: str
    rate: int
    n_channels: int
    duration: float


def find_recordings(paths: Sequence[str | Path]) -> list[Recording]:
    """Returns the recordings that files and folders stand for, sorted by name.

    Folders are searched with all that is in them, for names that end in one of `SUFFIXES`; hidden files are left out. The
    headers of all files are read, so that what is no audio is told before hours of work.

    Warns:
        DataWarning: a folder has recordings that cannot be read, or a file is shorter than its header says.

    Raises:
        UserError: there is no such file or none in a folder, a file is no audio or empty, or two have the same name.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files(Path(path))))
    taken: dict[str, Path] = {}
    for file in files:
        other = taken.setdefault(clip_name(file), file)
        if other is not file:
            raise UserError(f"'{other}' and '{file}' would both be the clip '{clip_name(file)}'; rename one, or score them "
                            "into two folders.")  # fmt: skip
    return [_described(taken[clip], clip) for clip in sorted(taken)]


def clip_name(file: Path) -> str:
    """Returns the name of the clip in a file."""
    return without_audio_suffix(file.stem) if file.suffix else file.name


def open_sound(path: Path) -> Any:
    """Opens a file of audio, as a ``soundfile.SoundFile``.

    Raises:
        UserError: it is missing, cannot be read or is no audio; or the library is missing.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # without libsndfile it is an OSError
        raise UserError(f"Reading audio needs soundfile ({error}); install it: {EXTRA}.") from error
    try:
        with path.open("rb"):  # libsndfile takes what is missing for a format it does not know
            pass
        return soundfile.SoundFile(str(path))
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error
    except RuntimeError as error:
        raise UserError(f"'{path}' is not audio that can be read ({reason(error)}); it may be damaged, or of a format such "
                        "as M4A that must be converted first: ffmpeg -i IN OUT.wav.") from error  # fmt: skip


def reason(error: Exception) -> str:
    """Returns what libsndfile says, without the file's name."""
    return str(error).rpartition(": ")[2].strip().rstrip(".") or type(error).__name__


def _files(path: Path) -> list[Path]:
    """Returns a file, or those in a folder."""
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"There is no file or folder '{path}'; give files of audio, or folders of them.")
        return [path]
    found = [file for file in path.rglob("*") if not _is_hidden(file.relative_to(path)) and file.is_file()]
    files = sorted(file for file in found if file.suffix.lower() in SUFFIXES)
    others = sorted(file for file in found if file.suffix.lower() in UNREADABLE)
    if others:
        warn(f"{len(others)} of {len(files) + len(others)} recordings in '{path}' ({quoted([f.name for f in others])}) are "
             "left out, because their format is not read; convert them first: ffmpeg -i IN OUT.wav.")  # fmt: skip
    if not files:
        raise UserError(
            f"The folder '{path}' holds no audio ({', '.join(SUFFIXES)}); give the folder of the recordings."
        )
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _described(path: Path, clip: str) -> Recording:
    """Reads the header of a file."""
    with open_sound(path) as sound:
        rate, n_channels, n_samples = sound.samplerate, sound.channels, sound.frames
        _tell_if_cut(path, sound.extra_info)
    if n_samples == 0:
        raise UserError(f"'{path}' holds no samples; it may be damaged, leave it out.")
    return Recording(path, clip, rate, n_channels, n_samples / rate if 0 < n_samples < 1 << 60 else 0.0)


def _tell_if_cut(path: Path, log: str) -> None:
    """Warns where a header names more bytes than there are."""
    for match in _CUT.finditer(log):
        named, there = map(int, match.groups())
        if there < named and named not in _UNKNOWN_SIZES:
            warn(f"'{path}' is cut: {there} of the {named} bytes of samples that its header names are there; what is there "
                 "is used.")  # fmt: skip
