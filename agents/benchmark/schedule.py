"""All folds of a benchmark: taken up where they are finished, and given to workers where they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import warn
from rl_postproc.work import Engine

from ..base import Agent
from .failures import Failure, Skipped
from .fold_tasks import FoldTask, worker_maker
from .folds import finished_by, keep_fold
from .outcome import pool_folds
from .plan import Plan, material

BenchmarkProgress = Callable[[str, float, dict[str, float]], None]
"""Called with what is being done, the fraction of it, and the newest figures: counts as int, shares of one as float."""


@dataclass
class Outcome:
    """What one agent has reached, with the files of its folds and the version of the code that made each of them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: list[list[dict[str, float]]] = field(default_factory=list)
    counts: list[torch.Tensor] = field(default_factory=list)
    folders: dict[int, list[Path]] = field(default_factory=dict)
    makers: list[str] = field(default_factory=list)


def run_folds(
    plans: dict[str, Plan],
    agents: dict[str, Agent],
    out: Path,
    engine: Engine,
    watch: BenchmarkProgress,
    fresh: bool,
    skipped: Skipped,
) -> dict[str, Outcome]:
    """Runs every agent on every seed and fold.

    Args:
        plans: of each agent.
        agents: by name.
        out: run folder.
        engine: where folds are worked on.
        watch: takes progress.
        fresh: whether folds that other code has made are run anew.
        skipped: takes the agents that fail.

    Returns:
        What came of those that did not.
    """
    state = _State(plans, agents, out / "folds", engine, watch, skipped)
    for task in state.tasks:
        made_by = finished_by(state.folder(task), task.key)
        if made_by is not None and (not fresh or made_by == code_version()):
            state.made[task] = made_by
    plugins = plans[next(iter(agents))].config.plugins
    if len(state.made) < len(state.tasks):
        make = worker_maker(material(plans[next(iter(agents))].config, plans, agents), plugins, engine.is_apart)
        for task, result in engine.run(make, state.left(), state.tell):
            for sentence in result.said:
                warn(sentence)
            if result.failure is None:
                keep_fold(state.folder(task), result.files)
                state.made[task] = result.code
            else:
                state.failed[task] = result.failure
            state.settle(task)
    for name in agents:
        for seed in plans[name].config.seeds:
            state.pool(name, seed)
    return state.outcomes()


class _State:
    """How far a benchmark is."""

    def __init__(
        self,
        plans: dict[str, Plan],
        agents: dict[str, Agent],
        folder: Path,
        engine: Engine,
        watch: BenchmarkProgress,
        skipped: Skipped,
    ):
        self._plans, self._folder, self._watch, self._skipped = plans, folder, watch, skipped
        self._is_apart = engine.is_apart
        self._tasks = {name: plans[name].folds(name, agent) for name, agent in agents.items()}
        self.tasks = [task for own in self._tasks.values() for task in own]
        self.made: dict[FoldTask, str] = {}
        self.failed: dict[FoldTask, Failure] = {}
        self._pooled: dict[tuple[str, int], tuple] = {}
        self._begun: dict[FoldTask, float] = {}

    def folder(self, task: FoldTask) -> Path:
        """Returns where the files of a fold are."""
        return self._folder / task.folder

    def left(self) -> Iterator[FoldTask]:
        """Yields what is to be done, as long as its agent has not failed."""
        for task in self.tasks:
            if task not in self.made and not any(other.name == task.name for other in self.failed):
                yield task

    def tell(self, task: FoldTask, share: float, figures: dict[str, float]) -> None:
        """Takes how far a fold is."""
        self._begun[task] = share
        what = f"{task.name}, {task.where}"
        if self._is_apart:
            what = f"{len(self._begun)} at work, {what}"
        self._watch(what, self._share(), figures)

    def settle(self, task: FoldTask) -> None:
        """Takes note of the end of a fold: of an agent's first failure, once all folds before it are known; of a seed."""
        self._begun.pop(task, None)
        first = next((own for own in self._tasks[task.name] if own not in self.made), None)
        if first in self.failed and task.name not in self._skipped.reasons:
            self._skipped.add(task.name, self.failed[first], first.where, first.folder)
        self.pool(task.name, task.seed)

    def pool(self, name: str, seed: int) -> None:
        """Pools and certifies the folds of a seed, if all are there and it is not done."""
        own = [task for task in self._tasks[name] if task.seed == seed]
        if (name, seed) in self._pooled or any(task not in self.made for task in own) or name in self._skipped.reasons:
            return
        self._watch(f"certifying {name}, seed {seed}", self._share(), {})
        plan = self._plans[name]
        self._pooled[name, seed] = pool_folds(plan.judged, plan.fold, [self.folder(task) for task in own])

    def _share(self) -> float:
        """Returns the share of all work that is done; what has failed needs none."""
        done = sum(task in self.made or task.name in self._skipped.reasons for task in self.tasks)
        return (done + sum(self._begun.values())) / len(self.tasks)

    def outcomes(self) -> dict[str, Outcome]:
        """Returns what came of the agents that did not fail."""
        outcomes = {}
        for name, tasks in self._tasks.items():
            if name in self._skipped.reasons:
                continue
            found = outcomes[name] = Outcome(makers=[self.made[task] for task in tasks])
            for seed in self._plans[name].config.seeds:
                row, curve, counts = self._pooled[name, seed]
                found.rows.append({"agent": name, "seed": seed, **row})
                found.curves.append(curve)
                found.counts.append(counts)
                found.folders[seed] = [self.folder(task) for task in tasks if task.seed == seed]
        return outcomes
