"""Reading shards one at a time, memory-mapped, so that no more than one is held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from rl_postproc.data.clip_source import ClipSource, HopSurvey, Piece, ScoreSource
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.clips import load_references
from rl_postproc.formats.scores.shard_files import Meta, events_of, map_array, read_lengths, read_meta
from rl_postproc.formats.scores.sparse_reader import SparseShards
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import require_memory


def read_shards(
    path: str | Path, *, references: str | Path | None = None, subset: bool = False
) -> Shards | SparseShards:
    """Opens a folder of shards; iterating over the result reads one after another.

    Args:
        path: the folder.
        references: table of reference events instead of the folder's own.
        subset: whether the references may list clips without scores.

    Raises:
        UserError: a table is missing or cannot be used, or clips differ.
    """
    folder = Path(path)
    meta = read_meta(folder)
    return (Shards if meta.floor is None else SparseShards)(folder, meta, references, subset)


class Shards:
    """The shards of a folder as score sets; may be iterated over again and again."""

    def __init__(self, folder: Path, meta: Meta, references: str | Path | None, subset: bool):
        self.folder, self._meta = folder, meta
        self.classes = tuple(meta.classes)
        self._durations = read_lengths(folder, meta)
        self.clip_ids = tuple(self._durations)
        own = folder / "references.tsv"
        table = load_references(references or (own if own.is_file() else None))
        self._references = None if table is None else events_of(table, folder, self.clip_ids, self.classes, subset)

    @property
    def n_clips(self) -> int:
        """Number of clips of all shards."""
        return len(self.clip_ids)

    def __len__(self) -> int:
        return len(self._meta.shards)

    def __iter__(self) -> Iterator[ScoreSet]:
        ends = accumulate((shard.clips for shard in self._meta.shards), initial=0)
        for i, (first, shard) in enumerate(zip(ends, self._meta.shards, strict=False)):
            yield self._read(i, slice(first, first + shard.clips), shard.n_frames)

    def join(self) -> ScoreSet:
        """Returns all shards as one score set, which lies in memory as a whole."""
        files = [self.folder / f"scores_{i:05d}.npy" for i in range(len(self))]
        size = sum(file.stat().st_size for file in files if file.is_file())
        require_memory(2 * size, f"Joining the shards in '{self.folder}'", "read them one at a time with read_shards")
        parts = list(self)
        first = parts[0]
        if len(parts) == 1:
            return first
        return ScoreSet(
            torch.cat([part.scores for part in parts]),
            torch.cat([part.n_frames for part in parts]),
            first.edges if len(first.edges) == 1 else torch.cat([part.edges for part in parts]),
            torch.cat([part.durations for part in parts]),
            self.clip_ids,
            self.classes,
            self._references,
            replace(first.origin, notes=tuple(note for part in parts for note in part.origin.notes)),
        )

    def source(self) -> ScoreSource:
        """Returns the clips as sources that are read in pieces."""
        survey, clips, first = HopSurvey(), [], 0
        for i, shard in enumerate(self._meta.shards):
            _, edges = self._mapped(i, shard.clips, shard.n_frames)
            for row in edges if i == 0 or len(edges) > 1 else ():
                survey.add(row)
            counts = shard.n_frames or [edges.shape[1] - 1] * shard.clips
            for place, (name, n) in enumerate(zip(self.clip_ids[first : first + shard.clips], counts, strict=True)):
                clips.append(ShardClip(name, self._durations[name], n, self, i, place))
            first += shard.clips
        return ScoreSource(self.classes, tuple(clips), survey.hop)

    def _mapped(self, i: int, n_clips: int, n_frames: list[int] | None) -> tuple[np.ndarray, np.ndarray]:
        """Maps the scores of a shard into memory, and returns its edges, ``[1, frame + 1]`` or ``[clip, frame + 1]``."""
        scores = map_array(self.folder / f"scores_{i:05d}.npy", 3)
        edges = self._meta.edges
        edge_table = np.array([edges]) if edges is not None else map_array(self.folder / f"edges_{i:05d}.npy", 2)
        expected = n_clips, len(self.classes), edge_table.shape[1] - 1
        wrong_frames = n_frames is not None and (len(n_frames) != expected[0] or not 1 <= min(n_frames) <= expected[2])
        if scores.shape != expected or wrong_frames:
            raise UserError(f"'{self.folder / f'scores_{i:05d}.npy'}' has the shape {list(scores.shape)} where "
                            f"meta.json asks for {list(expected)}; write the shards again.")  # fmt: skip
        return scores, edge_table

    def _read(self, i: int, clips: slice, n_frames: list[int] | None) -> ScoreSet:
        scores, edge_table = self._mapped(i, clips.stop - clips.start, n_frames)
        ids = self.clip_ids[clips]
        return ScoreSet.build(
            torch.from_numpy(scores),
            torch.from_numpy(edge_table),
            ids,
            self.classes,
            None if n_frames is None else torch.tensor(n_frames),
            torch.tensor([self._durations[name] for name in ids], dtype=torch.float64),
            None if self._references is None else self._references.of_clips(clips),
        )


@dataclass(frozen=True)
class ShardClip(ClipSource):
    """A clip of a shard.

    Attributes:
        shards: all shards.
        shard: number of the one that holds it.
        place: where it stands there.
    """

    shards: Shards
    shard: int
    place: int

    def pieces(self, n_frames: int) -> Iterator[Piece]:
        """See `ClipSource.pieces`."""
        own = self.shards._meta.shards[self.shard]
        scores, edges = self.shards._mapped(self.shard, own.clips, own.n_frames)
        row = edges[self.place if len(edges) > 1 else 0]
        for start in range(0, self.n_frames, n_frames):
            stop = min(start + n_frames, self.n_frames)
            yield np.asarray(row[start : stop + 1]), np.asarray(scores[self.place, :, start:stop]).T
