"""Operating points: the detections at several thresholds, one table each, as psds_eval users have them.

The frames active at each threshold bound every frame's score from both sides, so frame-level scores can be rebuilt
exactly up to the spacing of the thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from rl_postproc.data.event_columns import COLUMNS
from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.clip_names import match_names, without_audio_suffix
from rl_postproc.formats.clips import ClipTable, align, assemble, load_durations, load_references
from rl_postproc.formats.folder import first_line, list_files, read_classes
from rl_postproc.formats.scores.detected_frames import detected_frames
from rl_postproc.formats.scores.detections import (
    SUFFIXES,
    Detections,
    Point,
    collect_detections,
    read_points,
    threshold_of,
)
from rl_postproc.formats.scores.point_writer import DESED_THRESHOLDS, Probability, write_points
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.memory import require_memory

CELL_BYTES = 16
"""What rebuilding the score of a frame takes."""


class OperatingPoints(Format):
    """Tables of detections at several thresholds, as psds_eval users have them.

    Thresholding the scores that are rebuilt from them with ``score > threshold`` gives each table's active frames again:
    a frame active up to the k-th threshold scores midway between it and the next one, below the first midway to 0, above
    the last midway to 1. A table's threshold is the last number in its name (``predictions_th_0.05.tsv``). A detection of
    zero length has no frame. What lies beyond its clip's duration is cut. Offsets off the frame grid at or beyond the clip's
    end, or at the largest offset of all tables, are ends.
    """

    format: Literal["operating_points"] = "operating_points"
    looks_like: ClassVar[str] = (
        "a folder of event tables (filename, onset, offset, event_label), one for each threshold in their names"
    )
    hop_known: ClassVar[str] = "told from the event times"
    exact: ClassVar[bool] = False
    thresholds: list[Probability] | Literal["levels"] = Field(
        list(DESED_THRESHOLDS),
        min_length=1,
        description="what is written: thresholds, or 'levels' for one between each two neighbouring scores that occur",
    )
    gzip: bool = Field(False, description="whether the tables that are written are compressed")

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a folder of event tables with a threshold in their names."""
        if not path.is_dir():
            return False
        line = first_line(path, SUFFIXES)
        fields = [field.strip().lower() for field in line.split("\t" if "\t" in line else ",")]
        if "filename" in fields:
            return {"onset", "offset", "event_label"} <= set(fields)
        if len(fields) != len(COLUMNS) or threshold_of(list_files(path, SUFFIXES)[0]) is None:
            return False
        try:
            return float(fields[1]) <= float(fields[2])  # no header: the columns stand in their usual order
        except ValueError:
            return False

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Rebuilds frame-level scores from a folder of tables.

        Args:
            path: the folder.
            given: ``classes`` are needed where one is referenced but never detected; else they are those detected,
                sorted. The hop is told from the event times when None. ``subset`` keeps only the clips in both references
                and durations, where these differ.

        Returns:
            Clips sorted by name, on shared frame edges that are multiples of the hop. Without references and durations
            they are the clips that any table names.

        Raises:
            UserError: a table cannot be used, thresholds repeat, times lie off the frame grid,
                or a frame is active at a threshold and not at the next lower one.
        """
        listed, lengths = load_references(given.references), load_durations(given.durations)
        points = read_points(path)
        clip_ids, others = _list_clips(points, listed, lengths, given.subset)
        detected = sorted({row.label for point in points for row in point.rows if row.label})
        names = read_classes(given.classes) or detected
        found = collect_detections(points, clip_ids, others, names)
        if not len(found.point):
            raise UserError(f"No table in '{path}' holds a detection of a listed clip; give the detector's output.")
        if listed is not None and given.classes is None:
            _refuse_silent_classes(listed, set(clip_ids), names, path)
        ends = None
        if lengths is not None:
            partner = match_names(clip_ids, lengths.clips)
            ends = np.array([lengths.seconds[partner[clip]] for clip in clip_ids])
        start, stop, n_frames, hop = detected_frames(found, len(clip_ids), ends, given.hop, points)
        width = int(n_frames.max())
        cells = len(clip_ids) * len(names) * width
        what = f"{len(clip_ids)} clips of {len(names)} classes and {width} frames of {hop:g} s from '{path}'"
        require_memory(CELL_BYTES * cells, what, "check the hop and the times, or give fewer clips at a time")
        level = _levels(found, start, stop, (len(clip_ids), len(names), width), points)
        scores = torch.from_numpy(_values(points)[level])
        edges = even_edges(hop, width)[None]
        return assemble(path, clip_ids, scores, edges, torch.from_numpy(n_frames), names, listed, lengths, True)

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes a table of the detections at each threshold, see `rl_postproc.formats.scores.point_writer`.

        Reading them again gives scores quantised to the midpoints between neighbouring thresholds, 0 and 1 included.

        Raises:
            UserError: the frames are not evenly spaced from 0, there are too many levels, or a file cannot be written.
        """
        write_points(scores, path, self.thresholds, self.gzip)


