"""Writing sparse shards: tracks that never exceed a floor are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.sparse_clips import SparseClips
from rl_postproc.data.streamed import PART_BYTES, StreamedScores
from rl_postproc.formats.scores.shard_files import NAME
from rl_postproc.formats.scores.shard_writer import save_array, write_table
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.files import write_json


def write_sparse_shards(
    parts: ScoreSet | Iterable[ScoreSet | SparseClips], folder: str | Path, *, floor: float
) -> tuple[int, int]:
    """Writes clips as sparse shards, one a part; each file whole or not at all, ``meta.json`` last.

    What is left out decodes to nothing at any threshold from the floor on, and is lost to lower ones.

    Args:
        parts: one score set, which is split, or several parts of the same classes and frame edges that arrive one after
            another. Sparse ones are written as they are, less the tracks that do not exceed the floor.
        folder: where to write; shards that lie there are replaced.
        floor: tracks whose highest score does not exceed it are left out.

    Returns:
        Number of tracks that were written, and of all.

    Raises:
        UserError: clips have frame edges of their own, the parts do not fit together, a clip occurs twice, or a file cannot
            be written.
    """
    folder = Path(folder)
    for file in (folder / "meta.json", *folder.glob("events_*.npy")):
        file.unlink(missing_ok=True)
    shards: list[dict] = []
    durations: dict[str, float] = {}
    first, n_written = None, 0
    for i, part in enumerate(_sparse(parts, floor)):
        first = first or part
        _check_fits(first, part, durations)
        loud = part.scores.amax(1) > floor if len(part.track) else torch.zeros(0, dtype=torch.bool)
        n_written += int(loud.sum())
        save_array(folder / f"tracks_{i:05d}.npy", part.track[loud].int() if part.n_clips * len(part.classes) < 1 << 31
                   else part.track[loud])  # fmt: skip
        save_array(folder / f"scores_{i:05d}.npy", part.scores[loud])
        if part.references is not None:
            events = part.references
            columns = (events.clip.double(), events.label.double(), events.onset, events.offset)
            save_array(folder / f"events_{i:05d}.npy", torch.stack(columns, 1))
        width = part.edges.shape[1] - 1
        n_frames = part.n_frames.tolist() if bool((part.n_frames < width).any()) else None
        shards.append({"clips": part.n_clips, "n_frames": n_frames})
        durations |= dict(zip(part.clip_ids, part.durations.tolist(), strict=True))
    if first is None:
        raise UserError("There is no score set to write; give at least one.")
    write_table(folder / "durations.tsv", ("filename", "duration"), durations.items())
    meta = {"format": NAME, "version": 2, "classes": list(first.classes), "edges": first.edges[0].tolist(),
            "shards": shards, "floor": floor}  # fmt: skip
    write_json(folder / "meta.json", meta)
    return n_written, len(durations) * len(first.classes)


def tell_written(n_written: int, n_tracks: int, floor: float) -> None:
    """Says how many tracks were left out.

    Warns:
        DataWarning: always.
    """
    share = n_written / max(1, n_tracks)
    warn(f"{n_tracks - n_written} of {n_tracks} tracks never exceed {floor:g} and are left out ({share:.1%} are kept); "
         "they decode to nothing at thresholds from there on, and lower ones cannot be tried.")  # fmt: skip


def _sparse(parts: ScoreSet | Iterable[ScoreSet | SparseClips], floor: float) -> Iterator[SparseClips]:
    """Yields the parts as sparse clips, score sets in pieces of a bounded size."""
    for whole in [parts] if isinstance(parts, ScoreSet) else parts:
        if isinstance(whole, SparseClips):
            yield whole
            continue
        if isinstance(whole, StreamedScores):
            yield from (read() for _, read in whole.pieces(1 << 30))
            continue
        if len(whole.edges) > 1:
            raise UserError(
                "Sparse shards share one row of frame edges, but the clips have their own; leave out the floor."
            )
        step = max(1, 4 * PART_BYTES // (4 * whole.n_classes * whole.width))
        for start in range(0, whole.n_clips, step):
            yield SparseClips.of(whole.select(range(start, min(start + step, whole.n_clips))).to("cpu"), floor)


def _check_fits(first: SparseClips, part: SparseClips, durations: dict[str, float]) -> None:
    place = f"The clips from '{part.clip_ids[0]}' on"
    if part.classes != first.classes:
        raise UserError(f"{place} have other classes than those before them; make them equal.")
    if not torch.equal(part.edges, first.edges):
        raise UserError(f"{place} have other frame edges than those before them; make them equal.")
    if (part.references is None) != (first.references is None):
        raise UserError(f"{place} differ from those before them in having references; give them to all or none.")
    twice = next((name for name in part.clip_ids if name in durations), None)
    if twice is not None:
        raise UserError(f"The clip '{twice}' occurs twice; give every clip once.")
