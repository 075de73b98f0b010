"""The frames that detections span: their times on a grid, and those that are ends rather than points of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rl_postproc.data.frames import check_hop
from rl_postproc.formats.scores.detections import Detections, Point
from rl_postproc.formats.scores.infer_hop import infer_hop, to_frames
from rl_postproc.utils.errors import UserError, warn

NEAR = 5e-4
"""Seconds within which a time off the frame grid is taken for the end of its clip or of the set."""
ENOUGH = 8
"""So many distinct times tell the grid without the largest offset; of fewer, it too is needed."""


class DetectedFrames(NamedTuple):
    """Where detections lie.

    Attributes:
        start: first frame of each detection, int64 ``[detection]``.
        stop: the frame after its last, likewise; ``start`` where it has none inside its clip.
        n_frames: frames of each clip, int64 ``[clip]``.
        hop: frame length in seconds.
    """

    start: np.ndarray
    stop: np.ndarray
    n_frames: np.ndarray
    hop: float


def detected_frames(
    found: Detections, n_clips: int, ends: np.ndarray | None, hop: float | None, points: list[Point]
) -> DetectedFrames:
    """Finds the frames of detections.

    Times are multiples of the frame length. Others are ends where they lie, up to half a millisecond, at or beyond their
    clip's end, or at the common end: the largest offset of all, at which a detector cuts what it has padded to one length.
    Such an end stands for the end of the frame in which it lies. What lies beyond a clip's end is cut.

    Args:
        found: the detections.
        n_clips: number of clips.
        ends: where the clips end, float64 ``[clip]`` in seconds; all with the largest offset when None.
        hop: frame length in seconds; told from the times that are no ends when None.
        points: the tables, for messages.

    Warns:
        DataWarning: the common end lies off the frame grid.

    Raises:
        UserError: a time lies off the frame grid and at no end, or the hop cannot be told.
    """
    common = float(found.offset.max())
    of_clip = np.full(len(found.clip), np.inf) if ends is None else ends[found.clip]
    hop = check_hop(_told_hop(found, of_clip, common) if hop is None else hop)
    (start, start_fits), (stop, stop_fits) = to_frames(found.onset, hop), to_frames(found.offset, hop)
    at_end = [times >= np.minimum(of_clip, common) - NEAR for times in (found.onset, found.offset)]
    width = max(1, int(np.where(stop_fits, stop, np.ceil(found.offset / hop - 1e-6)).max()))
    end_frame = np.ceil(np.minimum(of_clip, common) / hop - 1e-6).astype(np.int64)
    start, stop = np.where(at_end[0] & ~start_fits, end_frame, start), np.where(at_end[1] & ~stop_fits, end_frame, stop)
    remedy = "correct it, or give the true frame length as hop"
    remedy += ", or the durations if clips end at such times" if ends is None else ""
    _require_grid(found, start_fits | at_end[0], stop_fits | at_end[1], hop, points, remedy)
    guessed = ~stop_fits & (found.offset >= common - NEAR) & (common < of_clip - NEAR)
    if guessed.any():
        warn(f"{int(guessed.sum())} offsets at {common:g} s, the largest of all, lie off the frame grid of {hop:g} s and are "
             "taken for cut ends of the frames in which they lie; give the detector's frame length as hop if they are "
             "not.")  # fmt: skip
    if ends is None:
        return DetectedFrames(start, stop, np.full(n_clips, width), hop)
    n_frames = np.clip(np.ceil(ends / hop - 1e-6).astype(np.int64), 1, width)
    # Beyond a clip's end there is no order among the thresholds to keep, because offsets may be cut there or not.
    last = n_frames[found.clip]
    return DetectedFrames(np.minimum(start, last), np.minimum(stop, last), n_frames, hop)


def _told_hop(found: Detections, of_clip: np.ndarray, common: float) -> float:
    """Tells the frame length from the times that are no ends."""
    inside = [times < of_clip - NEAR for times in (found.onset, found.offset)]
    times = np.concatenate([found.onset[inside[0]], found.offset[inside[1]]])
    if not times.any():
        return infer_hop(found.offset)
    free = times[times < common - NEAR]
    return infer_hop(free if len(np.unique(free[free > 0])) >= ENOUGH else times)


def _require_grid(
    found: Detections, start_fits: np.ndarray, stop_fits: np.ndarray, hop: float, points: list[Point], remedy: str
) -> None:
    wrong = ~(start_fits & stop_fits)
    if wrong.any():
        i = int(wrong.argmax())
        name, value = ("onset", found.onset[i]) if not start_fits[i] else ("offset", found.offset[i])
        raise UserError(f"'{points[found.point[i]].file}', row {found.row[i]}: the {name} {value} is no multiple of "
                        f"the frame length {hop} s; {remedy}.")  # fmt: skip
