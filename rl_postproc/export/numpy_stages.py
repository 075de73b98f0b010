"""The stages on one track in NumPy alone: what an exported function is written from, function by function.

Each takes what the stage takes: scores float32 or decisions bool ``[frame]``, or events as their onsets, offsets (seconds,
float64) and confidences (float32); then the frame edges in seconds, the frame length, the values of its parameters and
its options. Each gives, to the last bit, what the stage gives.
"""

from __future__ import annotations

import math

import numpy as np


def clip_gate(x, edges, hop, level):
    """Silences a track whose highest score is not above the level."""
    return x * (x.max() > np.float32(level))


def normalise(x, edges, hop, strength):
    """Divides the scores by their maximum to the power of the strength."""
    most = float(x.max())
    scale = (most if most > 0 else 1.0) ** strength
    return np.minimum((x.astype(np.float64) / scale).astype(np.float32), np.float32(1))


def median(x, edges, hop, kernel, edge):
    """Replaces each score by the median of a window around it, so many windows at a time."""
    width = odd_kernel(kernel, hop)
    if width == 1:
        return x
    around, found = extended(x, width // 2, edge), np.empty_like(x)
    step = max(1, (1 << 20) // width)
    for start in range(0, len(x), step):
        windows = np.lib.stride_tricks.sliding_window_view(around[start : start + step + width - 1], width)
        found[start : start + step] = np.partition(windows, width // 2, axis=1)[:, width // 2]
    return np.maximum(found, np.float32(0))


def mean(x, edges, hop, kernel, edge):
    """Replaces each score by the mean of a window around it; sums are of whole numbers, and so exact."""
    width, unit = odd_kernel(kernel, hop), 1 << 36
    if width == 1:
        return x
    whole = np.round(x.astype(np.float64) * unit).astype(np.int64)
    total = np.append(0, np.cumsum(extended(whole, width // 2, edge)))
    return np.clip(((total[width:] - total[:-width]).astype(np.float64) / (unit * width)).astype(np.float32), 0, 1)


def gaussian(x, edges, hop, deviation, edge):
    """Replaces each score by a weighted mean of those around it."""
    reach = int(4.0 * deviation / hop + 0.5)
    if not reach:
        return x
    weights = [math.exp(-0.5 * (i * hop / deviation) ** 2) for i in range(-reach, reach + 1)]
    around, found, whole = extended(x.astype(np.float64), reach, edge), np.zeros(len(x)), math.fsum(weights)
    for i, weight in enumerate(weights):
        found += weight / whole * around[i : i + len(x)]
    return np.clip(found.astype(np.float32), 0, 1)


def threshold(x, edges, hop, threshold):
    """Calls a frame active where its score is above the threshold."""
    return x > np.float32(threshold)


def hysteresis(x, edges, hop, offset, onset, extent):
    """Finds runs above the offset, one of whose scores is above the onset."""
    onset, offset = np.float32(onset), np.float32(offset)
    if extent == "forward":
        time = np.arange(1, len(x) + 1)
        begun = np.maximum.accumulate(np.where(x > onset, time, 0))
        return begun > np.maximum.accumulate(np.where(x <= min(offset, onset), time, 0))
    active = x > offset
    for first, last in zip(*runs(active), strict=True):
        active[first : last + 1] = x[first : last + 1].max() > max(offset, onset)
    return active


def boxes(x, edges, hop, window, absolute, relative):
    """Finds boxes between changes of the scores, and joins neighbours over shallow gaps."""
    half, n = max(window / hop / 2, 0.5), len(x)
    total = np.append(0.0, np.cumsum(x.astype(np.float64)))
    change = -2 * total
    for by in (half, -half):
        place = np.clip(np.arange(n + 1) + by, 0, n)
        low = np.floor(place).astype(np.int64)
        share = place - low
        change += total[low] * (1 - share) + total[np.minimum(low + 1, n)] * share
    change = np.round(change / half, 9)
    first, last = runs(change[1:] <= change[:-1])
    groups = []
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        highest = float(x[begin : end + 1].max())
        if groups:
            gap = float(x[groups[-1][1] + 1 : begin].min())
            sides = (groups[-1][2], highest)
            near = absolute >= 1 or all(round9(side - gap) < absolute for side in sides)
            if near and (relative >= 1001 or all((side + 1e-3) / (gap + 1e-3) < relative for side in sides)):
                groups[-1][1:] = [end, highest]
                continue
        groups.append([begin, end, highest])
    first, last = (np.array([group[i] for group in groups], dtype=np.int64) for i in (0, 1))
    sure = np.clip(np.round((total[last + 1] - total[first]) / (last + 1 - first), 9).astype(np.float32), 0, 1)
    return timed(first[sure > 0], last[sure > 0], sure[sure > 0], edges)


def gap_fill(x, edges, hop, gap):
    """Joins each event with the one before it where the gap is short."""
    return joined(x, np.round(x[0][1:] - x[1][:-1], 6) < round6(gap))


def duration(x, edges, hop, shortest, longest):
    """Drops events that are too short or too long; 600 s is no limit."""
    length = np.round(x[1] - x[0], 6)
    return kept(x, (length >= round6(shortest)) & ((length <= round6(longest)) | (longest >= 600)))


def padding(x, edges, hop, before, after):
    """Has events begin earlier and end later."""
    return moved(x, edges, -before, after)


def shift(x, edges, hop, onset, offset):
    """Moves onsets and offsets."""
    return moved(x, edges, onset, offset)


def confidence(x, edges, hop, threshold):
    """Keeps the events whose confidence is above the threshold."""
    return kept(x, x[2] > np.float32(threshold))


def moved(x, edges, later, longer):
    """Moves onsets and offsets within the clip, drops what is left of no length, and joins what comes to overlap."""
    end = np.maximum(round6(edges[-1]), x[1])
    onset, offset = np.round(np.maximum(x[0] + later, 0), 6), np.round(np.minimum(x[1] + longer, end), 6)
    left = kept((onset, offset, x[2]), onset < offset)
    return joined(left, left[0][1:] < left[1][:-1])


def joined(x, with_last):
    """Joins events with the ones before them; they are as sure as the surest of them."""
    if not len(x[0]):
        return x
    begins = np.flatnonzero(np.append(True, ~with_last))
    return x[0][begins], np.maximum.reduceat(x[1], begins), np.maximum.reduceat(x[2], begins)


def kept(x, which):
    """Returns some of the events."""
    return x[0][which], x[1][which], x[2][which]


def timed(first, last, sure, edges):
    """Returns events from their first and last frames."""
    return np.round(edges[first], 6), np.round(edges[last + 1], 6), sure


def decided(active, edges):
    """Returns the events of active frames."""
    first, last = runs(active)
    return timed(first, last, np.ones(len(first), dtype=np.float32), edges)


def runs(active):
    """Returns the first and last frame of each run of active frames."""
    change = np.diff(active.astype(np.int8), prepend=0, append=0)
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1


def odd_kernel(seconds, hop):
    """Returns the odd number of frames nearest to a length in seconds."""
    return 2 * int(round(seconds / hop, 4) // 2) + 1


def extended(x, radius, edge):
    """Extends a track by so many frames on both sides."""
    if edge == "reflect":
        place = np.arange(-radius, len(x) + radius) % (2 * len(x))
        return x[np.minimum(place, 2 * len(x) - 1 - place)]
    return np.pad(x, radius, constant_values=-np.inf if edge == "lowest" else 0)


def round6(value):
    """Rounds to the decimals of event times, as arrays are rounded."""
    return float(np.round(np.float64(value), 6))


def round9(value):
    """Rounds to nine decimals, as arrays are rounded."""
    return float(np.round(np.float64(value), 9))


STAGES = {function.__name__: function for function in (
    clip_gate, normalise, median, mean, gaussian, threshold, hysteresis, boxes, gap_fill, duration, padding, shift, confidence
)}  # fmt: skip
"""The stages that can be exported, by name."""
