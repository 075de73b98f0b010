"""Scores, references and durations as a program of one's own holds them: arrays, rows and mappings by clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import require_memory

Row = tuple[str, float, float, str]
"""An event: clip id, onset and offset in seconds, label."""


def stack_arrays(arrays: Mapping[str, Any], classes: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Puts the arrays of all clips into one tensor.

    Args:
        arrays: by clip id, ``[frame, class]``: NumPy arrays, tensors, or lists of lists.
        classes: one name a column.

    Returns:
        Scores, float32 ``[clip, class, frame]``, 0 beyond a clip's last frame, and the number of frames of each clip,
        int64 ``[clip]``.

    Raises:
        UserError: there is no clip, an id is no text, or an array does not hold numbers ``[frame, class]``.
    """
    if isinstance(classes, str) or not len(classes):
        raise UserError(f"The classes are {classes!r}; give a list of one name a column.")
    if not isinstance(arrays, Mapping) or not arrays:
        raise UserError("There is no clip; give a mapping of clip ids to arrays [frame, class].")
    rows = [_frames_by_classes(clip, array, len(classes)) for clip, array in arrays.items()]
    n_frames = torch.tensor([len(row) for row in rows])
    n_bytes = 4.0 * len(rows) * len(classes) * int(n_frames.max())
    what = f"{len(rows)} clips of {len(classes)} classes, all as long as the longest with {int(n_frames.max())} frames,"
    require_memory(n_bytes, what, "split long clips, or give fewer clips at a time")
    scores = np.zeros((len(rows), len(classes), int(n_frames.max())), dtype=np.float32)
    for clip, row in enumerate(rows):
        scores[clip, :, : len(row)] = row.T
    return torch.from_numpy(scores), n_frames


def _frames_by_classes(clip: Any, array: Any, n_classes: int) -> np.ndarray:
    """Returns the scores of one clip, numbers ``[frame, class]``."""
    if not isinstance(clip, str) or not clip:
        raise UserError(f"The clip id {clip!r} is no text; name each clip, as its references do.")
    place = f"The scores of clip '{clip}'"
    try:
        found = array.detach().cpu().float().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    except ValueError as error:  # lists of unequal length
        raise UserError(f"{place} are no array ({error}); give numbers [frame, class].") from error
    if found.dtype.kind not in "biuf":
        raise UserError(f"{place} are of type {found.dtype}; give numbers [frame, class].")
    if found.ndim != 2 or found.shape[1] != n_classes or not len(found):
        turned = found.ndim == 2 and found.shape[0] == n_classes
        remedy = "transpose them" if turned else "give one row a frame and one column a class"
        raise UserError(f"{place} have the shape {list(found.shape)} where [frame, {n_classes}] is expected; {remedy}.")
    return found


def events_of(
    references: Events | Iterable[Row] | None, clip_ids: Sequence[str], classes: Sequence[str]
) -> Events | None:
    """Returns reference events over the given clips and classes.

    Args:
        references: events, or rows ``(clip_id, onset, offset, label)`` with times in seconds; None where unknown.
        clip_ids: the clips of the set; those without a row have no event.
        classes: the classes of the set.

    Raises:
        UserError: a row is none, its times are no times, or it names a clip or class that the set lacks.
    """
    if references is None:
        return None
    if isinstance(references, Events):
        rows = references.to_rows()
    else:
        rows = [_checked_row(row, number) for number, row in enumerate(references, 1)]
    return Events.from_rows(rows, clip_ids, classes)


def _checked_row(row: Any, number: int) -> Row:
    """Returns one reference event with its times as plain numbers."""
    place = f"Row {number} of the references"
    if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 4:
        raise UserError(f"{place} is {row!r}; give (clip_id, onset, offset, label) with times in seconds.")
    clip, onset, offset, label = row
    if not isinstance(clip, str) or not isinstance(label, str):
        raise UserError(f"{place} is {row!r}; clip id and label must be text.")
    if not all(isinstance(time, int | float | np.number) and math.isfinite(time) for time in (onset, offset)):
        raise UserError(f"{place} is {row!r}; onset and offset must be finite numbers of seconds.")
    if onset < 0:
        raise UserError(f"{place} is {row!r}; the onset must not be negative.")
    return clip, float(onset), float(offset), label


def seconds_of(durations: Mapping[str, float] | None, clip_ids: Sequence[str]) -> torch.Tensor | None:
    """Returns the length of each clip in seconds, float64 ``[clip]``, or None where each ends with its last frame.

    Raises:
        UserError: a clip has no length, or none that is a finite number above 0, or there is one of another clip.
    """
    if durations is None:
        return None
    missing = [clip for clip in clip_ids if clip not in durations]
    if missing:
        raise UserError(f"The durations lack clip '{missing[0]}'; give the length of each clip, or none at all.")
    further = sorted(set(durations) - set(clip_ids))
    if further:
        raise UserError(f"The durations name clip '{further[0]}', which has no scores; leave it out.")
    for clip in clip_ids:
        value = durations[clip]
        if not isinstance(value, int | float | np.number) or not math.isfinite(value) or value <= 0:
            raise UserError(f"The duration of clip '{clip}' is {value!r}; give a positive number of seconds.")
    return torch.tensor([float(durations[clip]) for clip in clip_ids], dtype=torch.float64)
