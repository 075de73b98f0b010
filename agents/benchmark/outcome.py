"""What a benchmark found: folds pooled and certified, intervals, tables and plots."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors

from rl_postproc.data.events import Events
from rl_postproc.formats import read_events
from rl_postproc.metrics import Macro, Objective
from rl_postproc.metrics.certify import evaluate
from rl_postproc.results.bootstrap import bootstrap, compared, interval
from rl_postproc.results.calibration import calibration
from rl_postproc.results.examples import plot_examples
from rl_postproc.results.figures import save
from rl_postproc.results.plots import plot_agents, plot_calibration, plot_classes, plot_curves, plot_learning_curve
from rl_postproc.results.tables import score_label, write_classes, write_rows
from rl_postproc.task import TuningTask
from rl_postproc.utils.files import read_json, write_json

from ..report import PAGES
from .config import BenchmarkConfig
from .folds import CONFIDENCE, COUNTS, EVENTS, RESULT

PLOTS = ("agents.png", "classes.png", "curves.png", "learning_curve.png", "calibration.png", "clip.png")
RESULTS = ("results.json", "results.csv", "classes.csv", *PLOTS)
WRITTEN = ("config.yaml", "versions.json", "data.json", *RESULTS, *PAGES)
"""The files of a finished benchmark, beside the folds."""


def pool_folds(
    task: TuningTask, fold: torch.Tensor, folders: list[Path]
) -> tuple[dict[str, Any], list[dict[str, float]], torch.Tensor]:
    """Pools the held-out folds of one agent and seed, and has the metric's oracle score their events.

    Args:
        task: the clips that were scored.
        fold: fold of each clip, int64 ``[clip]``.
        folders: of the folds.

    Returns:
        The row of results, the learning curve of the first fold, and the counts, int64 ``[column, clip, class]``.
    """
    scores, metric = task.scores, task.metric
    counts = torch.zeros(len(metric.columns), scores.n_clips, scores.n_classes, dtype=torch.int64)
    results = [read_json(folder / RESULT) for folder in folders]
    for k, folder in enumerate(folders):
        tensors = load_tensors((folder / COUNTS).read_bytes())
        counts[:, fold == k] = torch.stack([tensors[name] for name in metric.columns])
    tuned = dict(zip(metric.columns, counts.sum(1), strict=True))
    references, events = scores.require_references(), read_pooled(task, folders)
    report = evaluate(references, events, metric, tuned)
    told = report.to_json()
    means = (f"train_macro_{metric.score_name}", f"train_micro_{metric.score_name}", "seconds", "evaluations")
    row = {
        **{name: value for name, value in told.items() if name.startswith(("macro_", "micro_"))},
        **{name: sum(result[name] for result in results) / len(results) for name in means},
        "certified_by": report.certified_by,
        "classes": told["classes"],
    }
    if bins := calibration(metric, references, events):
        row["calibration"] = bins
    return row, results[0]["curve"], counts


def read_pooled(task: TuningTask, folders: list[Path]) -> Events:
    """Reads the held-out events of all folds of one agent and seed."""
    clip_ids, classes, parts = task.scores.clip_ids, task.scores.classes, []
    for folder in folders:
        found = read_events(folder / EVENTS)
        rows: Any = [(event.filename, event.onset, event.offset, event.label) for event in found if event.label]
        own = Events.from_rows(rows, clip_ids, classes)
        confidence = load_tensors((folder / COUNTS).read_bytes())[CONFIDENCE]
        parts.append((own.clip, own.label, own.onset, own.offset, confidence))
    return Events.from_tensors(clip_ids, classes, *(torch.cat(column) for column in zip(*parts, strict=True)))


def intervals(
    counts: dict[str, list[torch.Tensor]], task: TuningTask, objective: Objective, baseline: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns each agent's held-out objective and its gain over the baseline, and the difference of every pair of agents.

    All are means over seeds, with 95 % intervals over clips and seeds; ``low_adjusted`` and ``high_adjusted`` hold
    together for all gains, and for all pairs.

    Args:
        counts: of each agent's seeds, ``[column, clip, class]`` each.
        task: the clips that were scored.
        objective: what is reported of them.
        baseline: name of the agent that the others are compared with.
    """
    scores = {name: bootstrap(task.metric, objective, torch.stack(own), name) for name, own in counts.items()}
    agents: list[dict[str, Any]] = [{"agent": name, **asdict(interval(own))} for name, own in scores.items()]
    others = [entry for entry in agents if baseline in scores and entry["agent"] != baseline]
    gains = _differences(scores, [(entry["agent"], baseline) for entry in others])
    for entry, gain in zip(others, gains, strict=True):
        entry["gain"] = {name: value for name, value in gain.items() if name != "agent"}
    return agents, _differences(scores, [(b, a) for a, b in combinations(scores, 2)])


def _differences(scores: dict[str, torch.Tensor], pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Returns the difference of each pair of agents, of which the first is compared with the second."""
    found = compared(torch.stack([scores[agent] - scores[over] for agent, over in pairs])) if pairs else []
    return [{"agent": a, "over": b, **asdict(gain)} for (a, b), gain in zip(pairs, found, strict=True)]


def write_results(
    out: Path,
    results: dict[str, Any],
    curves: dict[str, list],
    task: TuningTask,
    config: BenchmarkConfig,
    folders: dict[tuple[str, int], list[Path]],
) -> None:
    """Writes results.json, results.csv, classes.csv and the plots."""
    rows, title, score = results["rows"], config.title, results["score"]
    write_json(out / "results.json", results)
    write_rows(out / "results.csv", rows, score)
    write_classes(out / "classes.csv", rows)
    # Intervals are those of the objective.
    shown = config.objective == Macro()
    ends = {entry["agent"]: (entry["low"], entry["high"]) for entry in results["agents"]} if shown else None
    save(plot_agents(rows, f"{title}: held out", score, ends), out / "agents.png")
    save(plot_classes(rows, f"{title}: {score_label(score)} of each class, held out", score), out / "classes.png")
    if "learning_curve" in results:
        figure = plot_learning_curve(results["learning_curve"], f"{title}: held out", score)
        save(figure, out / "learning_curve.png")
    if any("calibration" in row for row in rows):
        save(plot_calibration(rows, f"{title}: confidence of held-out events"), out / "calibration.png")
    figure = plot_curves(curves, f"{title}: learning curves, first fold", score)
    if figure.axes[0].lines:
        save(figure, out / "curves.png")
    if config.evaluation is None and task.scores.width > 1:
        best = max(rows, key=lambda row: row[f"macro_{score}"])
        after = read_pooled(task, folders[best["agent"], best["seed"]])
        before = task.stack.events(task.scores, task.stack.space.defaults)
        save(plot_examples(task.scores, task.metric, before, after, best["agent"]), out / "clip.png")
