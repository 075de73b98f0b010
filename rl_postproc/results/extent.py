"""How much a figure shows, so that it can be read and is drawn at once: classes, seconds, points, letters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import torch

from rl_postproc.data.events import Events

MOST_CLASSES = 20
LONGEST_EXCERPT = 60.0
"""Seconds of a clip that are drawn at most."""
MOST_POINTS = 1000
"""Points of a curve of scores at most; of more frames, each stands for several, from their least to their greatest."""
_MOST_LETTERS = 28
_MOST_INCHES = 14.0
_BINS = 4096
"""Parts of a clip in which events are compared to find what is worth showing."""


def short(name: str) -> str:
    """Returns a name of at most 28 letters, the rest cut off."""
    return name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"


def heading(title: str) -> str:
    """Returns a title in lines of at most 90 letters, two at most."""
    return "\n".join(textwrap.wrap(title, 90, max_lines=2, placeholder=" …"))


def inches(width: float, height: float) -> tuple[float, float]:
    """Returns the size of a figure, bounded."""
    return min(width, _MOST_INCHES), min(height, _MOST_INCHES)


def most_different_classes(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Chooses the classes on which agents differ most; of equals those with the higher scores.

    Args:
        values: scores ``[class, agent]``, NaN where a class has none.

    Returns:
        At most `MOST_CLASSES` indices, rising, and what a title says of them, empty where all are shown.
    """
    n = len(values)
    if n <= MOST_CLASSES:
        return np.arange(n), ""
    top, low = (torch.from_numpy(np.nan_to_num(values, nan=nan)) for nan in (-1.0, 2e9))
    spread = top.amax(1) - low.amin(1)  # far below 0 where a class has no score
    by_score = top.amax(1).argsort(descending=True, stable=True)
    chosen = by_score[spread[by_score].argsort(descending=True, stable=True)][:MOST_CLASSES]
    which = "those on which agents differ most" if values.shape[1] > 1 else "those with the highest scores"
    return chosen.sort().values.numpy(), f"{MOST_CLASSES} of {n} classes, {which}"


def differing_time(tables: Sequence[Events], n_classes: int, seconds: float) -> torch.Tensor:
    """Returns in which of equal parts of a clip one event list has an event of a class and the other has none.

    Args:
        tables: events of the clip alone, two lists; one is compared with silence.
        n_classes: number of classes.
        seconds: length of the clip.

    Returns:
        bool ``[class, part]``.
    """
    found = torch.zeros(n_classes, _BINS, dtype=torch.bool)
    for events in tables:
        found ^= _active(events, n_classes, seconds)
    return found


def _active(events: Events, n_classes: int, seconds: float) -> torch.Tensor:
    change = torch.zeros(n_classes, _BINS + 1, dtype=torch.int32)
    label = events.label.cpu()
    first, last = ((x.cpu() / seconds * _BINS).long().clamp(0, _BINS - 1) for x in (events.onset, events.offset))
    for edge, sign in ((first, 1), (last + 1, -1)):
        change.index_put_((label, edge), torch.tensor(sign, dtype=torch.int32), accumulate=True)
    return change[:, :_BINS].cumsum(1) > 0


def excerpt(differs: torch.Tensor, seconds: float) -> tuple[float, float]:
    """Returns begin and end of the part of a clip that is drawn, in seconds: all, or where most differs.

    Args:
        differs: of the classes shown, bool ``[class, part]``.
        seconds: length of the clip.
    """
    if seconds <= LONGEST_EXCERPT:
        return 0.0, seconds
    size = max(1, round(LONGEST_EXCERPT / seconds * _BINS))
    running = torch.nn.functional.pad(differs.sum(0).cumsum(0), (1, 0))
    found = running[size:] - running[:-size]
    best = (found == found.max()).nonzero()[:, 0]
    begin = int(best[len(best) // 2]) / _BINS * seconds
    return begin, min(begin + LONGEST_EXCERPT, seconds)


def outline(x: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joins frames so that at most `MOST_POINTS` are left.

    Args:
        x: scores ``[frame]``, at least one.
        edges: of the frames ``[frame + 1]``.

    Returns:
        The least and the greatest score of each group of frames, and the edges of the groups.
    """
    begin = np.arange(0, len(x), -(-len(x) // MOST_POINTS))
    return np.minimum.reduceat(x, begin), np.maximum.reduceat(x, begin), edges[np.append(begin, len(x))]


def clock(seconds: float) -> str:
    """Returns a time as hours, minutes and seconds, ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
