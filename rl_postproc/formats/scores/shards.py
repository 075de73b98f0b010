"""Large score sets in shards that are read one at a time, memory-mapped, so that no more than one is held in memory.

A folder holds ``scores_00000.npy``, ``scores_00001.npy``, … (floating point ``[clip, class, frame]``),
``durations.tsv`` with every clip in the order of the scores, ``references.tsv`` where references are known, and
``meta.json``, which is written last: classes, frame edges in seconds (or null, with ``edges_00000.npy``, … where clips
have their own), and for each shard its number of clips and, where clips have fewer frames than others, their numbers of
frames.

With a floor the shards are sparse: tracks that never exceed it are left out. Then ``scores_00000.npy``, … are
``[track, frame]``, beside them lie ``tracks_00000.npy``, … (``clip * classes + class`` of each track, within the shard) and
``events_00000.npy``, … (the references in rows of clip, class, onset, offset), and ``meta.json`` tells the floor.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from rl_postproc.data.clip_source import ScoreSource
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.scores.shard_reader import Shards, read_shards
from rl_postproc.formats.scores.shard_writer import write_shards
from rl_postproc.formats.scores.sparse_reader import SparseShards
from rl_postproc.formats.scores.sparse_writer import tell_written, write_sparse_shards
from rl_postproc.utils.errors import UserError

__all__ = ["ShardFolder", "Shards", "SparseShards", "read_shards", "write_shards", "write_sparse_shards"]


class ShardFolder(Format):
    """Shards that this package wrote, read as a whole."""

    format: Literal["shards"] = "shards"
    looks_like: ClassVar[str] = "a folder of shards written by rl_postproc: meta.json, scores_00000.npy and so on"
    floor: float | None = Field(
        None, ge=0, lt=1, description="what is written leaves out tracks whose highest score does not exceed it"
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a folder of shards."""
        return (path / "meta.json").is_file() and (path / "scores_00000.npy").is_file()

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads all shards into one score set.

        Args:
            path: the folder.
            given: ``references`` are read instead of the folder's own; they may list clips without scores with
                ``subset``. The folder holds its own durations, classes and frame edges, so none may be given.

        Raises:
            UserError: a file is missing or cannot be used.
        """
        return self.open(path, given).join()

    def in_parts(self, path: Path, given: Given) -> ScoreSet | None:
        """See `Format.in_parts`: sparse shards are."""
        shards = self.open(path, given)
        return shards.streamed() if isinstance(shards, SparseShards) else None

    def stream(self, path: Path, given: Given) -> ScoreSource | None:
        """See `Format.stream`: arrays are mapped into memory. Sparse shards are read in parts, not in pieces."""
        shards = self.open(path, given)
        return None if isinstance(shards, SparseShards) else shards.source()

    def open(self, path: Path, given: Given) -> Shards | SparseShards:
        """Opens the shards, to read them in parts; see `read` for what is given."""
        shards = read_shards(path, references=given.references, subset=given.subset)
        for name in ("durations", "classes", "hop"):
            if getattr(given, name) is not None:
                raise UserError(f"The shards in '{path}' hold their own {name}; leave out {name}.")
        return shards

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes the set as shards, with its references and durations; see `write_shards` and `write_sparse_shards`.

        Warns:
            DataWarning: how many tracks the floor leaves out.
        """
        if self.floor is None:
            write_shards(scores, path)
        else:
            tell_written(*write_sparse_shards(scores, path, floor=self.floor), self.floor)
