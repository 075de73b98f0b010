"""What a benchmark does: its rows, the clips that they are tuned and scored on, and the folds that follow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import with_classes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask

from ..base import Agent
from .config import BenchmarkConfig
from .fold_tasks import FoldTask, Material, Row


@dataclass(frozen=True)
class Plan:
    """What every agent of a benchmark goes through.

    Attributes:
        config: what is compared.
        task: the clips to tune on.
        judged: the clips that agents are scored on, often the same.
        fold: fold of each of them, int64 ``[clip]``.
        n_folds: number of folds.
    """

    config: BenchmarkConfig
    task: TuningTask
    judged: TuningTask
    fold: torch.Tensor
    n_folds: int

    @property
    def is_evaluated_apart(self) -> bool:
        """Whether other clips are scored than those that are tuned on."""
        return self.judged.scores is not self.task.scores

    @property
    def stamp(self) -> str:
        """Digest of data, stack, metric and objective."""
        return self.task.fingerprint + ("" if self.judged is self.task else self.judged.fingerprint)

    def folds(self, name: str, agent: Agent) -> list[FoldTask]:
        """Returns the folds of a row, seed by seed."""
        found = []
        for seed in self.config.seeds:
            for k in range(self.n_folds):
                key = hashlib.sha256(
                    f"{self.stamp} {agent.model_dump_json()} {seed} {k}/{self.n_folds}".encode()
                ).hexdigest()
                found.append(FoldTask(name, seed, k, f"seed {seed}, fold {k + 1}/{self.n_folds}", key))
        return found


def make_plans(config: BenchmarkConfig, of_row: dict[str, TuningTask], evaluation: ScoreSet | None) -> dict[str, Plan]:
    """Deals the clips into folds; an evaluation set is one fold by itself.

    Args:
        config: what is compared.
        of_row: task of each row, all of the same scores.
        evaluation: scores that are judged in place of folds.

    Returns:
        The plan of each row; rows of one task share it.
    """
    scores = next(iter(of_row.values())).scores
    judged, n_folds, fold = scores, config.folds, fold_of_clips(scores.clip_ids, config.folds)
    if evaluation is not None:
        judged = with_classes(evaluation, scores.classes)
        judged.require_references()
        n_folds, fold = 1, torch.zeros(evaluation.n_clips, dtype=torch.int64)
    plans: dict[int, Plan] = {}
    for task in of_row.values():
        if id(task) not in plans:
            own = task
            if evaluation is not None or task.metric != config.metric:
                own = TuningTask(judged, task.stack, config.metric, objective=task.objective)
            plans[id(task)] = Plan(config, task, own, fold, n_folds)
    return {name: plans[id(task)] for name, task in of_row.items()}


def row_tasks(config: BenchmarkConfig, scores: ScoreSet) -> dict[str, TuningTask]:
    """Returns the task of each row; rows of one stack, metric and objective share it."""
    stacks, objectives, metrics = config.row_stacks(), config.row_objectives(), config.row_metrics()
    tasks: dict[str, TuningTask] = {}
    found = {}
    for name, stack in stacks.items():
        key = f"{stack} {metrics[name].model_dump_json()} {objectives[name].model_dump_json()}"
        if key not in tasks:
            tasks[key] = TuningTask(scores, Stack.from_config(stack), metrics[name], objective=objectives[name])
        found[name] = tasks[key]
    return found


def material(config: BenchmarkConfig, plans: dict[str, Plan], agents: dict[str, Agent]) -> Material:
    """Returns what the workers of all folds of these agents share."""
    stacks, objectives, metrics = config.row_stacks(), config.row_objectives(), config.row_metrics()
    plan = plans[next(iter(agents))]
    rows = {name: Row(agent, stacks[name], metrics[name], objectives[name]) for name, agent in agents.items()}
    return Material(plan.task.scores, plan.judged.scores, plan.fold, config.metric, rows)
