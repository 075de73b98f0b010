"""What turns recordings into scores, and what it gives for each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from rl_postproc.sources.recordings import Recording
from rl_postproc.utils.errors import UserError

RESOLUTION = 1e-6
"""Seconds to which times are told, as those of events are."""

Advance = Callable[[float], None]
"""Is told, from time to time, how many more seconds of audio have been worked on."""


class ClipScores(NamedTuple):
    """The scores of one recording, on even frames from 0 s on.

    Attributes:
        scores: probabilities, float32 ``[row, class]``.
        repeat: frames in succession that have the scores of one row.
        hop: frame length in seconds.
        duration: length of the recording in seconds, where the last frame is cut.
    """

    scores: np.ndarray
    repeat: int
    hop: float
    duration: float

    @property
    def n_frames(self) -> int:
        """Frames that begin before the recording ends."""
        return min(len(self.scores) * self.repeat, frames_in(self.duration, self.hop))

    @property
    def edges(self) -> np.ndarray:
        """Frame edges in seconds, float64 ``[frame + 1]``; the last is at the end of the recording, or before it."""
        edges = np.round(np.arange(self.n_frames + 1) * self.hop, 6)
        edges[-1] = min(edges[-1], self.duration)
        return edges

    @property
    def frames(self) -> np.ndarray:
        """Probabilities of every frame, float32 ``[frame, class]``."""
        return self.scores[np.arange(self.n_frames) // self.repeat]


def frames_in(duration: float, hop: float) -> int:
    """Returns how many frames begin in so many seconds, at least one."""
    return max(1, int(np.ceil(duration / hop - RESOLUTION)))


def digest(path: str | Path) -> str:
    """Returns the SHA-256 of a file, as 64 hexadecimal digits.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            found = hashlib.sha256()
            while part := file.read(1 << 20):
                found.update(part)
            return found.hexdigest()
    except OSError as error:
        raise UserError(f"Cannot read '{path}': {error.strerror or error}.") from error


class Detector(Protocol):
    """Gives frame-level scores of recordings."""

    @property
    def classes(self) -> Sequence[str]:
        """One name a class, as far as they are known before anything has run."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What the scores depend on, in plain values: scores of other settings are not mixed with them."""
        ...

    def run(self, recordings: Sequence[Recording], advance: Advance) -> Iterator[tuple[Recording, ClipScores]]:
        """Yields recordings with their scores as they are finished, in any order.

        Raises:
            UserError: a recording cannot be read, or its scores are none.
        """
        ...
