"""The sweep: counts of every candidate of a stack, for every clip and class.

The threshold is never looped over. Scores become the number of thresholds below them (a median filter commutes with
that map), counts are found as intervals of thresholds (`rl_postproc.metrics`), and one running sum along the
thresholds makes the table. Stages after the threshold work on the distinct decisions alone (`rl_postproc.counts.rows`).
Clips go through in chunks that stay within a memory budget and keep to a core's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch

from rl_postproc.counts.levels import audible_tracks, filtered_levels, narrowest, tabulate
from rl_postproc.counts.rows import RowCounter, no_events
from rl_postproc.counts.table import CountTable
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.metrics.base import Counts, Metric, PreparedMetric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.parallel import in_threads

Progress = Callable[[int, int], None]
"""Called with the number of clips done and the number of clips in all."""

CHUNK_BYTES = {"cpu": 1 << 23, "cuda": 1 << 31}
"""Size of the filtered levels of one chunk; the working memory of a thread is about 40 times as much at worst."""


@contextmanager
def chunks_of(n_bytes: int) -> Iterator[None]:
    """Has chunks on the CPU be of such a size, where nothing else is asked for, until the end of the block."""
    usual, CHUNK_BYTES["cpu"] = CHUNK_BYTES["cpu"], n_bytes
    try:
        yield
    finally:
        CHUNK_BYTES["cpu"] = usual


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

    Example:
        >>> from rl_postproc import ScoreSet, Stack
        >>> from rl_postproc.counts.grid import sweep
        >>> from rl_postproc.metrics import EventBased, Macro
        >>> rows = [("a", 0.5, 1.5, "Dog")]
        >>> scores = ScoreSet.from_arrays({"a": [[0.3], [0.6], [0.6]]}, hop=0.5, classes=["Dog"], references=rows)
        >>> table = sweep(scores, Stack.from_config([{"stage": "threshold", "threshold": [0.25, 0.5, 0.75]}]), EventBased())
        >>> table.totals()["true_positives"].tolist()  # [candidate, class]
        [[0], [1], [0]]
        >>> table.best_per_class(Macro()).tolist()  # the candidate of each class
        [1]
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
        UserError: there is no part, a part has no references, or other classes than the first; or the stack has too many
            candidates.
    """
    stack.check_candidates()
    tables: list[tuple[torch.Tensor, ...]] = []
    classes: tuple[str, ...] | None = None
    done = 0
    for scores in parts:
        if scores.classes != (classes or scores.classes):
            raise UserError(f"The clips from '{scores.clip_ids[0]}' on have the classes {', '.join(scores.classes)}, "
                            f"but the clips before them have {', '.join(classes or ())}; make them equal.")  # fmt: skip
        classes = scores.classes

        n_branches, counted = len(stack.branches), []
        for number, branch in enumerate(stack.branches):

            def report(clips: int, of: int, before: int = done, number: int = number, n: int = n_branches) -> None:
                if progress:
                    progress(before + (number * of + clips) // n, n_clips or 0)

            counted.append(_count_all(scores, branch, metric, report, chunk_bytes))
        tables.append(tuple(map(_beside, zip(*counted, strict=True))))
        done += scores.n_clips
    if not tables:
        raise UserError("There is no score set to count; give at least one.")
    # Column by column, so that only one of them is held twice.
    columns = [list(column) for column in zip(*tables, strict=True)]
    tables.clear()
    return CountTable({name: _join(columns.pop(0)) for name in metric.columns}, metric, stack.space)


def _beside(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Returns one column of several stacks' candidates, one stack after another, or as it is if no candidate changes it."""
    return parts[0] if len(parts) == 1 or parts[0].ndim == 2 else torch.cat(list(parts), -1)


def _join(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _count_all(
    scores: ScoreSet, stack: Stack, metric: Metric, progress: Progress, chunk_bytes: int | None
) -> tuple[torch.Tensor, ...]:
    """Returns the metric's columns, ``[clip, class, candidate]``, or ``[clip, class]`` where candidates change nothing."""
    counter = ChunkCounter(scores, stack, metric)
    n_tracks, shape = scores.n_clips * scores.n_classes, (scores.n_clips, scores.n_classes)
    fixed, silence, names = counter.fixed, counter.silence, counter.names
    tables = [torch.zeros(n_tracks, stack.space.n_candidates, dtype=torch.uint8, device=scores.device) for _ in names]
    for clips, (tracks, counts) in in_threads(counter.count, chunks(scores, stack, chunk_bytes), scores.device):
        for i, part in enumerate(counts):
            if torch.promote_types(tables[i].dtype, part.dtype) != tables[i].dtype:
                tables[i] = tables[i].to(part.dtype)
            tables[i].index_copy_(0, clips.start * scores.n_classes + tracks, part.to(tables[i].dtype))
        progress(clips.stop, scores.n_clips)
    found = dict(fixed)
    for name, table in zip(names, tables, strict=True):
        if name in silence:
            table = narrowest(table.int() + silence[name].reshape(-1, 1).int())
        found[name] = table.reshape(*shape, -1)
    return tuple(found[name] for name in metric.columns)


class ChunkCounter:
    """Counts consecutive clips of a score set with a linear stack.

    Attributes:
        fixed: columns that no candidate changes, int64 ``[clip, class]``.
        silence: what silence counts in columns that candidates change, int64 ``[clip, class]``; missing where that is 0.
        names: the columns that `count` returns, less what silence counts.
    """

    def __init__(self, scores: ScoreSet, stack: Stack, metric: Metric):
        """Prepares the metric for the clips."""
        prepared, references = metric.prepare(scores), scores.require_references()
        self.fixed = {} if prepared is None else prepared.fixed
        self.names = [name for name in metric.columns if name not in self.fixed]
        # Tracks without events in any candidate are left out by the chunks.
        self.silence = metric.count(references, no_events(references)) if prepared is None else {}
        self._scores, self._stack = scores, stack
        self._fast = prepared if prepared is not None and stack.ends_with_threshold else None
        self._rows = RowCounter(scores, stack, metric, prepared)

    def count(self, clips: slice) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Returns tracks int64 ``[track]``, and each of `names`, ``[track, candidate]``."""
        if self._fast is None:
            return self._rows.count(clips)
        return _count_chunk(self._scores, self._stack, self._fast, clips)


def chunks(
    scores: ScoreSet, stack: Stack, chunk_bytes: int | None = None, n_copies: int | None = None
) -> Iterator[slice]:
    """Yields slices of clips whose filtered levels take about ``chunk_bytes``.

    Args:
        scores: the score set.
        stack: linear.
        chunk_bytes: by default what suits the device.
        n_copies: how many bytes each score takes in the end; by default one for each filter setting.
    """
    budget = chunk_bytes or CHUNK_BYTES.get(scores.device.type, 1 << 23)
    step = max(1, budget // ((n_copies or stack.n_filter_settings) * scores.n_classes * scores.width))
    for first in range(0, scores.n_clips, step):
        yield slice(first, min(first + step, scores.n_clips))


def _count_chunk(
    scores: ScoreSet, stack: Stack, prepared: PreparedMetric, clips: slice
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Counts consecutive clips.

    Returns:
        The tracks that can have any count, int64 ``[track]``, and the metric's changing columns in the narrowest
        integers, ``[track, candidate]``.
    """
    tracks = audible_tracks(scores, stack, clips)
    values, n_levels = filtered_levels(scores, stack, clips, tracks)
    n_filters, width, n_tracks = values.shape
    dtype = torch.int16 if width < 1 << 15 else torch.int32
    counts = []
    for found in prepared.intervals(values, clips, tracks):
        by_filter = tabulate(found, n_filters * n_tracks, n_levels, dtype).reshape(n_filters, n_tracks, n_levels)
        if not by_filter.numel() or int(by_filter.amax()) < 256:
            by_filter = by_filter.to(torch.uint8)
        counts.append(by_filter.transpose(0, 1).flatten(1))
    return tracks, counts


def count_decisions(scores: ScoreSet, metric: Metric, decisions: torch.Tensor) -> Counts:
    """Counts given decisions by the metric's fast path, where it has one.

    Args:
        scores: the score set, with references.
        metric: what is counted.
        decisions: bool ``[clip, class, frame]``.

    Returns:
        The metric's columns, int64 ``[clip, class]``.
    """
    prepared, frames = metric.prepare(scores), scores.frames
    active = (decisions & scores.valid[:, None]).flatten(0, 1).T.contiguous()
    if prepared is None:
        events = TrackEvents.from_decisions(active, frames).to_events(scores.clip_ids, scores.classes)
        return metric.count(scores.require_references(), events)
    found = dict(prepared.fixed)
    shape = scores.n_clips, scores.n_classes
    intervals = prepared.intervals(active.to(torch.uint8)[None], slice(0, scores.n_clips))
    for name, part in zip(prepared.columns, intervals, strict=True):
        found[name] = tabulate(part, active.shape[1], 1, torch.int32).reshape(shape).long()
    return {name: found[name] for name in metric.columns}
