"""The benchmark: agents, folds and seeds under the held-out protocol, resumable.

Clips are dealt into folds; each agent is tuned on all folds but one and applied to the one left out; the counts of the
left-out folds are pooled, and their score is the agent's figure. The pooled events are scored by an outside tool as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.report import DataReport, data_report
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Macro
from rl_postproc.pipeline.postprocessor import with_classes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError, unwarned

from ..base import Agent, check_agent
from ..run_folder import refuse_others, remove, run_folder
from .config import BenchmarkConfig, named_agents
from .failures import AgentError, Skipped, work_of_agent
from .folds import finished_by, run_fold
from .judges import judged_rows
from .objectives import objective_results
from .outcome import WRITTEN, intervals, pool_folds, read_pooled, write_results
from .provenance import save_provenance, write_data

BenchmarkProgress = Callable[[str, float, dict[str, float]], None]
"""Called with what is being done, the fraction of it, and the newest figures: counts as int, shares of one as float."""


@dataclass(frozen=True)
class Plan:
    """What every agent of a benchmark goes through.

    Attributes:
        config: what is compared.
        task: the clips to tune on.
        judged: the clips that agents are scored on, often the same.
        fold: fold of each of them, int64 ``[clip]``.
        n_folds: number of folds.
        out: run folder.
        fresh: whether folds that other code has made are run anew.
        watch: takes progress.
    """

    config: BenchmarkConfig
    task: TuningTask
    judged: TuningTask
    fold: torch.Tensor
    n_folds: int
    out: Path
    fresh: bool
    watch: BenchmarkProgress

    @property
    def is_evaluated_apart(self) -> bool:
        """Whether other clips are scored than those that are tuned on."""
        return self.judged.scores is not self.task.scores

    @property
    def stamp(self) -> str:
        """Digest of data, stack, metric and objective."""
        return self.task.fingerprint + ("" if self.judged is self.task else self.judged.fingerprint)


@dataclass
class Outcome:
    """What one agent has reached, with the files of its folds and the version of the code that made each of them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: list[list[dict[str, float]]] = field(default_factory=list)
    counts: list[torch.Tensor] = field(default_factory=list)
    folders: dict[int, list[Path]] = field(default_factory=dict)
    makers: list[str] = field(default_factory=list)


def run_benchmark(
    config: BenchmarkConfig,
    scores: ScoreSet,
    out: Path,
    watch: BenchmarkProgress,
    fresh: bool = False,
    strict: bool = False,
    tell: Callable[[DataReport], None] = lambda report: None,
) -> dict[str, Any]:
    """Runs every agent on every fold and seed, and writes the results.

    Finished folds are kept in ``out/folds`` and taken up by the next run with the same settings. Where other code than
    this has made them, the results say so. An agent that cannot run, or fails in a fold, is left out of the results, and
    named with its reason under ``skipped``.

    Args:
        config: what to compare.
        scores: the score set, with references.
        out: run folder.
        watch: takes progress.
        fresh: whether folds that other code has made are run anew.
        strict: whether the first agent that cannot run ends the benchmark.
        tell: takes the report on the data, and that on the evaluation set if there is one, before any work.

    Returns:
        The contents of ``results.json``.

    Raises:
        UserError: the folds do not fit the data, no agent can run (with ``strict``: one cannot), or the folder cannot be
            written.
    """
    scores.require_references()
    with unwarned():
        evaluation = config.load_evaluation()
    if evaluation is None and config.folds > scores.n_clips:
        raise UserError(
            f"{config.folds} folds need at least as many clips, but there are {scores.n_clips}; set fewer folds."
        )
    skipped = Skipped(strict, out / "failures")
    with run_folder(out):
        refuse_others(out, {"postprocessor.json": "a post-processor of `train`"})
        remove(out, ["failures/*.txt"])
        of_agent = _tasks(config, scores)
        agents = _fitting_agents(named_agents(config.rows()), of_agent, skipped)
        reports = [data_report(part) for part in (scores, evaluation) if part is not None]
        for report in reports:
            tell(report)
        plans: dict[int, Plan] = {}
        outcomes: dict[str, Outcome] = {}
        for number, (name, agent) in enumerate(agents.items()):
            task, begin = of_agent[name], number / len(agents)
            plan = plans[id(task)] = plans.get(id(task)) or _plan(config, task, evaluation, out, fresh, watch, begin)
            found = _run_agent(plan, name, agent, begin, 1 / len(agents), skipped)
            if found is not None:
                outcomes[name] = found
        skipped.require(len(outcomes))
        plan = plans[id(of_agent[next(iter(outcomes))])]
        results = _results(plan, outcomes, skipped)
        curves = {name: found.curves for name, found in outcomes.items()}
        folders = {(name, seed): own for name, found in outcomes.items() for seed, own in found.folders.items()}
        watch("drawing plots", 1.0, {})
        remove(out, WRITTEN)
        write_results(out, results, curves, plan.judged, config, folders)
        write_data(out, *reports)
        save_provenance(out, config, config.seeds)
    watch("done", 1.0, {})
    return results


def _plan(
    config: BenchmarkConfig,
    task: TuningTask,
    evaluation: ScoreSet | None,
    out: Path,
    fresh: bool,
    watch: BenchmarkProgress,
    begin: float = 0.0,
) -> Plan:
    """Deals the clips into folds, and counts all candidates where the table is small."""
    scores = task.scores
    if not task.has_large_table:
        # Ahead of all agents, so that the first to need it is not charged for it.
        watch("counting all candidates", begin, {})
        _ = task.table
    # The clips that agents are scored on, and the fold of each; an evaluation set is one fold by itself.
    judged, n_folds, fold = scores, config.folds, fold_of_clips(scores.clip_ids, config.folds)
    if evaluation is not None:
        judged = with_classes(evaluation, scores.classes)
        judged.require_references()
        n_folds, fold = 1, torch.zeros(evaluation.n_clips, dtype=torch.int64)
    if evaluation is None and task.metric == config.metric:
        return Plan(config, task, task, fold, n_folds, out, fresh, watch)
    own = TuningTask(judged, task.stack, config.metric, objective=task.objective)
    return Plan(config, task, own, fold, n_folds, out, fresh, watch)


