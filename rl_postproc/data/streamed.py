"""Scores of more clips than fit into memory: all is known but the scores, which are read a few clips at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.sparse_clips import SparseClips
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import require_memory

PART_BYTES = 1 << 26
"""Size of the scores of one part, all tracks of its clips."""


class SparseSource(Protocol):
    """What sparse clips are read from, as `rl_postproc.formats.scores.sparse_reader.SparseShards` is; see there."""

    floor: float
    classes: tuple[str, ...]
    clip_ids: tuple[str, ...]
    first: tuple[int, ...]
    edges: torch.Tensor
    n_tracks: int
    n_frames: torch.Tensor
    durations: torch.Tensor
    references: Events | None

    def clips(self, i: int) -> SparseClips:
        """Returns the clips of a shard, without references."""
        ...


@dataclass(frozen=True, kw_only=True)
class StreamedScores(ScoreSet):
    """A score set whose scores are read in parts; ``scores`` has their shape and holds none.

    Tracks that never exceed the floor of the source are left out, and come as scores of 0.

    Attributes:
        source: what is read.
        index: which of its clips these are, ascending, int64 ``[clip]``.
        part_bytes: size of the scores of a part, all tracks of its clips.
    """

    source: SparseSource
    index: torch.Tensor
    part_bytes: int = PART_BYTES

    @classmethod
    def of(cls, source: SparseSource) -> StreamedScores:
        """Returns all clips of a source."""
        n_clips, width = len(source.clip_ids), source.edges.shape[1] - 1
        return cls(torch.empty(n_clips, len(source.classes), width, device="meta"), source.n_frames, source.edges,
                   source.durations, source.clip_ids, source.classes, source.references, source=source,
                   index=torch.arange(n_clips))  # fmt: skip

    @property
    def device(self) -> torch.device:
        """Where the parts are."""
        return torch.device("cpu")

    @property
    def floor(self) -> float:
        """Thresholds from here on are exact."""
        return self.source.floor

    @property
    def density(self) -> float:
        """The share of the tracks that are kept."""
        return self.source.n_tracks / (len(self.source.clip_ids) * len(self.source.classes))

    def select(self, clips: torch.Tensor | Sequence[int]) -> StreamedScores:
        """Returns the set of the given clips, ascending, with its references."""
        index = torch.as_tensor(clips, dtype=torch.int64)
        assert bool((index.diff() > 0).all()), "clips are read in the order of the source"
        return replace(
            self,
            scores=self.scores[: len(index)],
            n_frames=self.n_frames[index],
            durations=self.durations[index],
            clip_ids=tuple(self.clip_ids[i] for i in index.tolist()),
            references=None if self.references is None else self.references.select(index),
            index=self.index[index],
        )

    def pieces(self, part_bytes: int | None = None) -> Iterator[tuple[slice, Callable[[], SparseClips]]]:
        """Yields consecutive clips of this set, and what reads them, in whatever thread."""
        step = max(1, (part_bytes or self.part_bytes) // (4 * len(self.source.classes) * self.width))
        ends = torch.searchsorted(self.index, torch.tensor(self.source.first)).tolist()
        for i, (begin, end) in enumerate(pairwise(ends)):
            for first in range(begin, end, step):
                clips = slice(first, min(first + step, end))
                yield clips, lambda i=i, clips=clips: self._read(i, clips)

    def _read(self, shard: int, clips: slice) -> SparseClips:
        """Reads some clips of a shard, with their references."""
        found = self.source.clips(shard).clips(self.index[clips] - self.source.first[shard])
        outside = ~((found.scores >= 0) & (found.scores <= 1)).all(1)
        if bool(outside.any()):
            track, n_classes = int(found.track[outside][0]), len(found.classes)
            raise UserError(f"Clip '{found.clip_ids[track // n_classes]}', class '{found.classes[track % n_classes]}': a "
                            "score is not a probability in [0, 1]; write the shards again.")  # fmt: skip
        references = None if self.references is None else self.references.of_clips(clips)
        return replace(found, references=references)

    def parts(self, part_bytes: int | None = None) -> Iterator[ScoreSet]:
        """Yields consecutive clips as score sets with all their tracks, of about so many bytes each."""
        for _, read in self.pieces(part_bytes):
            yield self.dense(read())

    def dense(self, part: SparseClips) -> ScoreSet:
        """Returns a piece with all tracks of this set's classes."""
        found = part.dense()
        return found if found.classes == self.classes else found.of_classes(self.classes)

    def join(self) -> ScoreSet:
        """Returns the clips as a score set that lies in memory as a whole.

        Raises:
            UserError: it would take more than half the memory.
        """
        size = 4 * self.n_clips * self.n_classes * self.width
        require_memory(size, f"The scores of {self.n_clips} clips", "take fewer clips")
        whole, first = torch.zeros(self.n_clips, self.n_classes, self.width), 0
        for part in self.parts():
            whole[first : first + part.n_clips] = part.scores
            first += part.n_clips
        return ScoreSet(whole, self.n_frames, self.edges, self.durations, self.clip_ids, self.classes, self.references,
                        self.origin)  # fmt: skip
