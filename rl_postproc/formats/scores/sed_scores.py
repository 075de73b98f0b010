"""Score files of sed_scores_eval: one table a clip with the columns onset, offset and one for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from rl_postproc.data.clip_source import ScoreSource
from rl_postproc.data.frames import common_edges
from rl_postproc.data.probabilities import SLACK, remedy
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.clips import assemble_files
from rl_postproc.formats.folder import (
    clip_files,
    first_line,
    keep_classes,
    list_files,
    read_classes,
    refuse_other_files,
    require_room,
)
from rl_postproc.formats.text import read_text, write_whole_text
from rl_postproc.utils.errors import UserError

SUFFIXES = (".tsv", ".tsv.gz")
GAP = 1e-6
"""Seconds by which a frame may begin beside the end of the one before: the resolution of event times."""


class SedScores(Format):
    """Score files of sed_scores_eval, one table a clip."""

    format: Literal["sed_scores"] = "sed_scores"
    looks_like: ClassVar[str] = (
        "a folder of score tables (onset, offset, one column a class), one named after each clip"
    )

    gzip: bool = Field(False, description="whether the tables that are written are compressed")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a folder of score tables."""
        fields = first_line(path, SUFFIXES).split("\t") if path.is_dir() else []
        return len(fields) > 2 and _is_header(fields) and "filename" not in [field.lower() for field in fields]

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads a folder of score tables.

        Args:
            path: folder of ``.tsv`` or ``.tsv.gz`` files named by the clips' stems.
            given: ``classes`` are those to keep, in this order; all, in the order of the first file, when None. The hop
                must be None, because the files hold the frame edges.

        Returns:
            Clips sorted by name. The frame edges are shared where all clips agree as far as they go.

        Raises:
            UserError: a file has the wrong columns, a score outside [0, 1], or frames that do not follow one another; or
                clips or classes differ from the references'.
        """
        refuse_hop(path, given)
        files = list_files(path, SUFFIXES)
        names, _ = _split(files[0])
        tables = []
        for file in files:
            tables.append(_read_table(file, names))
            require_room(file, len(files), len(names), len(tables[-1]))
        kept = keep_classes(read_classes(given.classes), names, path)
        edges = common_edges([np.append(table[:, 0], table[-1, 1]) for table in tables])
        return assemble_files(path, files, [table[:, 2:][:, kept] for table in tables], edges,
                              [names[i] for i in kept], given)  # fmt: skip

    def stream(self, path: Path, given: Given) -> ScoreSource | None:
        """See `Format.stream`."""
        from rl_postproc.formats.scores.sed_scores_stream import stream_folder

        return stream_folder(path, given)

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes one score table a clip.

        A file is named by the clip's id without its audio extension. Numbers have as many digits as reading the same
        values again takes.

        Raises:
            UserError: two clips would share a file, an id is no file name, or a file cannot be written.
        """
        header = "\t".join(("onset", "offset", *scores.classes))
        all_edges = scores.edges.expand(scores.n_clips, -1).cpu()
        files = clip_files(scores.clip_ids, path, SUFFIXES[self.gzip])
        refuse_other_files(path, files, SUFFIXES)
        for i, (file, n) in enumerate(zip(files, scores.n_frames.tolist(), strict=True)):
            edges = all_edges[i, : n + 1]
            table = torch.cat([torch.stack([edges[:-1], edges[1:]]), scores.scores[i, :, :n].double().cpu()]).T.tolist()
            lines = ("\t".join(map(repr, row)) for row in table)
            write_whole_text(file, "\n".join((header, *lines)) + "\n")


def refuse_hop(path: Path, given: Given) -> None:
    """Refuses a hop, which these files hold.

    Raises:
        UserError: there is one.
    """
    if given.hop is not None:
        raise UserError(f"The score files in '{path}' hold their own frame edges; leave out the hop of {given.hop} s.")


def _is_header(fields: Sequence[str]) -> bool:
    return [field.strip().lower() for field in fields[:2]] == ["onset", "offset"]


def _split(file: Path) -> tuple[list[str], list[str]]:
    """Returns the class names of a file, and its lines below the header."""
    text = read_text(file, unfolds=4).replace("\r\n", "\n")
    if not text.strip():
        raise UserError(f"'{file}', row 1: the file is empty; export the scores again, or remove it.")
    header, *lines = text.split("\n")
    return class_columns(file, header), lines


def class_columns(file: Path, header: str) -> list[str]:
    """Returns the class names in the header of a file."""
    fields = [field.strip() for field in header.split("\t")]
    if len(fields) < 3 or not _is_header(fields):
        raise UserError(f"'{file}', row 1: the header must be onset, offset and the classes, separated by tabs; "
                        "correct it, or keep other tables in another folder.")  # fmt: skip
    names = fields[2:]
    twice = next((name for name in names if names.count(name) > 1 or not name), None)
    if twice is not None:
        raise UserError(f"'{file}', row 1: the class '{twice}' stands in two columns or has no name; name each once.")
    return names


