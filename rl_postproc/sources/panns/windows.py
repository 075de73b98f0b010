"""Stretches of a recording that the network sees at once, cut so that the parts give what the whole would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from rl_postproc.sources.panns.model import HOP, REACH, SEGMENT, WINDOW

HALF = WINDOW // 2
SHORTEST = SEGMENT * HOP
"""Samples to which shorter recordings are padded with silence, so that they fill one segment."""


class Window(NamedTuple):
    """A stretch of samples, and which of its segments are wanted.

    Attributes:
        samples: float32 ``[sample]``, with half a window of the spectrogram on each side.
        skip: segments at its beginning that only lead in.
        keep: segments after them.
    """

    samples: np.ndarray
    skip: int
    keep: int


def windows(blocks: Iterable[np.ndarray], n_segments: int) -> Iterator[Window]:
    """Cuts a recording into windows.

    Neighbours overlap by as much as a segment depends on, and begin at multiples of a segment, so that every segment that is
    kept comes out as from the whole recording.

    Args:
        blocks: samples at 32 kHz, float32 ``[sample]``, not empty.
        n_segments: segments that a window gives, at most.
    """
    held, start, done, ended = np.zeros(0, dtype=np.float32), 0, 0, False
    stream = _mirrored(_padded(blocks))
    while True:
        end = done + n_segments
        needed = (end + REACH) * SEGMENT  # frames from the recording's beginning
        parts = [held]
        n_held = start * HOP + len(held)
        # One frame more tells whether the recording ends here.
        while not ended and n_held < needed * HOP + WINDOW:
            block = next(stream, None)
            ended = block is None
            if block is not None:
                parts.append(block)
                n_held += len(block)
        held = np.concatenate(parts)
        n_frames = (n_held - WINDOW) // HOP + 1
        if n_frames <= needed:
            last = n_frames // SEGMENT
            first = start // SEGMENT
            if last <= end:
                if last > done:
                    yield Window(held, done - first, last - done)
                return
            yield Window(held, done - first, end - done)
        else:
            yield Window(held[: (needed - start - 1) * HOP + WINDOW], done - start // SEGMENT, end - done)
        done = end
        ahead = max(0, done - REACH) * SEGMENT
        held, start = held[(ahead - start) * HOP :], ahead


def _padded(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Adds silence to a recording that is too short."""
    n = 0
    for block in blocks:
        n += len(block)
        yield block
    if n < SHORTEST:
        yield np.zeros(SHORTEST - n, dtype=np.float32)


def _mirrored(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Adds half a window on each side, mirrored at the first and at the last sample."""
    head = np.zeros(0, dtype=np.float32)
    while len(head) <= HALF:
        head = np.concatenate([head, next(blocks)])
    yield head[1 : HALF + 1][::-1]
    yield head
    tail = head[-HALF - 1 :]
    for block in blocks:
        yield block
        tail = np.concatenate([tail, block])[-HALF - 1 :]
    yield tail[-2::-1]
