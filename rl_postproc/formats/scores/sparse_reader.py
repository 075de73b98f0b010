"""Reading sparse shards: the tracks that exceed the floor, memory-mapped, a few clips at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.sparse_clips import SparseClips
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats.clips import load_references
from rl_postproc.formats.scores.shard_files import Meta, events_of, map_array, read_lengths, read_meta
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.memory import require_memory


class SparseShards:
    """The shards of a folder in which tracks that never exceed a floor are left out.

    Attributes:
        folder: where they lie.
        floor: thresholds from here on are exact; at lower ones, what is left out would be missed.
        classes: name of each class.
        clip_ids: name of each clip of all shards.
        first: number of the first clip of each shard, and of all clips.
        edges: frame edges in seconds, float64 ``[1, frame + 1]``.
        n_tracks: number of tracks that are kept.
        n_frames: number of frames of each clip, int64 ``[clip]``.
        durations: length of each clip in seconds, float64 ``[clip]``.
        references: the reference events of all clips, None where they are unknown.
    """

    def __init__(self, folder: Path, meta: Meta, references: str | Path | None = None, subset: bool = False):
        """Opens the shards, whose references are those of a table where one is given."""
        assert meta.floor is not None and meta.edges is not None
        self.folder, self.floor, self._meta = folder, meta.floor, meta
        self.classes = tuple(meta.classes)
        self._durations = read_lengths(folder, meta)
        self.clip_ids = tuple(self._durations)
        self.first = tuple(accumulate((shard.clips for shard in meta.shards), initial=0))
        self.edges = torch.tensor([meta.edges], dtype=torch.float64)
        table = load_references(references)
        self.durations = torch.tensor(list(self._durations.values()), dtype=torch.float64)
        counts = [shard.n_frames or [self.width] * shard.clips for shard in meta.shards]
        self.n_frames = torch.tensor([n for own in counts for n in own])
        self.n_tracks = sum(len(map_array(self._file("tracks", i), 1, np.integer)) for i in range(len(self)))
        self.references = self._own_references()
        if table is not None:
            self.references = events_of(table, folder, self.clip_ids, self.classes, subset)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process needs beside the files, which it finds under the same path."""
        return {**self.__dict__, "folder": self.folder.absolute()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Opens the shards in another process.

        Raises:
            UserError: they are not there, or others are.
        """
        self.__dict__ |= state
        if not (self.folder / "meta.json").is_file() or read_meta(self.folder) != self._meta:
            raise UserError(f"A worker does not find the shards in '{self.folder}'; have them under the same path on all "
                            "machines.")  # fmt: skip

    @property
    def n_clips(self) -> int:
        """Number of clips of all shards."""
        return len(self.clip_ids)

    def __len__(self) -> int:
        return len(self._meta.shards)

    def __iter__(self) -> Iterator[ScoreSet]:
        yield from self.streamed().parts()

    @property
    def width(self) -> int:
        """Number of frames of the longest clip."""
        return self.edges.shape[1] - 1

    def _own_references(self) -> Events | None:
        """Returns the reference events of all clips that lie beside their scores, None where there are none."""
        if not self._file("events", 0).is_file():
            return None
        parts = []
        for i, first in enumerate(self.first[:-1]):
            rows = torch.from_numpy(np.array(map_array(self._file("events", i), 2)))
            if rows.shape[1] != 4 or bool((rows[:, :2] < 0).any()) or bool((rows[:, 3] < rows[:, 2]).any()):
                raise UserError(f"'{self._file('events', i)}' holds no events; write the shards again.")
            rows[:, 0] += first
            parts.append(rows)
        clip, label, onset, offset = torch.cat(parts).T
        if len(clip) and not (clip.max() < self.n_clips and label.max() < len(self.classes)):
            raise UserError(f"The events in '{self.folder}' are of clips or classes that are not there; write the shards "
                            "again.")  # fmt: skip
        return Events.from_tensors(self.clip_ids, self.classes, clip.long(), label.long(), onset, offset)

    def clips(self, i: int) -> SparseClips:
        """Returns the clips of a shard, their scores mapped into memory, without references.

        Raises:
            UserError: a file is missing or not what it should be.
        """
        shard, file = self._meta.shards[i], self._file("scores", i)
        scores, tracks = map_array(file, 2), map_array(self._file("tracks", i), 1, np.integer)
        if scores.shape != (len(tracks), self.width):
            raise UserError(f"'{file}' has the shape {list(scores.shape)} where "
                            f"{[len(tracks), self.width]} is expected; write the shards again.")  # fmt: skip
        clips = slice(self.first[i], self.first[i + 1])
        track = torch.from_numpy(tracks.astype(np.int64))
        if len(track) and not (
            bool((track.diff() > 0).all()) and track[0] >= 0 and track[-1] < shard.clips * len(self.classes)
        ):
            raise UserError(f"'{self._file('tracks', i)}' holds no ascending tracks; write the shards again.")
        return SparseClips(track, torch.from_numpy(scores), self.n_frames[clips], self.edges, self.durations[clips],
                           self.clip_ids[clips], self.classes)  # fmt: skip

    def streamed(self) -> StreamedScores:
        """Returns all clips as a score set that is read in parts."""
        return StreamedScores.of(self)

    def join(self) -> ScoreSet:
        """Returns all clips with all their tracks, of which those that are left out have scores of 0.

        Warns:
            DataWarning: tracks are left out.
        """
        size = 4 * self.n_clips * len(self.classes) * self.width
        require_memory(2 * size, f"All tracks of the sparse shards in '{self.folder}'",
                       "use what reads them in parts, such as the agents grid_search and sgl_thresh")  # fmt: skip
        warn(f"{self.n_clips * len(self.classes) - self.n_tracks} of {self.n_clips * len(self.classes)} tracks are left out "
             f"of the shards, since they never exceed {self.floor:g}; they are taken as silent.")  # fmt: skip
        return self.streamed().join()

    def _file(self, name: str, i: int) -> Path:
        return self.folder / f"{name}_{i:05d}.npy"
