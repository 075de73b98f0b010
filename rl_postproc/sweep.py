"""The sweep: counts of every candidate of a stack, for every clip and class.

The threshold is never looped over. Scores become the number of thresholds below them (a median filter commutes with
that map), counts are found as intervals of thresholds (`rl_postproc.metrics`), and one running sum along the
thresholds makes the table. Clips go through in chunks that stay within a memory budget and keep to a core's cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch

from rl_postproc.counts import CountTable
from rl_postproc.errors import UserError
from rl_postproc.metrics import Metric, PreparedMetric
from rl_postproc.metrics.base import Intervals
from rl_postproc.parallel import in_threads
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack

Progress = Callable[[int, int], None]
"""Called with the number of clips done and the number of clips in all."""

CHUNK_BYTES = {"cpu": 1 << 23, "cuda": 1 << 31}
"""Size of the filtered levels of one chunk; the working memory of a thread is about 40 times as much at worst."""


def sweep(
    scores: ScoreSet,
    stack: Stack,
    metric: Metric,
    *,
    progress: Progress | None = None,
    chunk_bytes: int | None = None,
) -> CountTable:
    """Counts every candidate of the stack for every clip and class.

    Args:
        scores: the score set, with references.
        stack: the stages with their candidates.
        metric: what is counted.
        progress: called after every chunk of clips.
        chunk_bytes: memory for the filtered levels of one chunk; by default what suits the device.

    Returns:
        The table, on the device of the scores. Its integers are as narrow as the counts allow.
    """
    return sweep_stream([scores], stack, metric, n_clips=scores.n_clips, progress=progress, chunk_bytes=chunk_bytes)


def sweep_stream(
    parts: Iterable[ScoreSet],
    stack: Stack,
    metric: Metric,
    *,
    n_clips: int | None = None,
    progress: Progress | None = None,
    chunk_bytes: int | None = None,
) -> CountTable:
    """Counts every candidate for score sets that arrive one after another, such as the shards of a large set.

    Args:
        parts: score sets with references and the same classes; each is forgotten once it is counted.
        stack: the stages with their candidates.
        metric: what is counted.
        n_clips: number of clips of all parts, for the progress alone.
        progress: called after every chunk of clips; the number in all is 0 when ``n_clips`` is None.
        chunk_bytes: memory for the filtered levels of one chunk; by default what suits the device.

    Returns:
        The table of all clips, in the order of their arrival.

    Raises:
        UserError: there is no part, a part has no references, or other classes than the first.
    """
    tables: list[tuple[torch.Tensor, ...]] = []
    classes: tuple[str, ...] | None = None
    done = 0
    for scores in parts:
        if scores.classes != (classes or scores.classes):
            raise UserError(f"The clips from '{scores.clip_ids[0]}' on have the classes {', '.join(scores.classes)}, "
                            f"but the clips before them have {', '.join(classes or ())}; make them equal.")  # fmt: skip
        classes = scores.classes

        def report(clips: int, _: int, before: int = done) -> None:
            if progress:
                progress(before + clips, n_clips or 0)

        tables.append(_count_all(scores, stack, metric, report, chunk_bytes))
        done += scores.n_clips
    if not tables:
        raise UserError("There is no score set to count; give at least one.")
    # Column by column, so that only one of them is held twice.
    columns = [list(column) for column in zip(*tables, strict=True)]
    tables.clear()
    true_positives, estimated, reference = (_join(columns.pop(0)) for _ in range(3))
    return CountTable(true_positives, estimated, reference, stack.space)


def _join(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _count_all(
    scores: ScoreSet, stack: Stack, metric: Metric, progress: Progress, chunk_bytes: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns true positives and estimates ``[clip, class, candidate]``, and references ``[clip, class]``."""
    prepared = metric.prepare(scores)
    shape = scores.n_clips * scores.n_classes, stack.space.n_candidates
    # Tracks without any count are left out by the chunks, and take no memory until they are written to.
    tables = [torch.zeros(shape, dtype=torch.uint8, device=scores.device) for _ in range(2)]

    def count(clips: slice) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return _count_chunk(scores, stack, prepared, clips)

    for clips, (tracks, counts) in in_threads(count, chunks(scores, stack, chunk_bytes), scores.device):
        for i, part in enumerate(counts):
            if torch.promote_types(tables[i].dtype, part.dtype) != tables[i].dtype:
                tables[i] = tables[i].to(part.dtype)
            tables[i][clips.start * scores.n_classes + tracks] = part.to(tables[i].dtype)
        progress(clips.stop, scores.n_clips)
    table_shape = scores.n_clips, scores.n_classes, shape[1]
    return tables[0].reshape(table_shape), tables[1].reshape(table_shape), prepared.reference