def _tasks(config: BenchmarkConfig, scores: ScoreSet) -> dict[str, TuningTask]:
    """Returns the task of each row; rows of one stack and metric share its counts, of one objective too the whole task."""
    stacks, objectives, metrics = config.row_stacks(), config.row_objectives(), config.row_metrics()
    counted: dict[str, TuningTask] = {}
    tasks: dict[tuple[str, str], TuningTask] = {}
    found = {}
    for name, stack in stacks.items():
        counts = f"{stack} {metrics[name].model_dump_json()}"
        first = counted.setdefault(counts, TuningTask(scores, Stack.from_config(stack), metrics[name]))
        key = counts, objectives[name].model_dump_json()
        found[name] = tasks[key] = tasks.get(key) or first.with_objective(objectives[name])
    return found


def _fitting_agents(agents: dict[str, Agent], tasks: dict[str, TuningTask], skipped: Skipped) -> dict[str, Agent]:
    """Returns the agents that fit their tasks, as far as can be told before any work."""
    fitting = {}
    for name, agent in agents.items():
        try:
            with work_of_agent():
                check_agent(agent, tasks[name])
            fitting[name] = agent
        except AgentError as error:
            skipped.add(name, error)
    skipped.require(len(fitting))
    return fitting


def _run_agent(plan: Plan, name: str, agent: Agent, begin: float, part: float, skipped: Skipped) -> Outcome | None:
    """Runs an agent on every seed and fold, from the fraction ``begin`` of all work on; None where it fails."""
    found, seeds, n_folds = Outcome(), plan.config.seeds, plan.n_folds
    for i, seed in enumerate(seeds):
        own = found.folders[seed] = [plan.out / "folds" / f"{name}_seed{seed}_fold{k}" for k in range(n_folds)]
        for k, folder in enumerate(own):
            key = hashlib.sha256(f"{plan.stamp} {agent.model_dump_json()} {seed} {k}/{n_folds}".encode()).hexdigest()
            where = f"seed {seed}, fold {k + 1}/{n_folds}"
            done = begin + part * (i * n_folds + k) / (len(seeds) * n_folds)

            def report(fraction: float, figures: dict[str, float], where: str = where, done: float = done) -> None:
                plan.watch(f"{name}, {where}", done + part * fraction / (len(seeds) * n_folds), figures)

            report(0.0, {})
            made_by = finished_by(folder, key)
            if made_by is None or (plan.fresh and made_by != code_version()):
                held = plan.judged.scores.select((plan.fold == k).nonzero()[:, 0])
                others = (plan.fold != k).nonzero()[:, 0]
                train = plan.task if plan.is_evaluated_apart else plan.task.select(others)
                try:
                    run_fold(train, held, agent, seed, folder, key, report, plan.judged.metric)
                except AgentError as error:
                    skipped.add(name, error, where, folder.name)
                    return None
                made_by = code_version()
            found.makers.append(made_by)
        plan.watch(f"certifying {name}, seed {seed}", begin + part * (i + 1) / len(seeds), {})
        row, curve, pooled = pool_folds(plan.judged, plan.fold, own)
        found.rows.append({"agent": name, "seed": seed, **row})
        found.curves.append(curve)
        found.counts.append(pooled)
    return found


def _results(plan: Plan, outcomes: dict[str, Outcome], skipped: Skipped) -> dict[str, Any]:
    """Returns the contents of ``results.json``."""
    config, scores = plan.config, plan.task.scores
    results = {"title": config.title, "folds": plan.n_folds, "n_clips": scores.n_clips,
               "score": config.metric.score_name,
               "simulated": config.data is not None and config.data.simulated is not None}  # fmt: skip
    results["code"] = sorted({version for found in outcomes.values() for version in found.makers})
    older = {name: sum(made != code_version() for made in found.makers) for name, found in outcomes.items()}
    if any(older.values()):
        results["folds_by_other_code"] = {name: n for name, n in older.items() if n}
    results["skipped"] = skipped.reasons
    results["rows"] = [row for found in outcomes.values() for row in found.rows]
    if plan.is_evaluated_apart:
        results["n_evaluation_clips"] = plan.judged.scores.n_clips
    if config.published is not None:
        results["published"] = config.published.model_dump(mode="json")
    counts = {name: found.counts for name, found in outcomes.items()}
    plan = replace(plan, judged=plan.judged.with_objective(config.objective))
    results["agents"], results["pairs"] = intervals(
        counts, plan.judged, plan.judged.objective.reported(), config.baseline
    )
    if config.objective != Macro():
        own = {name: found.folders for name, found in outcomes.items()}
        results["objective"] = objective_results(counts, own, plan.judged)
    if config.judged_by:
        pooled = {(name, seed): read_pooled(plan.judged, own) for name, found in outcomes.items()
                  for seed, own in found.folders.items()}  # fmt: skip
        results["judged"] = judged_rows(config.judged_by, plan.judged, pooled)
    if names := config.stack_names():
        results["stacks"] = names
    if config.stacks is not None and config.drop_one_out is not None:
        stack = config.stacks[config.drop_one_out.stack]
        results["drop_one_out"] = config.drop_one_out.results(stack, results["pairs"])
    if config.learning_curve is not None:
        results["learning_curve"] = config.learning_curve.results(results["agents"])
    return results
