"""The sweep over all thresholds: counts at every one there is, not on a grid.

Within a track only the order of its scores matters. Scores become ranks, a median filter commutes with that map, and
the counts are found in small integers as on a grid (`rl_postproc.counts.grid`), only that every track has its own
levels. What comes out is sparse: the scores at which a count changes. Clips go through in chunks that stay within a
memory budget, on as many threads as torch may use. Time grows with tracks, frames and filter settings, each about
linearly.
"""

from __future__ import annotations

import torch

from rl_postproc.counts.grid import Progress, chunks
from rl_postproc.counts.rows import SettingEvents, as_clips, n_copies
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Metric, PreparedMetric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.event_tools import kept
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.parallel import in_threads
from rl_postproc.utils.tensors import argsort, divide, flatnonzero

Steps = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Cell, value, and changes of true positives and estimates, as in `ThresholdCounts`."""
CHANGING = ("true_positives", "estimated")
"""What the threshold changes among the columns of `rl_postproc.metrics.f1.DETECTION`."""


def sweep_all_thresholds(
    scores: ScoreSet,
    stack: Stack,
    metric: Metric,
    *,
    progress: Progress | None = None,
    chunk_bytes: int | None = None,
) -> ThresholdCounts:
    """Counts every filter setting of the stack at every threshold, for every clip and class.

    Args:
        scores: the score set, with references.
        stack: the stages with their candidates; those of the threshold do not matter.
        metric: what is counted.
        progress: called after every chunk of clips.
        chunk_bytes: memory for the filtered ranks of one chunk; by default what suits the device.

    Returns:
        The counts, on the device of the scores.

    Raises:
        UserError: the stack does not end with a threshold of scores or confidences, or the metric cannot count them all.

    Example:
        >>> from rl_postproc import ScoreSet, Stack
        >>> from rl_postproc.counts.all_thresholds import sweep_all_thresholds
        >>> from rl_postproc.metrics import EventBased
        >>> rows = [("a", 0.5, 1.5, "Dog")]
        >>> scores = ScoreSet.from_arrays({"a": [[0.3], [0.6], [0.6]]}, hop=0.5, classes=["Dog"], references=rows)
        >>> counts = sweep_all_thresholds(scores, Stack.from_config([{"stage": "threshold"}]), EventBased())
        >>> counts.table([0.25, 0.5]).totals()["true_positives"].tolist()  # at any thresholds; [candidate, class]
        [[0], [1]]
    """
    check_all_thresholds(scores, stack, metric)
    prepared = metric.prepare(scores)
    if prepared is None:
        raise _uncountable(metric)
    work = _count_peaks if prepared.peaks_only else _count_chunk

    def count(clips: slice) -> Steps:
        if not stack.ends_with_threshold:
            return _count_sure(scores, stack, metric, clips)
        return work(scores, stack, prepared, clips)

    parts = []
    for clips, part in in_threads(count, chunks(scores, stack, chunk_bytes, n_copies(stack)), scores.device):
        parts.append(part)
        if progress:
            progress(clips.stop, scores.n_clips)
    cell, value, true_positives, estimated = (torch.cat(column) for column in zip(*parts, strict=True))
    reference, peaks_only = prepared.fixed["reference"], prepared.peaks_only
    return ThresholdCounts(cell, value, true_positives, estimated, reference, metric, stack.space, peaks_only)


def check_all_thresholds(scores: ScoreSet, stack: Stack, metric: Metric) -> None:
    """Checks that all thresholds can be counted together.

    Raises:
        UserError: they cannot.
    """
    if not stack.ends_with_threshold and not stack.ends_with_confidence:
        raise UserError("Counts at all thresholds need a stack whose last stage is 'threshold' or 'confidence'; reorder the "
                        "stack, or sweep its candidates.")  # fmt: skip
    if not stack.ends_with_threshold and type(metric).level_intervals is Metric.level_intervals:
        raise UserError(f"The metric '{metric.name}' does not count events at all confidences at once; use an agent that "
                        "searches the grid, such as 'grid_search'.")  # fmt: skip
    prepared = metric.prepare(scores.select([0]))
    if prepared is None or not {*CHANGING} <= {*prepared.columns} or "reference" not in prepared.fixed:
        raise _uncountable(metric)


def _uncountable(metric: Metric) -> UserError:
    return UserError(f"The metric '{metric.name}' does not count true positives and estimates at all thresholds at "
                     "once; use an agent that searches the grid, such as 'grid_search'.")  # fmt: skip


def _count_chunk(scores: ScoreSet, stack: Stack, prepared: PreparedMetric, clips: slice) -> Steps:
    """Counts consecutive clips by the ranks of their scores."""
    x, frames = scores.scores[clips].flatten(0, 1), scores.frames_of(clips)
    if all(stage.monotone for stage in stack.filters):
        ranks, value_of_rank = ranks_of(x)
        values = stack.filter_all(ranks.T.contiguous(), frames)
    else:
        filtered = stack.filter_all(x.T.contiguous(), frames)
        ranks, value_of_rank = ranks_of(filtered.transpose(1, 2).flatten(0, 1))
        values = ranks.reshape(len(filtered), len(x), -1).transpose(1, 2).contiguous()
    n_filters, width, n_tracks = values.shape
    # [clip, filter, class, rank], so that the steps come out in the order of their cells. True positives are kept in
    # the upper half of each number, so that one table holds both counts.
    n_rows, n_ranks = n_filters * n_tracks, width + 1
    row_of = torch.arange(n_rows, device=x.device).reshape(-1, n_filters, scores.n_classes).transpose(0, 1).flatten()
    first_of_row = row_of * n_ranks
    bits, whole, half = (16, torch.int32, torch.int16) if width < 1 << 15 else (32, torch.int64, torch.int32)
    changes = torch.zeros(n_rows * n_ranks, dtype=whole, device=x.device)
    intervals = dict(zip(prepared.columns, prepared.intervals(values, clips), strict=True))
    for name, shift in zip(CHANGING, (bits, 0), strict=True):
        found = intervals[name]
        row, weight = first_of_row.index_select(0, found.track), found.weight.to(whole) << shift
        changes.scatter_add_(0, row + found.high, weight)
        changes.scatter_add_(0, row + found.low, -weight)
    changes.reshape(n_rows, n_ranks)[:, 0] = 0  # no threshold lies below rank 0
    place = flatnonzero(changes != 0)
    changes = changes.index_select(0, place)
    estimated = changes.to(half)
    true_positives = ((changes - estimated) >> bits).to(half)
    row = divide(place, n_ranks)
    # Where the values of a row's ranks begin, less where the row itself does.
    own = torch.empty_like(row_of).scatter_(0, row_of, torch.arange(n_rows, device=x.device) % len(value_of_rank))
    shift = (own - torch.arange(n_rows, device=x.device)) * n_ranks
    value = value_of_rank.flatten().index_select(0, place + shift.index_select(0, row))
    return _cells(scores, n_filters, clips, row), value, true_positives, estimated


def _count_sure(scores: ScoreSet, stack: Stack, metric: Metric, clips: slice) -> Steps:
    """Counts consecutive clips where a threshold of confidences decides which events stay: by the ranks of confidences."""
    tracks = (scores.scores[clips].flatten(0, 1).amax(1) > 0).nonzero()[:, 0]
    made, n_classes = SettingEvents.make(scores, stack, clips, tracks), scores.n_classes
    found = kept(made.events, made.events.confidence > 0)
    value, rank = torch.unique(found.confidence, return_inverse=True)
    intervals = metric.level_intervals(*as_clips(scores, found, clips, made.track), rank + 1)
    assert intervals is not None
    clip, label = clips.start + made.track // n_classes, made.track % n_classes
    cell = (clip * made.n_settings + made.setting) * n_classes + label
    # A count rises below an interval's upper end and falls below its lower one.
    keys, weights = [], []
    for name in CHANGING:
        part = intervals[name]
        upper, lower, weight = part.high.long(), part.low.long(), part.weight.long()
        ends = torch.cat([upper, lower]), torch.cat([cell[part.track]] * 2), torch.cat([weight, -weight])
        above = ends[0] > 0
        keys.append((ends[1] * (len(value) + 1) + ends[0])[above])
        weights.append(ends[2][above])
    key, place = torch.unique(torch.cat(keys), return_inverse=True)
    changes = []
    for own_place, weight in zip(place.split([len(k) for k in keys]), weights, strict=True):
        changes.append(torch.zeros(len(key), dtype=torch.int64, device=key.device).index_add_(0, own_place, weight))
    changed = (changes[0] != 0) | (changes[1] != 0)
    key, hits, estimated = key[changed], changes[0][changed].int(), changes[1][changed].int()
    return key // (len(value) + 1), value[key % (len(value) + 1) - 1], hits, estimated


def _count_peaks(scores: ScoreSet, stack: Stack, prepared: PreparedMetric, clips: slice) -> Steps:
    """Counts consecutive clips for a metric whose counts change at the highest score of a track alone."""
    x, frames = scores.scores[clips].flatten(0, 1), scores.frames_of(clips)
    if scores.width > 1 and all(stage.monotone for stage in stack.filters):
        ranks, value_of_rank = ranks_of(x)
        top = value_of_rank.gather(1, stack.filter_all(ranks.T.contiguous(), frames).amax(1).T.long()).T
    else:
        top = stack.filter_all(x.T.contiguous(), frames).amax(1)
    n_filters, n_tracks = top.shape
    # What each track counts as soon as it is active.
    active = torch.ones(1, 1, n_tracks, dtype=torch.uint8, device=x.device)
    intervals = dict(zip(prepared.columns, prepared.intervals(active, clips), strict=True))
    changes = []
    for found in (intervals[name] for name in CHANGING):
        counts = torch.zeros(n_tracks, dtype=torch.int16, device=x.device).index_add_(0, found.track, found.weight)
        changes.append(_by_cell(counts.expand(n_filters, -1), scores.n_classes))
    cell = _cells(scores, n_filters, clips, torch.arange(n_filters * n_tracks, device=x.device))
    return cell, _by_cell(top, scores.n_classes), changes[0], changes[1]


def _by_cell(x: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Arranges ``[filter, track]`` by clip, filter and class, ``[cell]``."""
    return x.reshape(len(x), -1, n_classes).transpose(0, 1).flatten()


def _cells(scores: ScoreSet, n_filters: int, clips: slice, row: torch.Tensor) -> torch.Tensor:
    """Returns the cells of rows of consecutive clips, in the narrower of int32 and int64 that holds them all."""
    n_columns = n_filters * scores.n_classes
    dtype = torch.int32 if scores.n_clips * n_columns < 1 << 31 else torch.int64
    return (row + clips.start * n_columns).to(dtype)


def ranks_of(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the rank of each score among the distinct positive scores of its row, from 1; zeros have rank 0.

    Args:
        x: scores of at least 0, ``[row, frame]``.

    Returns:
        Ranks in the narrowest integer ``[row, frame]``, and the score of each rank, float32 ``[row, frame + 1]``.
    """
    width = x.shape[1]
    dtype = torch.uint8 if width < 1 << 8 else torch.int16 if width < 1 << 15 else torch.int32
    order = argsort(x)
    value = x.gather(1, order)
    rank = (value > torch.nn.functional.pad(value[:, :-1], (1, 0))).cumsum(1)
    value_of_rank = x.new_zeros(len(x), width + 1).scatter_(1, rank, value)
    return torch.empty(x.shape, dtype=dtype, device=x.device).scatter_(1, order, rank.to(dtype)), value_of_rank
