"""The benchmark: agents, folds and seeds under the held-out protocol, resumable.

Clips are dealt into folds; each agent is tuned on all folds but one and applied to the one left out; the counts of the
left-out folds are pooled, and their F1 is the agent's figure. The pooled events are scored by sed_eval as well.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from rl_postproc.certify import certify
from rl_postproc.config import DataConfig, TaskConfig
from rl_postproc.errors import UserError
from rl_postproc.events import Events
from rl_postproc.files import read_json, whole_file, write_json, write_text
from rl_postproc.metrics import score_counts
from rl_postproc.plots import plot_agents, plot_classes, plot_clip, plot_curves, save
from rl_postproc.postprocessor import with_classes
from rl_postproc.report import write_rows
from rl_postproc.scores import ScoreSet, fold_of_clips
from rl_postproc.stack import decode_events
from rl_postproc.statistics import bootstrap
from rl_postproc.sweep import count_decisions

from ..envs import TuningTask
from .base import Agent, make_agent

Watch = Callable[[str, float, dict[str, float]], None]
"""Called with what is being done, the fraction of it, and the newest figures."""


_SMALL_TABLE = 1 << 28
"""Entries of a count table that is made without being asked for, half a gigabyte at two bytes each."""


class Published(BaseModel):
    """Figures that others have published for the agents of a benchmark, to be shown beside ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    measure: Literal["micro_f1", "macro_f1"] = "micro_f1"
    figures: dict[str, tuple[float, float]] = Field(
        description="by agent: held-out figure and training figure, in percent"
    )


