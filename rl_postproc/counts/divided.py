"""Sums over clips by several workers: each counts some of the clips that are read in parts, and opens the shards itself.

Scores never travel: a task is the numbers of its first and last clip, and what comes back are totals. Counts are integers,
whose sums are exact in any order, so that it changes no digit how many workers there are and who is done first.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.counts.grid import Progress
from rl_postproc.counts.table import CountTable
from rl_postproc.counts.totals import group_totals
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.metrics.base import Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.work import Engine, Report

TASK_BYTES = 1 << 29
"""Size of the scores of a task, all tracks of its clips: seconds of work, beside which those to send its totals are few."""

Clips = tuple[int, int]
"""Numbers of the first clip, and of the one after the last."""
Totals = list[dict[str, np.ndarray]]
"""Columns by name, ``[class]`` or ``[class, candidate]``, for each group of clips."""


@dataclass(frozen=True)
class Workers:
    """Who counts.

    Attributes:
        engine: where they are, from where the shards are found by their path.
        plugins: modules, or files by their full paths, that stages and metric come from.
    """

    engine: Engine
    plugins: tuple[str, ...] = ()


def divided_totals(
    scores: ScoreSet,
    stack: Stack,
    metric: Metric,
    group: torch.Tensor,
    n_groups: int,
    *,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> list[CountTable]:
    """Counts as `group_totals` does, and gives the same; several workers share the clips of scores that are read in parts.

    Args:
        scores: as there.
        stack: as there.
        metric: as there.
        group: as there.
        n_groups: as there.
        workers: who counts; this process when None.
        progress: called now and then with the clips that are done, and all.

    Raises:
        UserError: a worker does not find the shards, or was lost too often.
    """
    if workers is None or not workers.engine.is_apart or not isinstance(scores, StreamedScores):
        return group_totals(scores, stack, metric, group, n_groups, progress=progress)
    shares: dict[Clips, float] = {}

    def watch(clips: Clips, share: float, _: dict[str, float] | None = None) -> None:
        shares[clips] = share * (clips[1] - clips[0])
        if progress:
            progress(round(sum(shares.values())), scores.n_clips)

    material = pickle.dumps((scores, stack, metric, group, n_groups))
    make = functools.partial(_make_worker, workers.plugins, torch.get_num_threads(), material)
    totals: list[dict[str, torch.Tensor]] = [{} for _ in range(n_groups)]
    for clips, found in workers.engine.run(make, tasks_of(scores), watch):
        for total, own in zip(totals, found, strict=True):
            for name, column in own.items():
                total[name] = _sum(total[name], column) if name in total else torch.from_numpy(column.copy())
        watch(clips, 1.0)
    counts = ({name: total[name][None] for name in metric.columns} for total in totals)
    return [CountTable(own, metric, stack.space) for own in counts]


def tasks_of(scores: StreamedScores) -> Iterator[Clips]:
    """Yields the clips of each task: consecutive parts, as they are read."""
    a_clip = 4 * len(scores.source.classes) * scores.width
    most = TASK_BYTES // a_clip
    first = stop = 0
    for clips, _ in scores.pieces():
        if stop > first and clips.stop - first > most:
            yield first, stop
            first = stop
        stop = clips.stop
    yield first, stop


def _sum(total: torch.Tensor, column: np.ndarray) -> torch.Tensor:
    """Returns the sum; a column that candidates change in some clips alone is ``[class]`` where they do not."""
    if total.ndim == column.ndim:
        return total.add_(torch.from_numpy(column.copy()))
    one, other = sorted((total, torch.from_numpy(column.copy())), key=torch.Tensor.dim)
    return one[:, None] + other


class _Worker:
    """Counts one task after another."""

    def __init__(self, scores: StreamedScores, stack: Stack, metric: Metric, group: torch.Tensor, n_groups: int):
        self._scores, self._stack, self._metric = scores, stack, metric
        self._group, self._n_groups = group, n_groups

    def __call__(self, clips: Clips, report: Report) -> Totals:
        index = torch.arange(*clips)
        tables = group_totals(self._scores.select(index), self._stack, self._metric, self._group[index], self._n_groups,
                              progress=lambda done, of: report(done / of, {}))  # fmt: skip
        return [{name: column[0].numpy() for name, column in table.counts.items()} for table in tables]


def _make_worker(plugins: tuple[str, ...], threads: int, material: bytes) -> _Worker:
    """Makes the worker of another process.

    Args:
        plugins: see `Workers`; they come before all that may name what is in them.
        threads: of this process.
        material: what `_Worker` takes, pickled.
    """
    from rl_postproc.utils.plugins import load_plugins

    torch.set_num_threads(threads)
    load_plugins(plugins)
    return _Worker(*pickle.loads(material))