def chunks(scores: ScoreSet, stack: Stack, chunk_bytes: int | None = None) -> Iterator[slice]:
    """Yields slices of clips whose filtered levels take about ``chunk_bytes``."""
    budget = chunk_bytes or CHUNK_BYTES.get(scores.device.type, 1 << 23)
    n_filters = math.prod(len(p.candidates) for stage in stack.filters for p in stage.parameters.values())
    step = max(1, budget // (n_filters * scores.n_classes * scores.width))
    for first in range(0, scores.n_clips, step):
        yield slice(first, min(first + step, scores.n_clips))


def _count_chunk(
    scores: ScoreSet, stack: Stack, prepared: PreparedMetric, clips: slice
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Counts consecutive clips.

    Returns:
        The tracks that can have any count, int64 ``[track]``, and their true positives and estimates in the narrowest
        integers, ``[track, candidate]``.
    """
    tracks = _audible(scores, stack, clips)
    values, n_levels = filtered_levels(scores, stack, clips, tracks)
    n_filters, width, n_tracks = values.shape
    dtype = torch.int16 if width < 1 << 15 else torch.int32
    counts = []
    for found in prepared.intervals(values, clips, tracks):
        by_filter = _tabulate(found, n_filters * n_tracks, n_levels, dtype).reshape(n_filters, n_tracks, n_levels)
        if not by_filter.numel() or int(by_filter.amax()) < 256:
            by_filter = by_filter.to(torch.uint8)
        counts.append(by_filter.transpose(0, 1).flatten(1))
    return tracks, counts


def _audible(scores: ScoreSet, stack: Stack, clips: slice) -> torch.Tensor:
    """Returns the tracks of which some score is above the lowest threshold; the others decode to nothing."""
    x = scores.scores[clips].flatten(0, 1)
    if not (stack.ends_with_threshold and all(stage.monotone for stage in stack.filters)):
        return torch.arange(len(x), device=x.device)
    return (x.amax(1) > _thresholds(stack, x.device)[0]).nonzero()[:, 0]


def _thresholds(stack: Stack, device: torch.device) -> torch.Tensor:
    (parameter,) = stack.stages[-1].parameters.values()
    return torch.tensor(parameter.candidates, device=device)


def filtered_levels(
    scores: ScoreSet, stack: Stack, clips: slice, tracks: torch.Tensor | None = None
) -> tuple[torch.Tensor, int]:
    """Filters tracks of consecutive clips with every setting of the stages before the threshold.

    Args:
        scores: the score set.
        stack: the stages with their candidates.
        clips: consecutive clips.
        tracks: which of the clips' tracks (clip-major, then class), int64 ``[track]``; all when None.

    Returns:
        Levels ``[filter, frame, track]`` in the narrowest integer, and their number: at the candidate ``filter * levels
        + j`` a frame is active where its level is above ``j``. A stack that does not end with its threshold gives its
        decisions as levels 0 and 1, one filter a candidate.
    """
    x = scores.scores[clips].flatten(0, 1)
    n_frames = scores.n_frames[clips].repeat_interleave(scores.n_classes)
    if tracks is not None and len(tracks) < len(x):
        x, n_frames = x[tracks], n_frames[tracks]
    if not stack.ends_with_threshold:
        return stack.sweep(x.T.contiguous(), n_frames, scores.hop, stack.stages).to(torch.uint8), 1
    thresholds = _thresholds(stack, x.device)
    if all(stage.monotone for stage in stack.filters):
        levels = _levels(x, thresholds).T.contiguous()
        return stack.sweep(levels, n_frames, scores.hop, stack.filters), len(thresholds)
    return _levels(stack.sweep(x.T.contiguous(), n_frames, scores.hop, stack.filters), thresholds), len(thresholds)


def _levels(scores: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Returns the number of thresholds strictly below each score, in the narrowest integer that holds it."""
    dtype = torch.uint8 if len(thresholds) < 256 else torch.int16
    return torch.bucketize(scores, thresholds, out_int32=True).to(dtype)


def _tabulate(intervals: Intervals, n_tracks: int, n_levels: int, dtype: torch.dtype) -> torch.Tensor:
    """Adds intervals of levels into counts ``[track, level]``."""
    change = torch.zeros(n_tracks * (n_levels + 1), dtype=dtype, device=intervals.track.device)
    row, weight = intervals.track * (n_levels + 1), intervals.weight.to(dtype)
    change.scatter_add_(0, row + intervals.low, weight)
    change.scatter_add_(0, row + intervals.high, -weight)
    return change.reshape(n_tracks, n_levels + 1)[:, :n_levels].cumsum(1, dtype=dtype)


def count_decisions(scores: ScoreSet, metric: Metric, decisions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts given decisions.

    Args:
        scores: the score set, with references.
        metric: what is counted.
        decisions: bool ``[clip, class, frame]``.

    Returns:
        True positives and estimated counts, int64 ``[clip, class]``.
    """
    prepared = metric.prepare(scores)
    shape = scores.n_clips, scores.n_classes
    result = torch.zeros(2, *shape, dtype=torch.int64, device=scores.device)

    def count(clips: slice) -> list[torch.Tensor]:
        active = decisions[clips] & scores.valid[clips, None]
        values = active.flatten(0, 1).T.contiguous().to(torch.uint8)[None]
        return [_tabulate(found, values.shape[2], 1, torch.int32) for found in prepared.intervals(values, clips)]

    step = max(1, CHUNK_BYTES.get(scores.device.type, 1 << 23) // (scores.n_classes * scores.width))
    parts = (slice(first, min(first + step, scores.n_clips)) for first in range(0, scores.n_clips, step))
    for clips, counts in in_threads(count, parts, scores.device):
        for table, part in zip(result, counts, strict=True):
            table[clips] = part.reshape(-1, scores.n_classes).long()
    return result[0], result[1]
