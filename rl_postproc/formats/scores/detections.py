"""Tables of detections at several thresholds, read into columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rl_postproc.formats.clip_names import folders_remedy, match_names
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.read import read_events
from rl_postproc.formats.folder import clip_of, list_files
from rl_postproc.utils.errors import UserError, suggest

SUFFIXES = (".tsv", ".csv", ".tsv.gz", ".csv.gz")


class Point(NamedTuple):
    """One table and its threshold."""

    threshold: float
    file: Path
    rows: list[EventRow]


class Detections(NamedTuple):
    """All detections, in columns ``[detection]``: index of the table, line, clip, class, seconds, frame edges."""

    point: np.ndarray
    row: np.ndarray
    clip: np.ndarray
    label: np.ndarray
    onset: np.ndarray
    offset: np.ndarray


def threshold_of(file: Path) -> str | None:
    """Returns the last number in the file's name, which is the threshold of its detections, or None."""
    numbers = re.findall(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", clip_of(file))
    return numbers[-1] if numbers else None


def read_points(folder: Path) -> list[Point]:
    """Reads all tables of a folder, sorted by threshold.

    Raises:
        UserError: a table cannot be read, or the thresholds in the names are not different numbers in [0, 1].
    """
    by_threshold: dict[float, Path] = {}
    for file in list_files(folder, SUFFIXES):
        text = threshold_of(file)
        if text is None or not 0 <= float(text) <= 1:
            found = "no number" if text is None else f"the last number {text}, which is not in [0, 1],"
            raise UserError(f"'{file}' has {found} in its name; end the name with the threshold of its detections, "
                            "such as predictions_th_0.05.tsv.")  # fmt: skip
        if float(text) in by_threshold:
            raise UserError(f"'{file}' and '{by_threshold[float(text)]}' have the same threshold {text}; remove one.")
        by_threshold[float(text)] = file
    return [
        Point(threshold, file, read_events(file, format="table")) for threshold, file in sorted(by_threshold.items())
    ]


def collect_detections(points: list[Point], clip_ids: list[str], others: list[str], classes: list[str]) -> Detections:
    """Joins the detections of all tables.

    Args:
        points: the tables.
        clip_ids: the clips of the set.
        others: known clips that are left out, with their detections.
        classes: names of all classes.

    Raises:
        UserError: a row names a clip or a class that is not listed.
    """
    spelt = {row.filename for point in points for row in point.rows}
    partner = match_names(sorted(spelt), [*clip_ids, *others])
    position = {clip: i for i, clip in enumerate(clip_ids)} | dict.fromkeys(others, -1)
    clip_index = {name: position[clip] for name, clip in partner.items()}
    class_index = {name: i for i, name in enumerate(classes)}
    parts = []
    for k, (_, file, rows) in enumerate(points):
        try:
            cells = [(k, row, clip_index[name], class_index[label], onset, offset)
                     for name, onset, offset, label, row, _ in rows if label is not None]  # fmt: skip
            _ = [clip_index[name] for name, _, _, label, _, _ in rows if label is None]
        except KeyError:
            raise _stranger(file, rows, clip_index, class_index, [*clip_ids, *others]) from None
        parts.append(np.array(cells, dtype=np.float64).reshape(-1, 6))
    columns = np.concatenate(parts)
    columns = columns[columns[:, 2] >= 0].T
    point, row, clip, label = columns[:4].astype(np.int64)
    return Detections(point, row, clip, label, columns[4], columns[5])


def _stranger(
    file: Path, rows: list[EventRow], clips: dict[str, int], classes: dict[str, int], listed: list[str]
) -> UserError:
    """Describes the first row whose clip or class is unknown."""
    row = next(row for row in rows if row.filename not in clips or (row.label and row.label not in classes))
    if row.filename not in clips:
        remedy = folders_remedy([row.filename], listed) or "add it there or remove its detections"
        return UserError(f"'{file}', row {row.row}: the clip '{row.filename}' is in neither the references nor the "
                         f"durations; {remedy}.")  # fmt: skip
    return UserError(f"'{file}', row {row.row}: the class '{row.label}' is not among the given classes"
                     f"{suggest(row.label or '', list(classes))}.")  # fmt: skip
