"""The pieces of a clip, checked as a score set is checked, and what is learned about the clip on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rl_postproc.data.clip_source import ClipSource, Piece
from rl_postproc.data.probabilities import SLACK, remedy
from rl_postproc.utils.errors import UserError


@dataclass
class ClipFacts:
    """What is known of a clip that has been read.

    Attributes:
        clip_id: its name.
        n_given: number of frames in the file.
        n_frames: number of those that begin before the clip's end.
        end: seconds at which its last frame ends.
        duration: its length in seconds.
        n_lost: frames beyond the clip's end that hold scores.
        n_clipped: scores that lay outside [0, 1] by rounding.
        first_clipped: class, frame and score of the first of them.
        lowest: lowest score of each class, ``[class]``.
        highest: highest score of each class, ``[class]``.
    """

    clip_id: str
    n_given: int = 0
    n_frames: int = 0
    end: float = 0.0
    duration: float = 0.0
    n_lost: int = 0
    n_clipped: int = 0
    first_clipped: tuple[str, int, float] | None = None
    lowest: np.ndarray = field(default_factory=lambda: np.ones(1))
    highest: np.ndarray = field(default_factory=lambda: np.zeros(1))


class CheckedClip:
    """A clip of which only what is valid is read.

    Attributes:
        facts: of the last time that it was read to its end.
    """

    def __init__(self, source: ClipSource, classes: Sequence[str], wanted: Sequence[str], n_frames: int):
        """Takes a clip.

        Args:
            source: the clip.
            classes: of the source.
            wanted: the same classes in the order in which they are taken.
            n_frames: how many frames are read at a time.
        """
        self._source, self._wanted, self._n_frames = source, list(wanted), n_frames
        self._columns = None if tuple(wanted) == tuple(classes) else [list(classes).index(name) for name in wanted]
        self.facts = ClipFacts(source.clip_id)

    def pieces(self) -> Iterator[Piece]:
        """Reads the clip from its beginning to its end, scores float32 in [0, 1].

        Raises:
            UserError: a score is no probability, edges do not increase, or the clip ends before its first frame.
        """
        facts = ClipFacts(self._source.clip_id)
        duration, last = self._source.duration, -np.inf
        if duration is not None and not duration > 0:
            raise UserError(f"The duration of clip '{facts.clip_id}' is not a positive number of seconds.")
        facts.lowest, facts.highest = np.ones(len(self._wanted)), np.zeros(len(self._wanted))
        for edges, given in self._source.pieces(self._n_frames):
            if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all() and edges[0] > last):
                raise UserError("Frame edges must be finite and increase strictly from frame to frame.")
            last = edges[-2]
            scores = np.asarray(given if self._columns is None else given[:, self._columns], dtype=np.float32)
            inside = len(scores) if duration is None else int((edges[:-1] < duration).sum())
            facts.n_given += len(scores)
            facts.n_lost += int((scores[inside:] != 0).any(1).sum())
            if inside:
                scores = self._checked(scores[:inside], facts)
                facts.n_frames, facts.end = facts.n_frames + inside, float(edges[inside])
                facts.lowest = np.minimum(facts.lowest, scores.min(0))
                facts.highest = np.maximum(facts.highest, scores.max(0))
                yield edges[: inside + 1], scores
        if not facts.n_frames:
            raise UserError(f"Clip '{facts.clip_id}' has no frame inside its duration.")
        facts.duration = facts.end if duration is None else duration
        self.facts = facts

    def _checked(self, scores: np.ndarray, facts: ClipFacts) -> np.ndarray:
        outside = ~((scores >= 0) & (scores <= 1))
        if not outside.any():
            return scores
        far = ~((scores >= -SLACK) & (scores <= 1 + SLACK))
        t, k = np.argwhere(far if far.any() else outside)[0].tolist()
        if far.any():
            finite = scores[np.isfinite(scores)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
            place = f"Clip '{facts.clip_id}', class '{self._wanted[k]}', frame {facts.n_frames + t}"
            raise UserError(f"{place}: the score {scores[t, k]} is not a probability in [0, 1]; "
                            f"{remedy(float(scores[t, k]), low, high)}.")  # fmt: skip
        facts.first_clipped = facts.first_clipped or (self._wanted[k], facts.n_frames + t, float(scores[t, k]))
        facts.n_clipped += int(outside.sum())
        return scores.clip(0, 1)
