"""The folds of a benchmark as tasks for workers, which may be other processes or on other machines."""

from __future__ import annotations

import functools
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rl_postproc.counts.grid import CHUNK_BYTES
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Metric, Objective
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import heard_warnings, unwarned
from rl_postproc.work import Report

from ..base import Agent
from .failures import AgentError, Failure
from .folds import FILES, RESULT, run_fold


@dataclass(frozen=True)
class FoldTask:
    """What is worked on at a time.

    Attributes:
        name: of the row.
        seed: of the agent.
        fold: number of the fold that is left out.
        where: seed and fold, for messages.
        key: what identifies the run.
    """

    name: str
    seed: int
    fold: int
    where: str
    key: str

    @property
    def folder(self) -> str:
        """Name of the folder of its files."""
        return f"{self.name}_seed{self.seed}_fold{self.fold}"


@dataclass(frozen=True)
class Row:
    """What is tuned in a row of the benchmark; a stack is told by its config, since that of some is shared by many rows."""

    agent: Agent
    stack: list[dict[str, Any]]
    metric: Metric
    objective: Objective

    @property
    def counts(self) -> str:
        """What its counts depend on, beside the scores."""
        return f"{self.stack} {self.metric.model_dump_json()}"


@dataclass(frozen=True)
class Material:
    """What all folds of a benchmark share.

    Attributes:
        scores: to tune on.
        judged: what is scored, the same object where the clips left out are.
        fold: fold of each clip that is scored, int64 ``[clip]``.
        metric: what is counted of them.
        rows: by name.
    """

    scores: ScoreSet
    judged: ScoreSet
    fold: torch.Tensor
    metric: Metric
    rows: dict[str, Row]


@dataclass(frozen=True)
class FoldResult:
    """What became of a fold: its files by name, or why there are none; and what was warned of."""

    files: dict[str, bytes]
    failure: Failure | None
    said: tuple[str, ...]
    code: str


class FoldWorker:
    """Works on one fold after another. It keeps the counts of one stack and metric, which rows that follow share."""

    def __init__(self, material: Material):
        self._material = material
        self._counted: tuple[str, TuningTask] | None = None

    def __call__(self, task: FoldTask, report: Report) -> FoldResult:
        """Tunes on the other folds, and applies to this one."""
        own, row = self._material, self._material.rows[task.name]
        held = own.judged.select((own.fold == task.fold).nonzero()[:, 0])
        files, failure = {}, None
        with heard_warnings() as said, unwarned(), tempfile.TemporaryDirectory() as place:
            train, folder = self._task(row), Path(place) / task.folder
            if own.judged is own.scores:
                train = train.select((own.fold != task.fold).nonzero()[:, 0])
            try:
                run_fold(train, held, row.agent, task.seed, folder, task.key, report, own.metric)
            except AgentError as error:
                failure = Failure.of(error)
            else:
                files = {name: (folder / name).read_bytes() for name in (*FILES, RESULT) if (folder / name).exists()}
        return FoldResult(files, failure, tuple(dict.fromkeys(said)), code_version())

    def _task(self, row: Row) -> TuningTask:
        """Returns the task of a row on all clips, counted ahead of the agent, which is not charged for it."""
        if self._counted is None or self._counted[0] != row.counts:
            self._counted = None  # its table goes before the next is made
            task = TuningTask(self._material.scores, Stack.from_config(row.stack), row.metric)
            self._counted = row.counts, task
        task = self._counted[1]
        if not task.has_large_table:
            _ = task.table
        return task.with_objective(row.objective)


def make_worker(plugins: list[str], threads: int, chunk_bytes: int, material: bytes) -> FoldWorker:
    """Makes the worker of another process.

    Args:
        plugins: of the config, which come before all that may name what is in them.
        threads: of this process.
        chunk_bytes: size of its chunks.
        material: pickled `Material`.
    """
    from rl_postproc.utils.plugins import load_plugins

    torch.set_num_threads(threads)
    CHUNK_BYTES["cpu"] = chunk_bytes
    load_plugins(plugins)
    return FoldWorker(pickle.loads(material))


def worker_maker(material: Material, plugins: list[str], is_apart: bool) -> Callable[[], FoldWorker]:
    """Returns what makes workers, here or in other processes, with threads and chunks as this one has."""
    if not is_apart:
        return lambda: FoldWorker(material)
    return functools.partial(make_worker, plugins, torch.get_num_threads(), CHUNK_BYTES["cpu"], pickle.dumps(material))
