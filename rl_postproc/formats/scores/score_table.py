"""One table of the frame-level scores of all clips: a row a frame, with its clip, its times, and a column for each class."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch

from rl_postproc.data.frames import common_edges
from rl_postproc.data.probabilities import SLACK, remedy
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.clips import assemble, load_durations, load_references
from rl_postproc.formats.folder import keep_classes, read_classes
from rl_postproc.formats.scores.frame_times import edges_of_centres, warn_of_centres
from rl_postproc.formats.scores.sed_scores import GAP
from rl_postproc.formats.table_rows import column_names, is_number
from rl_postproc.formats.text import read_head, read_text, write_whole_text
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import require_memory

SUFFIXES = (".csv", ".tsv", ".txt")
CENTRES = ("time", "timestamp", "centre", "center")
EVENTS = ("event_label", "event_labels")
"""Columns of a table of events, which is none of scores."""


class _Table(NamedTuple):
    """Columns, what separates them, and below the header: clip, cells and line number of each row."""

    columns: list[str]
    separator: str
    clips: list[str]
    cells: list[str]
    rows: list[int]


class ScoreTable(Format):
    """Frame-level scores of all clips in one table."""

    format: Literal["score_table"] = "score_table"
    looks_like: ClassVar[str] = (
        "one table of all frames (filename, onset, offset or time, one column a class), tabs, commas or semicolons between"
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a table of scores, by its header and the numbers below."""
        if not path.is_file() or not path.name.lower().removesuffix(".gz").endswith(SUFFIXES):
            return False
        lines = read_head(path).splitlines()[:2]
        separator = _header(lines[0])[1] if lines else ""
        cells = _fields(lines[1], separator) if separator and len(lines) > 1 else []
        return bool(separator) and all(is_number(cell.replace(",", ".")) for cell in cells[1:])

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads a table.

        Args:
            path: file with a header: filename, onset and offset (or time, the centres of the frames), and the classes.
            given: ``classes`` are those to keep, in this order; all when None. The hop must be None.

        Returns:
            Clips in the order of the file. The frame edges are shared where all clips agree as far as they go.

        Warns:
            DataWarning: edges are guessed from centres.

        Raises:
            UserError: a row has the wrong columns, a score outside [0, 1], or frames that do not follow one another; or clips
                or classes differ from the references'.
        """
        if not path.is_file():
            raise UserError(f"'{path}' holds no .tsv or .csv table of scores; give the file.")
        if given.hop is not None:
            raise UserError(f"The table '{path}' holds its own times; leave out the hop of {given.hop} s.")
        table = _read_table(path)
        n_times, names = _n_times(table.columns), [name.strip() for name in table.columns]
        numbers, classes = _numbers(path, table), names[1 + _n_times(table.columns) :]
        clip_ids = list(dict.fromkeys(table.clips))
        index = {clip: i for i, clip in enumerate(clip_ids)}
        clip = np.fromiter((index[name] for name in table.clips), dtype=np.int64, count=len(table.clips))
        order = np.argsort(clip, kind="stable")
        numbers, clip, rows = numbers[order], clip[order], np.array(table.rows)[order]
        _require_sound(path, numbers, clip, rows, n_times, classes)
        n_frames = np.bincount(clip)
        what = f"{len(clip_ids)} clips of {len(classes)} classes, as long as the longest with {n_frames.max()} frames,"
        require_memory(4.0 * len(clip_ids) * len(classes) * int(n_frames.max()), what, "split the table")
        edges = _edges(path, np.split(numbers[:, :n_times], np.cumsum(n_frames)[:-1]))
        scores = np.zeros((len(clip_ids), int(n_frames.max()), len(classes)), dtype=np.float32)
        scores[clip, np.arange(len(clip)) - (np.cumsum(n_frames) - n_frames)[clip]] = numbers[:, n_times:]
        kept = keep_classes(read_classes(given.classes), classes, path)
        tensors = torch.from_numpy(scores).movedim(2, 1)[:, kept], torch.from_numpy(edges), torch.from_numpy(n_frames)
        references, durations = load_references(given.references), load_durations(given.durations)
        return assemble(path, clip_ids, *tensors, [classes[k] for k in kept], references, durations, given.subset)

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes a table with the edges of the frames; commas between its columns where its name ends with .csv, else tabs.

        Numbers have as many digits as reading the same values again takes. A name that ends with .gz is compressed.

        Raises:
            UserError: the name ends otherwise than .csv, .tsv or .txt, or the file cannot be written.
        """
        name = path.name.lower().removesuffix(".gz")
        if not name.endswith(SUFFIXES):
            raise UserError(f"'{path}' is no name of a table; end it with .csv or .tsv, and .gz to compress it.")
        separator, text = "," if name.endswith(".csv") else "\t", io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator="\n")
        writer.writerow(["filename", "onset", "offset", *scores.classes])
        all_edges = scores.edges.expand(scores.n_clips, -1).cpu()
        for i, (clip, n) in enumerate(zip(scores.clip_ids, scores.n_frames.tolist(), strict=True)):
            times = torch.stack([all_edges[i, :n], all_edges[i, 1 : n + 1]])
            cells = torch.cat([times, scores.scores[i, :, :n].double().cpu()]).T.tolist()
            writer.writerows([clip, *map(repr, row)] for row in cells)
        write_whole_text(path, text.getvalue())


def _header(line: str) -> tuple[list[str], str]:
    """Returns the columns of a header of scores, and what separates them; nothing where the line is none."""
    for separator in ("\t", ";", ","):
        columns = _fields(line, separator)
        if _n_times(columns):
            return columns, separator
    return [], ""


