"""The benchmark: agents, folds and seeds under the held-out protocol, resumable.

Clips are dealt into folds; each agent is tuned on all folds but one and applied to the one left out; the counts of the
left-out folds are pooled, and their score is the agent's figure. The pooled events are scored by an outside tool as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.postprocessor import with_classes
from rl_postproc.task import TuningTask
from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError

from .config import BenchmarkConfig, named_agents
from .folds import finished_by, run_fold
from .outcome import intervals, pool_folds, write_results
from .provenance import fingerprint, save_provenance

BenchmarkProgress = Callable[[str, float, dict[str, float]], None]
"""Called with what is being done, the fraction of it, and the newest figures."""

_SMALL_TABLE = 1 << 28
"""Entries of a count table that is made without being asked for, half a gigabyte at two bytes each."""


def run_benchmark(
    config: BenchmarkConfig, scores: ScoreSet, out: Path, watch: BenchmarkProgress, fresh: bool = False
) -> dict[str, Any]:
    """Runs every agent on every fold and seed, and writes the results.

    Finished folds are kept in ``out/folds`` and taken up by the next run with the same settings. Where other code than
    this has made them, the results say so.

    Args:
        config: what to compare.
        scores: the score set, with references.
        out: run folder.
        watch: takes progress.
        fresh: whether folds that other code has made are run anew.

    Returns:
        The contents of ``results.json``.

    Raises:
        UserError: the folds do not fit the data, an agent does not fit the task, or the folder cannot be written.
    """
    scores.require_references()
    evaluation = config.load_evaluation()
    if evaluation is None and config.folds > scores.n_clips:
        raise UserError(
            f"{config.folds} folds need at least as many clips, but there are {scores.n_clips}; set fewer folds."
        )
    agents = named_agents(config.agents)
    task = TuningTask.of_config(config, scores)
    for agent in agents.values():
        agent.check(task)
    save_provenance(out, config, config.seeds)
    stamp = fingerprint(config, scores) + ("" if evaluation is None else fingerprint(config, evaluation))
    if scores.n_clips * scores.n_classes * task.stack.space.n_candidates <= _SMALL_TABLE:
        # Ahead of all agents, so that the first to need it is not charged for it.
        watch("counting all candidates", 0.0, {})
        _ = task.table
    # The clips that agents are scored on, and the fold of each; an evaluation set is one fold by itself.
    judged, n_folds, fold = task, config.folds, fold_of_clips(scores.clip_ids, config.folds)
    if evaluation is not None:
        judged = TuningTask.of_config(config, with_classes(evaluation, scores.classes))
        n_folds, fold = 1, torch.zeros(evaluation.n_clips, dtype=torch.int64)
    total, done, rows, curves = len(agents) * len(config.seeds) * n_folds, 0, [], {}
    counts: dict[str, list[torch.Tensor]] = {name: [] for name in agents}
    folders: dict[tuple[str, int], list[Path]] = {}
    makers: dict[str, list[str]] = {name: [] for name in agents}  # version of the code that made each fold
    for name, agent in agents.items():
        for seed in config.seeds:
            own = folders[name, seed] = [out / "folds" / f"{name}_seed{seed}_fold{k}" for k in range(n_folds)]
            for k, folder in enumerate(own):
                key = hashlib.sha256(f"{stamp} {agent.model_dump_json()} {seed} {k}/{n_folds}".encode()).hexdigest()
                label = f"{name}, seed {seed}, fold {k + 1}/{n_folds}"

                def report(fraction: float, figures: dict[str, float], label: str = label, done: int = done) -> None:
                    watch(label, (done + fraction) / total, figures)

                report(0.0, {})
                made_by = finished_by(folder, key)
                if made_by is None or (fresh and made_by != code_version()):
                    held = judged.scores.select((fold == k).nonzero()[:, 0])
                    train = task if judged is not task else task.select((fold != k).nonzero()[:, 0])
                    run_fold(train, held, agent, seed, folder, key, report)
                    made_by = code_version()
                makers[name].append(made_by)
                done += 1
            row, curve, pooled = pool_folds(judged, fold, own)
            counts[name].append(pooled)
            rows.append({"agent": name, "seed": seed, **row})
            curves.setdefault(name, []).append(curve)
    results = {"title": config.title, "folds": n_folds, "n_clips": scores.n_clips, "score": task.metric.score_name,
               "simulated": config.data is not None and config.data.simulated is not None}  # fmt: skip
    results["code"] = sorted({version for versions in makers.values() for version in versions})
    older = {name: sum(version != code_version() for version in versions) for name, versions in makers.items()}
    if any(older.values()):
        results["folds_by_other_code"] = {name: n for name, n in older.items() if n}
    results["rows"] = rows
    if evaluation is not None:
        results["n_evaluation_clips"] = evaluation.n_clips
    if config.published is not None:
        results["published"] = config.published.model_dump(mode="json")
    results["agents"], results["pairs"] = intervals(counts, judged, config.baseline)
    write_results(out, results, curves, judged, config, folders)
    watch("done", 1.0, {})
    return results