def _read_table(file: Path, names: list[str]) -> np.ndarray:
    """Reads one file, float64 ``[frame, onset + offset + class]``, with its classes in the order of ``names``."""
    own, lines = _split(file)
    require_classes(file, own, names)
    table = parse_lines(file, lines, own)
    if own != names:
        table = table[:, [0, 1, *(2 + own.index(name) for name in names)]]
    return table


def require_classes(file: Path, own: Sequence[str], names: Sequence[str]) -> None:
    """Insists that a file has the classes of the first one, in whatever order.

    Raises:
        UserError: it has not.
    """
    if set(own) != set(names):
        odd = min(set(own) ^ set(names))
        found = "is not in the first file" if odd in own else "of the first file is missing"
        raise UserError(f"'{file}', row 1: the class '{odd}' {found}; give all files the same classes.")


def parse_lines(
    file: Path, lines: list[str], classes: list[str], row: int = 2, before: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns the numbers of successive lines of a file, float64 ``[frame, onset + offset + class]``, once they are checked.

    Args:
        file: the file, for messages.
        lines: the lines.
        classes: of the columns, as they stand in the file.
        row: number of the first line.
        before: onset and offset of the frame before these; None where these are the first.

    Raises:
        UserError: a line does not hold a frame that follows the one before, or a score is no probability.
    """
    table = _parse([line for line in lines if line.strip()])
    sound = table is not None and table.shape[1] == len(classes) + 2 and _is_sound(table)
    if table is None or not sound or (before and not _follows(table[0, 0], *before)):
        raise _first_fault(file, [line.rstrip("\n") for line in lines], classes, row, before)
    return table


def _follows(onset: float, last_onset: float, last_offset: float) -> bool:
    """Returns whether a frame may follow another."""
    return onset > last_onset and abs(onset - last_offset) <= GAP


def _parse(lines: list[str]) -> np.ndarray | None:
    """Returns the numbers of the lines, or None if they are not a table of numbers."""
    try:
        return np.loadtxt(lines, delimiter="\t", comments=None, ndmin=2) if lines else None
    except ValueError:
        return None


def _is_sound(table: np.ndarray) -> bool:
    """Returns whether scores lie in [0, 1], but for rounding, and frames follow one another."""
    onset, offset, scores = table[:, 0], table[:, 1], table[:, 2:]
    return bool(
        ((scores >= -SLACK) & (scores <= 1 + SLACK)).all()
        and onset[0] >= 0
        and (onset < offset).all()
        and np.isfinite(offset[-1])
        and (np.abs(onset[1:] - offset[:-1]) <= GAP).all()
        and (np.diff(onset) > 0).all()
    )


def _first_fault(
    file: Path, lines: list[str], classes: list[str], first: int, before: tuple[float, float] | None
) -> UserError:
    """Looks row by row for what is wrong in lines that did not pass as a whole."""
    for row, line in enumerate(lines, first):
        if not line.strip():
            continue
        fields, place = line.split("\t"), f"'{file}', row {row}"
        if len(fields) != len(classes) + 2:
            return UserError(f"{place}: {len(fields)} columns where the header has {len(classes) + 2}; "
                             "the file may be truncated, export it again.")  # fmt: skip
        for column, field in zip(["onset", "offset", *classes], fields, strict=True):
            if not field.strip() or _parse([field]) is None:
                return UserError(f"{place}: '{field}' in the column '{column}' is not a number; correct it.")
        onset, offset, *scores = map(float, fields)
        if not (0 <= onset < offset < float("inf")):
            return UserError(f"{place}: the frame from {onset} to {offset} s is not a stretch of time from 0 on; "
                             "correct its onset and offset.")  # fmt: skip
        if before is not None and not _follows(onset, *before):
            return UserError(f"{place}: the frame begins at {onset} s where the one before ends at {before[1]} s; "
                             "sort the frames and leave neither gaps nor overlaps.")  # fmt: skip
        before = onset, offset
        for name, score in zip(classes, scores, strict=True):
            if not -SLACK <= score <= 1 + SLACK:
                return UserError(f"{place}: the score {score} of the class '{name}' is not a probability in [0, 1]; "
                                 f"{remedy(score, *_range(lines, scores))}.")  # fmt: skip
    return UserError(
        f"'{file}', row 2: there is no frame below the header; export the scores again, or remove the file."
    )


def _range(lines: list[str], row: list[float]) -> tuple[float, float]:
    """Returns the lowest and the highest finite score of a file or, where it is no table of numbers, of one row."""
    table = _parse([line for line in lines if line.strip()])
    scores = np.array(row) if table is None else table[:, 2:]
    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