def _fields(line: str, separator: str) -> list[str]:
    """Returns the fields of a line, of which some may be quoted; none where it is no row of a table."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _n_times(header: Sequence[str]) -> int:
    """Returns how many columns hold times, 2 or 1, or 0 where a header is none of a table of scores."""
    names = column_names(header)
    if not names or names[0] != "filename" or set(EVENTS) & set(names):
        return 0
    n_times = 2 if names[1:3] == ["onset", "offset"] else 1 if names[1:2] and names[1] in CENTRES else 0
    return n_times if len(names) > 1 + n_times else 0


def _read_table(path: Path) -> _Table:
    """Splits the text of a table into clips and cells."""
    text = read_text(path, unfolds=8).replace("\r\n", "\n")
    head, _, body = text.partition("\n")
    columns, separator = _header(head)
    if not columns:
        raise UserError(
            f"'{path}', row 1: the header must be filename, onset and offset (or time) and the classes; correct it."
        )
    classes = [name.strip() for name in columns[1 + _n_times(columns) :]]
    twice = next((name for name in classes if classes.count(name) > 1 or not name), None)
    if twice is not None:
        raise UserError(f"'{path}', row 1: the class '{twice}' stands in two columns or has no name; name each once.")
    clips, cells, rows = [], [], []
    for row, line in enumerate(body.split("\n"), 2):
        if line and not line.isspace():
            clip, _, rest = line.partition(separator)
            if '"' in line:
                clip, *others = _fields(line, separator) or [""]
                rest = separator.join(others)
            if not clip.strip():
                raise UserError(f"'{path}', row {row}: the file name is empty; name the clip.")
            clips.append(clip.strip())
            cells.append(rest)
            rows.append(row)
    if not rows:
        raise UserError(f"'{path}', row 2: there is no frame below the header; export the scores again.")
    return _Table(columns, separator, clips, cells, rows)


def _numbers(path: Path, table: _Table) -> np.ndarray:
    """Returns the times and scores of all rows, float64 ``[row, column]``."""
    width = len(table.columns) - 1
    try:
        numbers = np.loadtxt(table.cells, delimiter=table.separator, comments=None, ndmin=2)
        if numbers.shape == (len(table.rows), width):  # empty rows are skipped
            return numbers
    except ValueError:
        pass
    for row, line in zip(table.rows, table.cells, strict=True):
        fields = line.split(table.separator)
        if len(fields) != width:
            raise UserError(f"'{path}', row {row}: {len(fields) + 1} columns where the header has {width + 1}; the file may "
                            "be truncated, export it again.")  # fmt: skip
        for name, field in zip(table.columns[1:], fields, strict=True):
            if is_number(field.replace(",", ".")) and not is_number(field):
                raise UserError(
                    f"'{path}', row {row}: '{field}' in the column '{name}' has a decimal comma; write points."
                )
            try:
                np.loadtxt([field], delimiter=table.separator, comments=None)
            except ValueError:
                raise UserError(
                    f"'{path}', row {row}: '{field}' in the column '{name}' is no number; correct it."
                ) from None
    raise UserError(f"'{path}' is no table of numbers; export the scores again.")


def _require_sound(
    path: Path, numbers: np.ndarray, clip: np.ndarray, rows: np.ndarray, n_times: int, classes: Sequence[str]
) -> None:
    """Refuses times that do not follow one another within a clip, and scores outside [0, 1] by more than rounding."""
    onset, offset, scores = numbers[:, 0], numbers[:, n_times - 1], numbers[:, n_times:]
    bad = ~(np.isfinite(offset) & (onset >= 0) & ((onset < offset) | (n_times == 1)))
    if bad.any():
        times = " to ".join(f"{value:g}" for value in numbers[bad.argmax(), :n_times])
        raise UserError(
            f"'{path}', row {rows[bad.argmax()]}: the time {times} s of the frame is none from 0 on; correct it."
        )
    far = np.abs(onset[1:] - offset[:-1]) > GAP if n_times == 2 else np.zeros(len(rows) - 1, dtype=bool)
    bad = (clip[1:] == clip[:-1]) & (far | (np.diff(onset) <= 0))
    if bad.any():
        i = int(bad.argmax()) + 1
        raise UserError(f"'{path}', row {rows[i]}: the frame at {onset[i]:g} s does not follow the one of its clip before, "
                        f"which is at {onset[i - 1]:g} s; sort the frames and leave neither gaps nor overlaps.")  # fmt: skip
    bad = ~((scores >= -SLACK) & (scores <= 1 + SLACK))
    if bad.any():
        i, k = np.argwhere(bad)[0]
        finite = scores[np.isfinite(scores)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        raise UserError(f"'{path}', row {rows[i]}: the score {scores[i, k]} of the class '{classes[k]}' is not a probability "
                        f"in [0, 1]; {remedy(float(scores[i, k]), low, high)}.")  # fmt: skip


def _edges(path: Path, times: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the frame edges of all clips from their times ``[frame, 1 or 2]``."""
    if times[0].shape[1] == 2:
        return common_edges([np.append(rows[:, 0], rows[-1, 1]) for rows in times])
    edges = [edges_of_centres(rows[:, 0]) for rows in times]
    if any(row[-1] <= row[0] for row in edges):
        raise UserError(
            f"'{path}' has a clip of one frame whose centre is 0 s, which tells no length; give onset and offset."
        )
    warn_of_centres(path, max(edges, key=len))
    return common_edges(edges)
