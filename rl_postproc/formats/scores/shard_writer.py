"""Writing shards, each file whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from rl_postproc.data.event_columns import COLUMNS
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.scores.shard_files import NAME
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import whole_file, write_json

SHARD_BYTES = 1 << 28
"""Size of the scores of one shard, unless the parts that are written are smaller."""


def write_shards(parts: ScoreSet | Iterable[ScoreSet], folder: str | Path, *, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes score sets as shards; each file whole or not at all, ``meta.json`` last.

    Args:
        parts: one score set, or several of the same classes and frame edges that arrive one after another.
        folder: where to write; shards that lie there are replaced.
        shard_bytes: size of the scores of one shard; larger score sets are split.

    Raises:
        UserError: the parts do not fit together, a clip occurs twice, or a file cannot be written.
    """
    folder = Path(folder)
    (folder / "meta.json").unlink(missing_ok=True)
    shards: list[dict] = []
    first: ScoreSet | None = None
    durations: dict[str, float] = {}
    rows: list[tuple[str, float, float, str]] = []
    for whole in [parts] if isinstance(parts, ScoreSet) else parts:
        first = first or whole
        _check_fits(first, whole)
        step = max(1, shard_bytes // (whole.n_classes * whole.width * 4))
        for start in range(0, whole.n_clips, step):
            part = whole.select(range(start, min(start + step, whole.n_clips))).to("cpu")
            save_array(folder / f"scores_{len(shards):05d}.npy", part.scores)
            if len(part.edges) > 1 or len(first.edges) > 1:
                save_array(folder / f"edges_{len(shards):05d}.npy", part.edges)
            n_frames = part.n_frames.tolist() if bool((part.n_frames < part.width).any()) else None
            shards.append({"clips": part.n_clips, "n_frames": n_frames})
            for name, seconds in zip(part.clip_ids, part.durations.tolist(), strict=True):
                if name in durations:
                    raise UserError(f"The clip '{name}' occurs twice; give every clip once.")
                durations[name] = seconds
            rows += part.references.to_rows() if part.references is not None else []
    if first is None:
        raise UserError("There is no score set to write; give at least one.")
    write_table(folder / "durations.tsv", ("filename", "duration"), durations.items())
    if first.references is not None:
        with_events = {row[0] for row in rows}
        silent = [(name, "", "", "") for name in durations if name not in with_events]
        write_table(folder / "references.tsv", COLUMNS, [*rows, *silent])
    edges = first.edges[0].tolist() if len(first.edges) == 1 else None
    meta = {"format": NAME, "version": 1, "classes": list(first.classes), "edges": edges, "shards": shards}
    write_json(folder / "meta.json", meta)


def _check_fits(first: ScoreSet, part: ScoreSet) -> None:
    place = f"The clips from '{part.clip_ids[0]}' on"
    if part.classes != first.classes:
        raise UserError(f"{place} have other classes than those before them; make them equal.")
    if part.edges.shape[1] != first.edges.shape[1] or (len(first.edges) > 1) != (len(part.edges) > 1):
        raise UserError(f"{place} have other frames than those before them; give all clips as many, with edges alike.")
    if len(first.edges) == 1 and not torch.equal(part.edges.cpu(), first.edges.cpu()):
        raise UserError(f"{place} have other frame edges than those before them; give each clip its own edges.")
    if (part.references is None) != (first.references is None):
        raise UserError(f"{place} differ from those before them in having references; give them to all or none.")


def save_array(file: Path, values: torch.Tensor) -> None:
    """Writes a tensor as an array."""
    with whole_file(file) as temporary:
        np.save(temporary, values.cpu().numpy(), allow_pickle=False)


def write_table(file: Path, columns: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Writes a table in which numbers have as many digits as reading the same values again takes."""
    with whole_file(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