class BenchmarkConfig(TaskConfig):
    """A benchmark: data, stack and metric, and the agents that are compared."""

    title: str = "benchmark"
    agents: list[str | dict[str, Any]] = Field(
        default_factory=lambda: ["default", "grid_search", "sgl_thresh", "ppo"], min_length=1
    )
    evaluation: DataConfig | None = Field(
        None, description="set on which agents tuned on all of `data` are scored, in place of folds"
    )
    published: Published | None = None
    folds: int = Field(default=5, ge=2)
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    baseline: str = Field(default="grid_search", description="agent that the others' gains are measured against")

    @field_validator("agents")
    @classmethod
    def _checked_agents(cls, value: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
        try:
            named_agents(value)
        except UserError as error:
            raise ValueError(str(error)) from error
        return value

    def load_evaluation(self) -> ScoreSet | None:
        """Reads the evaluation set, if there is one."""
        return None if self.evaluation is None else self.evaluation.load(self._base)


def named_agents(settings: list[str | dict[str, Any]]) -> dict[str, Agent]:
    """Returns the agents by their names in the table (``name``, by default the agent's own)."""
    found: dict[str, Agent] = {}
    for item in settings:
        own = {"agent": item} if isinstance(item, str) else dict(item)
        name = own.pop("name", own.get("agent"))
        if name in found:
            raise UserError(f"Two agents are called '{name}'; give one of them another 'name'.")
        found[str(name)] = make_agent(own)
    return found


def choose_agents(config: BenchmarkConfig, names: list[str]) -> BenchmarkConfig:
    """Keeps the named agents of the config; a name that it lacks stands for that agent with its defaults."""
    known = {name: item for item, name in zip(config.agents, named_agents(config.agents), strict=True)}
    return config.model_copy(update={"agents": [known.get(name, name) for name in names]})


def run_benchmark(config: BenchmarkConfig, scores: ScoreSet, out: Path, watch: Watch) -> dict[str, Any]:
    """Runs every agent on every fold and seed, and writes the results.

    Finished folds are kept in ``out/folds`` and taken up by the next run with the same settings.

    Args:
        config: what to compare.
        scores: the score set, with references.
        out: run folder.
        watch: takes progress.

    Returns:
        The contents of ``results.json``.

    Raises:
        UserError: the folds do not fit the data, or the folder cannot be written.
    """
    scores.require_references()
    evaluation = config.load_evaluation()
    if evaluation is None and config.folds > scores.n_clips:
        raise UserError(
            f"{config.folds} folds need at least as many clips, but there are {scores.n_clips}; set fewer folds."
        )
    agents = named_agents(config.agents)
    save_provenance(out, config, config.seeds)
    stamp = fingerprint(config, scores) + ("" if evaluation is None else fingerprint(config, evaluation))
    task = TuningTask.build(scores, config.build_stack(), config.metric)
    if scores.n_clips * scores.n_classes * task.stack.space.n_candidates <= _SMALL_TABLE:
        # Ahead of all agents, so that the first to need it is not charged for it.
        watch("counting all candidates", 0.0, {})
        _ = task.table
    # The clips that agents are scored on, and the fold of each; an evaluation set is one fold by itself.
    judged, n_folds, fold = task, config.folds, fold_of_clips(scores.clip_ids, config.folds)
    if evaluation is not None:
        evaluation = with_classes(evaluation, scores.classes)
        judged = TuningTask.build(evaluation, config.build_stack(), config.metric)
        n_folds, fold = 1, torch.zeros(evaluation.n_clips, dtype=torch.int64)
    total, done, rows, curves = len(agents) * len(config.seeds) * n_folds, 0, [], {}
    counts: dict[str, list[torch.Tensor]] = {name: [] for name in agents}
    for name, agent in agents.items():
        for seed in config.seeds:
            parts = []
            for k in range(n_folds):
                where = out / "folds" / f"{name}_seed{seed}_fold{k}"
                key = hashlib.sha256(f"{stamp} {agent.model_dump_json()} {seed} {k}/{n_folds}".encode()).hexdigest()
                label = f"{name}, seed {seed}, fold {k + 1}/{n_folds}"

                def report(fraction: float, figures: dict[str, float], label: str = label, done: int = done) -> None:
                    watch(label, (done + fraction) / total, figures)

                report(0.0, {})
                if not _finished(where, key):
                    held = judged.scores.select((fold == k).nonzero()[:, 0])
                    train = task if judged is not task else task.select((fold != k).nonzero()[:, 0])
                    _run_fold(train, held, agent, seed, where, key, report)
                parts.append(where)
                done += 1
            row, curve, pooled = _pool(judged, fold, parts)
            counts[name].append(pooled)
            rows.append({"agent": name, "seed": seed, **row})
            curves.setdefault(name, []).append(curve)
    results = {"title": config.title, "folds": n_folds, "n_clips": scores.n_clips, "rows": rows}
    if evaluation is not None:
        results["n_evaluation_clips"] = evaluation.n_clips
    if config.published is not None:
        results["published"] = config.published.model_dump(mode="json")
    results["agents"] = _intervals(counts, judged.reference, config.baseline)
    _write_results(out, results, curves, judged, config)
    watch("done", 1.0, {})
    return results


def _finished(where: Path, key: str) -> bool:
    if not (where / "result.json").is_file():
        return False
    try:
        return read_json(where / "result.json").get("key") == key
    except UserError:
        return False


def _run_fold(
    train: TuningTask,
    held: ScoreSet,
    agent: Agent,
    seed: int,
    where: Path,
    key: str,
    report: Callable[[float, dict[str, float]], None],
) -> None:
    """Tunes on some clips and writes what happens on the ones left out; ``result.json`` comes last."""
    begin = time.perf_counter()
    fit = agent.fit(train, seed, report)
    seconds = time.perf_counter() - begin
    fit.post_processor.save(where)
    decisions = train.stack.decide(held, fit.post_processor.choose(held))
    counts = count_decisions(held, train.metric, decisions)
    with whole_file(where / "counts.safetensors") as temporary:
        temporary.write_bytes(save_tensors({"true_positives": counts[0], "estimated": counts[1]}))
    from rl_postproc.formats import write_events

    write_events(decode_events(held, decisions), where / "events.tsv")
    chosen = train.stack.decide(train.scores, fit.post_processor.choose(train.scores))
    tp, estimated = (x.sum(0) for x in count_decisions(train.scores, train.metric, chosen))
    scored = score_counts(tp, estimated, train.reference.sum(0))
    result = {
        "key": key,
        "seconds": seconds,
        "evaluations": fit.evaluations,
        "train_macro_f1": scored.macro_f1,
        "train_micro_f1": scored.micro_f1,
        "curve": fit.curve,
    }
    write_json(where / "result.json", result)


def _intervals(counts: dict[str, list[torch.Tensor]], reference: torch.Tensor, baseline: str) -> list[dict[str, Any]]:
    """Returns held-out macro F1 and the gain over the baseline with 95 % intervals over clips, means over seeds."""
    found = []
    for name, runs in counts.items():
        own = torch.stack(runs)
        entry: dict[str, Any] = {"agent": name, **asdict(bootstrap(own, reference))}
        if baseline in counts and name != baseline:
            other = torch.stack(counts[baseline])
            entry["gain"] = {"over": baseline, **asdict(bootstrap(own, reference, other))}
        found.append(entry)
    return found


def _pool(
    task: TuningTask, fold: torch.Tensor, parts: list[Path]
) -> tuple[dict[str, Any], list[dict[str, float]], torch.Tensor]:
    """Pools the held-out folds of one agent and seed, and has sed_eval score their events."""
    from rl_postproc.formats import read_events

    scores = task.scores
    counts = torch.zeros(2, scores.n_clips, scores.n_classes, dtype=torch.int64)
    results, rows = [], []
    for k, where in enumerate(parts):
        results.append(read_json(where / "result.json"))
        tensors = load_tensors((where / "counts.safetensors").read_bytes())
        counts[:, fold == k] = torch.stack([tensors["true_positives"], tensors["estimated"]])
        rows += [(e.filename, e.onset, e.offset, e.label) for e in read_events(where / "events.tsv") if e.label]
    events = Events.from_rows(rows, scores.clip_ids, scores.classes)
    report = certify(scores.require_references(), events, task.metric, counts.sum(1))
    figures = report.to_json()
    n = len(results)
    row = {
        "macro_f1": figures["macro_f1"],
        "micro_f1": figures["micro_f1"],
        "train_macro_f1": sum(r["train_macro_f1"] for r in results) / n,
        "train_micro_f1": sum(r["train_micro_f1"] for r in results) / n,
        "seconds": sum(r["seconds"] for r in results) / n,
        "evaluations": sum(r["evaluations"] for r in results) / n,
        "certified_by": report.certified_by,
        "classes": figures["classes"],
    }
    return row, results[0]["curve"], counts


def _write_results(out: Path, results: dict, curves: dict, task: TuningTask, config: BenchmarkConfig) -> None:
    write_json(out / "results.json", results)
    write_rows(out / "results.csv", results["rows"])
    save(plot_agents(results["rows"], f"{config.title}: held out"), out / "agents.png")
    save(plot_classes(results["rows"], f"{config.title}: F1 of each class, held out"), out / "classes.png")
    figure = plot_curves(curves, f"{config.title}: learning curves, first fold")
    if figure.axes[0].lines:
        save(figure, out / "curves.png")
    if config.evaluation is None and task.scores.width > 1:
        _plot_example(out, results, task, config)


def _plot_example(out: Path, results: dict, task: TuningTask, config: BenchmarkConfig) -> None:
    """Draws the clip on which the best agent, held out, gains most over the defaults."""
    from rl_postproc.postprocessor import PostProcessor

    scores = task.scores
    best = max(results["rows"], key=lambda row: row["macro_f1"])
    fold = fold_of_clips(scores.clip_ids, config.folds)
    before = task.stack.decide(scores, task.stack.space.defaults)
    after = torch.zeros_like(before)
    for k in range(config.folds):
        clips = (fold == k).nonzero()[:, 0]
        held = scores.select(clips)
        processor = PostProcessor.load(out / "folds" / f"{best['agent']}_seed{best['seed']}_fold{k}")
        after[clips] = task.stack.decide(held, processor.choose(held))
    gain = 0
    for sign, decisions in ((1, after), (-1, before)):
        tp, estimated = count_decisions(scores, task.metric, decisions)
        gain = gain + sign * (2 * tp - (estimated - tp)).sum(1)
    clip = int(torch.as_tensor(gain).argmax())
    shown = {"threshold 0.5": before[clip], best["agent"]: after[clip]}
    figure = plot_clip(scores, clip, shown)
    figure.axes[0].set_title(
        f"Clip {scores.clip_ids[clip]}: where '{best['agent']}' gains most", loc="left", fontsize=9
    )
    save(figure, out / "clip.png")


def fingerprint(config: TaskConfig, scores: ScoreSet) -> str:
    """Returns a digest of the data, the stack and the metric, by which finished work is recognised."""
    digest = hashlib.sha256()
    digest.update(repr((config.stack, config.metric.model_dump_json(), scores.clip_ids, scores.classes)).encode())
    references = scores.require_references()
    for tensor in (scores.scores, scores.n_frames, scores.edges, scores.durations, references.onset, references.offset):
        digest.update(tensor.cpu().numpy().tobytes())
    digest.update(torch.stack([references.clip, references.label]).cpu().numpy().tobytes())
    return digest.hexdigest()


def save_provenance(out: Path, config: TaskConfig, seeds: list[int]) -> None:
    """Writes the resolved config and the versions that a run depends on."""
    import importlib.metadata

    write_text(out / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    names = ("rl-postproc", "torch", "numpy", "scipy", "gymnasium", "stable-baselines3", "sed_eval")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "from a checkout"
    write_json(out / "versions.json", {"python": platform.python_version(), **versions, "seeds": seeds,
                                       "threads": torch.get_num_threads()})  # fmt: skip