def _list_clips(
    points: Sequence[Point], references: ClipTable | None, durations: ClipTable | None, subset: bool
) -> tuple[list[str], list[str]]:
    """Returns the clips of the set, sorted, and those that ``subset`` leaves out."""
    table = references or durations
    if table is None:
        # A clip that no table names has no detection, hence no event to decode at any parameters.
        return sorted({row.filename for point in points for row in point.rows}, key=without_audio_suffix), []
    if references is None or durations is None:
        return sorted(table.clips, key=without_audio_suffix), []
    common = match_names(references.clips, durations.clips)
    if not subset:
        align(references.clips, f"the references '{references.path}'", durations, subset=False)
    elif not common:
        raise UserError(f"The references '{references.path}' and the durations '{durations.path}' share no clip; "
                        "check the file names in both.")  # fmt: skip
    others = [clip for clip in references.clips if clip not in common]
    others += sorted(set(durations.clips) - set(common.values()))
    return sorted(common, key=without_audio_suffix), others


def _refuse_silent_classes(references: ClipTable, clips: set[str], detected: list[str], folder: Path) -> None:
    """Refuses a referenced class that is never detected: it may be silent, but more likely it is spelt differently."""
    for row in references.rows:
        if row.label is not None and row.label not in detected and row.filename in clips:
            raise UserError(f"'{references.path}', row {row.row}: the class '{row.label}' is never detected in "
                            f"'{folder}'; correct it, or list all classes{suggest(row.label, detected)}.")  # fmt: skip


def _levels(
    found: Detections, start: np.ndarray, stop: np.ndarray, shape: tuple[int, int, int], points: list[Point]
) -> np.ndarray:
    """Returns at how many thresholds each frame is active, ``[clip, class, frame]``.

    Raises:
        UserError: a frame is active at a threshold and not at the next lower one.
    """
    n_clips, n_classes, width = shape
    level = np.zeros(shape, dtype=np.int16)
    for k, point in enumerate(points):
        own = np.flatnonzero(found.point == k)
        change = np.zeros((n_clips, n_classes, width + 1), dtype=np.int32)
        np.add.at(change, (found.clip[own], found.label[own], start[own]), 1)
        np.add.at(change, (found.clip[own], found.label[own], stop[own]), -1)
        active = change.cumsum(axis=2, dtype=np.int32)[:, :, :width] > 0
        loose = active & (level != k)
        if loose.any():
            c, j, t = np.argwhere(loose)[0]
            i = own[(found.clip[own] == c) & (found.label[own] == j) & (start[own] <= t) & (t < stop[own])][0]
            raise UserError(f"'{point.file}', row {found.row[i]}: the event {found.onset[i]} to {found.offset[i]} s "
                            f"is not covered at the lower threshold of '{points[k - 1].file}'; give one model's "
                            "detections, without steps such as gap filling that break this order.")  # fmt: skip
        level += active
    return level


def _values(points: list[Point]) -> np.ndarray:
    """Returns the score of a frame active at the first 0, 1, … thresholds, float32 ``[threshold + 1]``.

    Raises:
        UserError: two thresholds are so close that no float32 lies between them, or the last is 1 and has detections.
    """
    thresholds = np.array([point.threshold for point in points])
    if thresholds[-1] == 1 and any(row.label for row in points[-1].rows):
        raise UserError(f"'{points[-1].file}' has detections at the threshold 1, above which no score lies; remove it.")
    bounds = np.concatenate([[0.0], thresholds, [1.0]])
    values = ((bounds[:-1] + bounds[1:]) / 2).astype(np.float32)
    # The order must hold however thresholds are compared, as float32 (torch) or as float64 (numpy).
    for kind in (np.float32, np.float64):
        limits = thresholds.astype(kind)
        close = ~((limits < values[1:]) & (values[:-1] <= limits))[: len(limits) - (thresholds[-1] == 1)]
        if close.any():
            k = min(int(close.argmax()) + 1, len(points) - 1)
            raise UserError(f"The thresholds of '{points[k - 1].file}' and '{points[k].file}' are too close to tell "
                            "apart in single precision; remove one.")  # fmt: skip
    return values
