"""The benchmark: agents, folds and seeds under the held-out protocol, resumable.

Clips are dealt into folds; each agent is tuned on all folds but one and applied to the one left out; the counts of the
left-out folds are pooled, and their score is the agent's figure. The pooled events are scored by an outside tool as well.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl_postproc.data.report import DataReport, data_report
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import Macro
from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError, unwarned
from rl_postproc.work import Engine, Serial

from ..base import Agent, check_agent
from ..memory import Workers, agent_memory, within_bound
from ..run_folder import refuse_others, remove, run_folder
from .config import BenchmarkConfig, named_agents
from .failures import AgentError, Failure, Skipped, work_of_agent
from .judges import judged_rows
from .objectives import objective_results
from .outcome import WRITTEN, intervals, read_pooled, write_results
from .plan import Plan, make_plans, row_tasks
from .provenance import save_provenance, write_data
from .schedule import BenchmarkProgress, Outcome, run_folds


def run_benchmark(
    config: BenchmarkConfig,
    scores: ScoreSet,
    out: Path,
    watch: BenchmarkProgress,
    fresh: bool = False,
    strict: bool = False,
    tell: Callable[[DataReport], None] = lambda report: None,
    engine: Engine | None = None,
    limit: int | None = None,
    say: Callable[[str], None] = lambda sentence: None,
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
        engine: where the folds are worked on, which makes no difference to the results; here when None.
        limit: bytes of memory that it may take; None bounds nothing.
        say: takes the sentence that states the memory, before any work.

    Returns:
        The contents of ``results.json``.

    Raises:
        UserError: the folds do not fit the data, it would take more memory than it may, no agent can run (with
            ``strict``: one cannot), or the folder cannot be written.
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
        of_row = row_tasks(config, scores)
        agents = _fitting_agents(named_agents(config.rows()), of_row, skipped)
        reports = [data_report(part) for part in (scores, evaluation) if part is not None]
        for report in reports:
            tell(report)
        plans = make_plans(config, {name: of_row[name] for name in agents}, evaluation)
        engine = engine or Serial()
        with _within_memory(plans, agents, limit, say, engine):
            outcomes = run_folds(plans, agents, out, engine, watch, fresh, skipped)
        skipped.require(len(outcomes))
        plan = plans[next(iter(outcomes))]
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


def _fitting_agents(agents: dict[str, Agent], tasks: dict[str, TuningTask], skipped: Skipped) -> dict[str, Agent]:
    """Returns the agents that fit their tasks, as far as can be told before any work."""
    fitting = {}
    for name, agent in agents.items():
        try:
            with work_of_agent():
                check_agent(agent, tasks[name])
            fitting[name] = agent
        except AgentError as error:
            skipped.add(name, Failure.of(error))
    skipped.require(len(fitting))
    return fitting


def _within_memory(
    plans: dict[str, Plan], agents: dict[str, Agent], limit: int | None, say: Callable[[str], None], engine: Engine
) -> AbstractContextManager[None]:
    """States the memory of all folds, and keeps to the limit until the end of the block."""
    plan, needs = next(iter(plans.values())), {}
    for name, agent in agents.items():
        needs[name] = agent_memory(agent, plans[name].task, plans[name].n_folds)
    scores = plan.task.scores.scores.nbytes + plan.is_evaluated_apart * plan.judged.scores.scores.nbytes
    workers = Workers.of(engine, sum(len(plans[name].config.seeds) * plans[name].n_folds for name in agents))
    return within_bound(needs, scores, limit, say, workers)


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
