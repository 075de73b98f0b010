"""Scores that are read in pieces: clips that need not fit into memory, and what is known of them before they are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Piece = tuple[np.ndarray, np.ndarray]
"""Successive frames of a clip: edges in seconds, float64 ``[frame + 1]``, and scores ``[frame, class]``."""


@dataclass(frozen=True)
class ClipSource(ABC):
    """One clip; may be sent to another process.

    Attributes:
        clip_id: its name.
        duration: its length in seconds; it ends with its last frame when None.
        n_frames: number of frames, those beyond its end included.
    """

    clip_id: str
    duration: float | None
    n_frames: int

    @abstractmethod
    def pieces(self, n_frames: int) -> Iterator[Piece]:
        """Reads the clip, so many frames at a time, one piece after another; may be called again.

        Raises:
            UserError: what is read cannot be used.
        """


@dataclass(frozen=True)
class ScoreSource:
    """The scores of one detector on a set of clips, to be read in pieces.

    Attributes:
        classes: name of each class.
        clips: in the order of a `ScoreSet` of the same files.
        hop: frame length in seconds, the one of that set.
        format: name of the format.
        hop_known: how the hop is known.
        lengths_known: how the clips' lengths are known.
    """

    classes: tuple[str, ...]
    clips: tuple[ClipSource, ...]
    hop: float
    format: str = ""
    hop_known: str = ""
    lengths_known: str = ""


class HopSurvey:
    """Finds the frame length of a set of clips, as `ScoreSet.hop` has it, from their edges one clip after another."""

    def __init__(self) -> None:
        self._longest = np.zeros(1)
        self._shared = True
        self._steps: list[tuple[int, float, Counter[float]]] = []

    def add(self, edges: np.ndarray) -> None:
        """Takes the frame edges of a clip, float64 ``[frame + 1]``."""
        steps = np.diff(edges)
        values, counts = np.unique(steps.round(9), return_counts=True)
        found = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self._steps.append((len(steps), float(np.median(steps)), found))
        n = min(len(edges), len(self._longest))
        if len(self._steps) > 1:
            self._shared &= bool(np.array_equal(edges[:n], self._longest[:n]))
        if len(edges) > len(self._longest) or len(self._steps) == 1:
            self._longest = edges

    @property
    def hop(self) -> float:
        """The median frame length of the clips taken so far, which count as `ScoreSet` holds their edges."""
        most = len(self._longest) - 1
        if self._shared:
            found = next(counts for n, _, counts in self._steps if n == most)
        else:
            found = Counter[float]()
            for n, median, counts in self._steps:
                found.update(counts)
                found[float(np.round(median, 9))] += most - n  # a row goes on in such steps up to the longest
        values = np.array(sorted(found))
        ends = np.cumsum([found[value] for value in values.tolist()])
        return round(float(values[np.searchsorted(ends, (ends[-1] - 1) // 2, side="right")]), 9)
