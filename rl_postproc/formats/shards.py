"""Large score sets in shards that are read one at a time, memory-mapped, so that no more than one is held in memory.

A folder holds ``scores_00000.npy``, ``scores_00001.npy``, … (floating point ``[clip, class, frame]``),
``durations.tsv`` with every clip in the order of the scores, ``references.tsv`` where references are known, and
``meta.json``, which is written last: classes, frame edges in seconds (or null, with ``edges_00000.npy``, … where clips
have their own), and for each shard its number of clips and, where clips have fewer frames than others, their numbers of
frames.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, Field, ValidationError

from rl_postproc.errors import UserError
from rl_postproc.events import Events
from rl_postproc.files import read_json, whole_file, write_json
from rl_postproc.formats.clips import ClipTable, align, load_references
from rl_postproc.formats.events_tsv import COLUMNS, collect_references, read_durations
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import first_problem

DESCRIPTION = "a folder of shards written by rl_postproc: meta.json, scores_00000.npy and so on"
NAME = "rl_postproc shards"
SHARD_BYTES = 1 << 28
"""Size of the scores of one shard, unless the parts that are written are smaller."""


class _Shard(BaseModel, extra="forbid", frozen=True):
    clips: int = Field(ge=1)
    n_frames: list[int] | None = None


class _Meta(BaseModel, extra="forbid", frozen=True):
    format: Literal["rl_postproc shards"]
    version: Literal[1]
    classes: list[str] = Field(min_length=1)
    edges: list[float] | None
    shards: list[_Shard] = Field(min_length=1)


def recognises(path: str | Path) -> bool:
    """Returns whether this is a folder of shards."""
    path = Path(path)
    return (path / "meta.json").is_file() and (path / "scores_00000.npy").is_file()


def read(
    path: str | Path,
    *,
    references: str | Path | None = None,
    durations: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    hop: float | None = None,
    subset: bool = False,
) -> ScoreSet:
    """Reads all shards into one score set.

    Args:
        path: the folder.
        references: table of reference events instead of the folder's own.
        durations: must be None, as ``classes`` and ``hop``, because the folder holds them.
        classes: see ``durations``.
        hop: see ``durations``.
        subset: whether the references may list clips without scores.

    Raises:
        UserError: a file is missing or cannot be used.
    """
    shards = read_shards(path, references=references, subset=subset)
    for name, value in (("durations", durations), ("classes", classes), ("hop", hop)):
        if value is not None:
            raise UserError(f"The shards in '{path}' hold their own {name}; leave out {name}.")
    parts = list(shards)
    first = parts[0]
    if len(parts) == 1:
        return first
    clip_ids = tuple(name for part in parts for name in part.clip_ids)
    events = None
    if first.references is not None:
        offsets = accumulate((part.n_clips for part in parts), initial=0)
        known = [(part.require_references(), offset) for part, offset in zip(parts, offsets, strict=False)]
        columns = [torch.cat([getattr(e, name) for e, _ in known]) for name in ("label", "onset", "offset")]
        events = Events(clip_ids, first.classes, torch.cat([e.clip + offset for e, offset in known]), *columns)
    return ScoreSet(
        torch.cat([part.scores for part in parts]),
        torch.cat([part.n_frames for part in parts]),
        first.edges if len(first.edges) == 1 else torch.cat([part.edges for part in parts]),
        torch.cat([part.durations for part in parts]),
        clip_ids,
        first.classes,
        events,
    )


def read_shards(path: str | Path, *, references: str | Path | None = None, subset: bool = False) -> Shards:
    """Opens a folder of shards; iterating over the result reads one after another.

    Args:
        path: the folder.
        references: table of reference events instead of the folder's own.
        subset: whether the references may list clips without scores.

    Raises:
        UserError: a table is missing or cannot be used, or clips differ.
    """
    return Shards(Path(path), references, subset)


class Shards:
    """The shards of a folder as score sets; may be iterated over again and again."""

    def __init__(self, folder: Path, references: str | Path | None, subset: bool):
        self.folder = folder
        if not (folder / "meta.json").is_file():
            raise UserError(
                f"The folder '{folder}' holds no meta.json, which lists its shards; write the shards again."
            )
        content = read_json(folder / "meta.json")
        try:
            self._meta = _Meta.model_validate(content)
        except ValidationError as error:
            raise UserError(f"'{folder / 'meta.json'}': {first_problem(error, _Meta)}") from error
        self.classes = tuple(self._meta.classes)
        self._durations = read_durations(folder / "durations.tsv")
        self.clip_ids = tuple(self._durations)
        if len(self.clip_ids) != sum(shard.clips for shard in self._meta.shards):
            raise UserError(f"'{folder / 'durations.tsv'}' lists {len(self.clip_ids)} clips, but the shards hold "
                            f"{sum(shard.clips for shard in self._meta.shards)}; write the shards again.")  # fmt: skip
        own = folder / "references.tsv"
        table = load_references(references or (own if own.is_file() else None))
        self._references = None if table is None else self._events(table, subset)

    def _events(self, table: ClipTable, subset: bool) -> Events:
        listed = align(self.clip_ids, f"the scores '{self.folder}'", table, subset)
        own_name = dict(zip(listed, self.clip_ids, strict=True))
        rows = [row._replace(filename=own_name[row.filename]) for row in table.rows if row.filename in own_name]
        return collect_references(rows, self.clip_ids, self.classes, table.path)

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

    def _read(self, i: int, clips: slice, n_frames: list[int] | None) -> ScoreSet:
        scores = _map(self.folder / f"scores_{i:05d}.npy", 3)
        edges = self._meta.edges
        edge_table = np.array([edges]) if edges is not None else _map(self.folder / f"edges_{i:05d}.npy", 2)
        expected = clips.stop - clips.start, len(self.classes), edge_table.shape[1] - 1
        wrong_frames = n_frames is not None and (len(n_frames) != expected[0] or not 1 <= min(n_frames) <= expected[2])
        if scores.shape != expected or wrong_frames:
            raise UserError(f"'{self.folder / f'scores_{i:05d}.npy'}' has the shape {list(scores.shape)} where "
                            f"meta.json asks for {list(expected)}; write the shards again.")  # fmt: skip
        ids = self.clip_ids[clips]
        return ScoreSet.build(
            torch.from_numpy(scores),
            torch.from_numpy(edge_table),
            ids,
            self.classes,
            None if n_frames is None else torch.tensor(n_frames),
            torch.tensor([self._durations[name] for name in ids], dtype=torch.float64),
            None if self._references is None else _of_clips(self._references, clips),
        )


def _of_clips(events: Events, clips: slice) -> Events:
    """Returns the events of consecutive clips, without copying them."""
    a, b = torch.searchsorted(events.clip, torch.tensor([clips.start, clips.stop])).tolist()
    columns = (events.clip[a:b] - clips.start, events.label[a:b], events.onset[a:b], events.offset[a:b])
    return Events(events.clip_ids[clips], events.classes, *columns)


def _map(file: Path, n_dimensions: int) -> np.ndarray:
    """Maps an array of floating-point numbers into memory; what is written to it never reaches the file."""
    try:
        array = np.load(file, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # a damaged header can raise almost anything
        raise UserError(f"'{file}' is missing or not a whole .npy file ({error}); write the shards again.") from error
    if array.ndim != n_dimensions or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"'{file}' holds {array.dtype} values of shape {list(array.shape)}; write the shards again.")
    return array


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
            _save(folder / f"scores_{len(shards):05d}.npy", part.scores)
            if len(part.edges) > 1 or len(first.edges) > 1:
                _save(folder / f"edges_{len(shards):05d}.npy", part.edges)
            n_frames = part.n_frames.tolist() if bool((part.n_frames < part.width).any()) else None
            shards.append({"clips": part.n_clips, "n_frames": n_frames})
            for name, seconds in zip(part.clip_ids, part.durations.tolist(), strict=True):
                if name in durations:
                    raise UserError(f"The clip '{name}' occurs twice; give every clip once.")
                durations[name] = seconds
            rows += part.references.rows() if part.references is not None else []
    if first is None:
        raise UserError("There is no score set to write; give at least one.")
    _write_table(folder / "durations.tsv", ("filename", "duration"), durations.items())
    if first.references is not None:
        with_events = {row[0] for row in rows}
        silent = [(name, "", "", "") for name in durations if name not in with_events]
        _write_table(folder / "references.tsv", COLUMNS, [*rows, *silent])
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


def _save(file: Path, values: torch.Tensor) -> None:
    with whole_file(file) as temporary:
        np.save(temporary, values.cpu().numpy(), allow_pickle=False)


def _write_table(file: Path, columns: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Writes a table in which numbers have as many digits as reading the same values again takes."""
    with whole_file(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
