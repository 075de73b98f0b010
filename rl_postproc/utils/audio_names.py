"""Extensions of audio files, the only ones that are ever stripped from the names of clips."""

from __future__ import annotations

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".m4a", ".aif", ".aiff")


def without_audio_suffix(name: str) -> str:
    """Returns the name without a known audio extension, and any other name as it is."""
    for suffix in AUDIO_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
