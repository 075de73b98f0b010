"""What lies in a folder of shards: ``meta.json``, and arrays that are mapped into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from rl_postproc.data.events import Events
from rl_postproc.formats.clips import ClipTable, align
from rl_postproc.formats.durations import read_durations
from rl_postproc.formats.references import collect_references
from rl_postproc.utils.checked import first_problem
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import read_json

NAME = "rl_postproc shards"
"""What ``meta.json`` calls its format."""


class ShardMeta(BaseModel, extra="forbid", frozen=True):
    """A shard: its number of clips and, where some have fewer frames than others, their numbers of frames."""

    clips: int = Field(ge=1)
    n_frames: list[int] | None = None


class Meta(BaseModel, extra="forbid", frozen=True):
    """What ``meta.json`` holds; with a floor the shards are sparse."""

    format: Literal["rl_postproc shards"]
    version: Literal[1, 2]
    classes: list[str] = Field(min_length=1)
    edges: list[float] | None
    shards: list[ShardMeta] = Field(min_length=1)
    floor: float | None = Field(default=None, ge=0, lt=1)

    @model_validator(mode="after")
    def _has_edges(self) -> Meta:
        if self.floor is not None and self.edges is None:
            raise ValueError("edges must be given where there is a floor")
        return self


def read_meta(folder: Path) -> Meta:
    """Reads ``meta.json`` of a folder of shards.

    Raises:
        UserError: it is missing, or not what it should be.
    """
    if not (folder / "meta.json").is_file():
        raise UserError(f"The folder '{folder}' holds no meta.json, which lists its shards; write the shards again.")
    content = read_json(folder / "meta.json")
    try:
        return Meta.model_validate(content)
    except ValidationError as error:
        raise UserError(f"'{folder / 'meta.json'}': {first_problem(error, Meta)}") from error


def map_array(file: Path, n_dimensions: int, kind: type[np.generic] = np.floating) -> np.ndarray:
    """Maps an array of numbers into memory; what is written to it never reaches the file.

    Raises:
        UserError: there is no such array.
    """
    try:
        array = np.load(file, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # a damaged header can raise almost anything
        raise UserError(f"'{file}' is missing or not a whole .npy file ({error}); write the shards again.") from error
    if array.ndim != n_dimensions or not np.issubdtype(array.dtype, kind):
        raise UserError(f"'{file}' holds {array.dtype} values of shape {list(array.shape)}; write the shards again.")
    return array


def read_lengths(folder: Path, meta: Meta) -> dict[str, float]:
    """Returns the length in seconds of each clip of all shards, in their order.

    Raises:
        UserError: the table is missing, or lists other clips than the shards hold.
    """
    durations, held = read_durations(folder / "durations.tsv"), sum(shard.clips for shard in meta.shards)
    if len(durations) != held:
        raise UserError(f"'{folder / 'durations.tsv'}' lists {len(durations)} clips, but the shards hold {held}; write the "
                        "shards again.")  # fmt: skip
    return durations


def events_of(table: ClipTable, folder: Path, clip_ids: Sequence[str], classes: Sequence[str], subset: bool) -> Events:
    """Returns the references of a table as events of all clips of the shards.

    Raises:
        UserError: the table lists other clips or classes.
    """
    listed = align(clip_ids, f"the scores '{folder}'", table, subset)
    own_name = dict(zip(listed, clip_ids, strict=True))
    rows = [row._replace(filename=own_name[row.filename]) for row in table.rows if row.filename in own_name]
    return collect_references(rows, clip_ids, classes, table.path)
