"""What is in the folder of a run, read for a report: figures, events, and the clips they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from rl_postproc.config import TaskConfig, build_config, load_config
from rl_postproc.data.events import Events
from rl_postproc.data.report import data_report
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Metric, total_counts
from rl_postproc.metrics.certify import CertifiedScores, evaluate
from rl_postproc.pipeline.postprocessor import PostProcessor, shipped, with_classes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from .files import read_curve, read_data, read_figures, read_results, read_versions

Kind = Literal["benchmark", "train", "apply", "events"]


@dataclass(frozen=True)
class Run:
    """A run, as far as its files tell.

    Attributes:
        path: its folder, or its file of events.
        kind: a benchmark; a training, on its own clips; a post-processor applied to other clips; or events by themselves.
        title: what it is called.
        task: the clips that are shown, with stack and metric; None where the scores cannot be read.
        systems: events over these clips of each agent (of its first seed), or of a post-processor and of the defaults.
        results: contents of ``results.json`` or ``report.json``, empty without.
        figures: certified figures by system, where there are references; of a benchmark they are in ``results``.
        made_by: post-processors of each system, with the clips that they were applied to, int64 ``[clip]``.
        curves: learning curves of each system, one a fold.
        config: the resolved config as text, empty without.
        versions: of the libraries and the code.
        data: what the data were said to hold.
        notes: what a reader must know.
    """

    path: Path
    kind: Kind
    title: str
    task: TuningTask | None
    systems: dict[str, Events]
    results: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, CertifiedScores] = field(default_factory=dict)
    made_by: dict[str, list[tuple[PostProcessor, torch.Tensor]]] = field(default_factory=dict)
    curves: dict[str, list[list[dict[str, float]]]] = field(default_factory=dict)
    config: str = ""
    versions: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def metric(self) -> Metric:
        """What is counted."""
        return EventBased() if self.task is None else self.task.metric


def open_run(path: Path, data: dict[str, Any], metric: Metric | None = None, scores: ScoreSet | None = None) -> Run:
    """Reads a run.

    Args:
        path: folder of `benchmark` or `train`, name of a shipped post-processor, or a file of events.
        data: the data section of a config, which takes the place of the run's own; empty without.
        metric: what is counted of events, or of a post-processor on other clips; the usual one when None.
        scores: those that a benchmark was run on, if they are in memory already.

    Raises:
        UserError: there is no run, it is not finished, or the data given are not those of it.
    """
    path = shipped(path)
    if (path / "results.json").is_file():
        if metric is not None:
            raise UserError(f"The benchmark in '{path}' counts by the metric of its config; leave out --set.")
        return _benchmark(path, data, scores)
    if (path / "postprocessor.json").is_file():
        return _post_processor(path, data, metric)
    if (path / "folds").is_dir():
        raise UserError(f"The benchmark in '{path}' is not finished; the same command goes on from its finished folds.")
    if path.is_dir() and not data:
        named = sorted(own.parent.name for own in path.glob("*/results.json"))
        hint = (
            f"give one of the runs in it ({', '.join(named)})" if named else "give the folder of `benchmark` or `train`"
        )
        raise UserError(f"'{path}' holds neither results of `benchmark` nor a post-processor of `train`; {hint}.")
    return _events(path, data, metric)


def _benchmark(path: Path, data: dict[str, Any], scores: ScoreSet | None) -> Run:
    from ..benchmark.config import BenchmarkConfig
    from ..benchmark.folds import RESULT
    from ..benchmark.outcome import read_pooled
    from ..benchmark.plan import make_plans, row_tasks

    results = read_results(path)
    config = load_config(BenchmarkConfig, path / "config.yaml")
    notes, plans = list[str](), {}
    try:
        if data and config.evaluation is not None:
            raise UserError(
                f"The benchmark in '{path}' scores agents on an evaluation set of its own; leave out --scores."
            )
        if data:
            scores = build_config(TaskConfig, {"data": data}, "the command line").load_data()
        scores = config.load_data() if scores is None else scores
        plans = make_plans(config, row_tasks(config, scores), config.load_evaluation())
    except UserError as error:
        if data:
            raise
        notes.append(f"Without clips and curves, since the scores of this run cannot be read: {error}")
    agents = list(dict.fromkeys(row["agent"] for row in results["rows"]))
    systems, made_by, curves, task = dict[str, Events](), {}, {}, None
    for name in agents:
        row = next(row for row in results["rows"] if row["agent"] == name)
        folders = [path / "folds" / f"{name}_seed{row['seed']}_fold{k}" for k in range(_n_folds(results))]
        curves[name] = [read_curve(folder / RESULT, "curve") for folder in folders]
        if not plans:
            continue
        plan = plans[name]
        task = task or plan.judged
        systems[name] = read_pooled(task, folders)
        _check_same(systems[name], task, row, path)
        made_by[name] = [
            (PostProcessor.load(folder), (plan.fold == k).nonzero()[:, 0]) for k, folder in enumerate(folders)
        ]
    if len({row["seed"] for row in results["rows"]}) > 1:
        notes.append("Clips, errors and parameters are of the first seed; the figures are means over all seeds.")
    return Run(path, "benchmark", results["title"], task, systems, results, {}, made_by, curves, _text(path / "config.yaml"),
               read_versions(path), read_data(path), notes)  # fmt: skip


def _n_folds(results: dict[str, Any]) -> int:
    return 1 if "n_evaluation_clips" in results else results["folds"]


def _check_same(events: Events, task: TuningTask, row: dict[str, Any], path: Path) -> None:
    """Raises unless the events count on these clips as they did in the run."""
    counts = total_counts(task.metric.count(task.scores.require_references(), events))
    for k, name in enumerate(task.scores.classes):
        told = row["classes"].get(name, {})
        if any(int(column[k]) != told[key] for key, column in counts.items() if key in told):
            raise UserError(f"The scores are not those of the run in '{path}': of '{name}' its events count otherwise on "
                            "them; give --scores, --references and --durations of that run.")  # fmt: skip


def _post_processor(path: Path, data: dict[str, Any], metric: Metric | None) -> Run:
    processor, notes = PostProcessor.load(path), list[str]()
    has_config = (path / "config.yaml").is_file()
    config = load_config(TaskConfig, path / "config.yaml") if has_config else None
    own_metric = metric or (config.metric if config is not None else None) or _metric_of(processor)
    scores = None
    if data:
        scores = build_config(TaskConfig, {"data": data}, "the command line").load_data()
    elif config is None or config.data is None:
        raise UserError(f"'{path}' does not say which scores it was tuned on; give --scores with some to apply it to.")
    else:
        try:
            scores = config.load_data()
        except UserError as error:
            notes.append(f"Without clips and curves, since the scores of this run cannot be read: {error}")
    name = path.name
    results = {} if data else read_figures(path)
    told = [] if data else [curve for curve in [read_curve(path / "curve.json")] if curve]
    kind: Kind = "apply" if data else "train"
    if scores is None:
        return Run(path, kind, name, None, {}, results, curves={name: told}, config=_text(path / "config.yaml"),
                   versions=read_versions(path), data=read_data(path), notes=notes)  # fmt: skip
    scores = with_classes(scores, processor.classes)
    processor.check(scores)
    every = torch.arange(scores.n_clips)
    systems = {
        name: processor.apply(scores),
        "defaults": processor.stack.events(scores, processor.stack.space.defaults),
    }
    task = TuningTask(scores, processor.stack, own_metric or EventBased())
    if kind == "train":
        notes.append("All figures are on the clips that were tuned on, so that they are optimistic; `rl-postproc benchmark` "
                     "tells what to expect on others.")  # fmt: skip
    return _with_figures(Run(path, kind, name, task, systems, results, {}, {name: [(processor, every)]}, {name: told},
                             _text(path / "config.yaml"), read_versions(path), data_report(scores).to_json(),
                             notes))  # fmt: skip


def _events(path: Path, data: dict[str, Any], metric: Metric | None) -> Run:
    from rl_postproc.formats import read_events
    from rl_postproc.formats.clip_names import match_names

    if not data:
        raise UserError(f"'{path}' holds events; give --scores (and --references, if there are any) of the same clips.")
    scores = build_config(TaskConfig, {"data": data}, "the command line").load_data()
    rows: Any = [(own.filename, own.onset, own.offset, own.label) for own in read_events(path) if own.label]
    listed = match_names((clip for clip, *_ in rows), scores.clip_ids)
    if lost := [clip for clip, *_ in rows if clip not in listed]:
        raise UserError(f"The events in '{path}' are of clip '{lost[0]}', of which there are no scores; give the scores of "
                        "these clips.")  # fmt: skip
    events = Events.from_rows([(listed[clip], *rest) for clip, *rest in rows], scores.clip_ids, scores.classes)
    task = TuningTask(scores, Stack.default(), metric or EventBased())
    return _with_figures(Run(path, "events", path.name, task, {path.stem: events}, data=data_report(scores).to_json()))


def _with_figures(run: Run) -> Run:
    """Returns the run with certified figures of its systems, where there are references."""
    assert run.task is not None
    references = run.task.scores.references
    if references is None:
        return run
    figures = {name: evaluate(references, events, run.metric) for name, events in run.systems.items()}
    return replace(run, figures=figures)


def _metric_of(processor: PostProcessor) -> Metric | None:
    values = processor.about.get("metric")
    return Metric.make(values) if values else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
