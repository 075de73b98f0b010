"""The command that tunes a post-processor and saves it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_postproc.utils.errors import UserError, suggest, unwarned, warn
from rl_postproc.utils.interrupts import if_interrupted
from rl_postproc.utils.seeds import MOST_SEED

from ..report import PAGES
from .inputs import COMMAND_LINE, DataOptions, given_options, size_in_bytes, use_threads, with_plugins
from .next_step import apply_command
from .options import (
    Classes,
    Cluster,
    Durations,
    FormatOptions,
    Hop,
    Jobs,
    Memory,
    Plugins,
    References,
    ScoreFormat,
    Scores,
    Settings,
    Subset,
    Threads,
)
from .output import certificate, console, progress, tell_data
from .shared_out import check_divisible, shared_out

if TYPE_CHECKING:
    from rl_postproc.config import TaskConfig
    from rl_postproc.work import Engine

    from ..base import Agent

WRITTEN = ("config.yaml", "versions.json", "data.json", "curve.json", "report.json", "curve.png", "clip.png", *PAGES)
"""What stands beside the post-processor in its run folder."""


def train(
    out: Annotated[Path, typer.Option(help="Run folder for the post-processor, its curve and its report.")],
    agent: Annotated[str, typer.Option(help="What tunes, see `rl-postproc list agents`.")] = "ppo",
    config: Annotated[Path | None, typer.Option(help="YAML config with data, stack, metric and objective.")] = None,
    scores: Scores = None,
    references: References = None,
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    metric: Annotated[str | None, typer.Option(help="What is counted, see `rl-postproc list metrics`.")] = None,
    objective: Annotated[str | None, typer.Option(help="What is maximised, see `rl-postproc list objectives`.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same post-processor.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from what an interrupted run has left in the run folder.")
    ] = False,
    memory: Memory = None,
    device: Annotated[str, typer.Option(help="Torch device for scores, counts and environment.")] = "cpu",
    plugin: Plugins = None,
    setting: Settings = None,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    threads: Threads = 1,
) -> None:
    """Tune a post-processor on all clips given, and save it for `apply`.

    `rl-postproc train --out runs/mine --scores SCORES --references REFERENCES.tsv --durations DURATIONS.tsv`

    Settings of the agent go with --set agent.KEY=VALUE; `--set agent.validation=0.2` sets a fifth of the clips aside
    and shows macro F1 on them while ppo learns, `--set agent.patience=5` stops it when that stalls. Settings of metric
    and objective go with --set metric.KEY=VALUE and --set objective.KEY=VALUE. Figures on the training clips are
    optimistic; `benchmark` tells what to expect on others.

    With --jobs or --cluster the clips of sparse shards are counted by several workers, with the same results; those of a
    cluster find the shards under the same path as this machine.
    """
    from rl_postproc.work import choose_engine

    engine = choose_engine(jobs, cluster, threads)
    use_threads(threads)
    options = DataOptions(scores, references, durations, format, format_option, hop, classes, subset)
    named = {"metric": metric, "objective": objective}
    learner, task_config = _prepared(agent, config, options, named, plugin, setting)
    check_divisible(learner, engine)
    _tune(learner, task_config, seed, device, out, resume, engine, size_in_bytes(memory))


def _prepared(
    agent: str,
    config: Path | None,
    options: DataOptions,
    named: dict[str, str | None],
    plugins: list[str] | None,
    settings: list[str] | None,
) -> tuple[Agent, TaskConfig]:
    """Returns the agent and the checked config of a run."""
    from rl_postproc.config import TaskConfig, build_config, read_yaml
    from rl_postproc.utils.override import override

    from ..base import Agent
    from ..benchmark.config import BenchmarkConfig

    data = options.section()
    values: dict[str, Any] = {**(read_yaml(config) if config else {}), "agent": {"agent": agent}}
    for noun, name in named.items():
        given = values.get(noun)
        # The config's own settings stay where they are those of what is named.
        same = isinstance(given, dict) and {"metric": "event_based", **given}.get(noun) == name
        if name is not None and not same:
            values[noun] = {noun: name}
    base = config.resolve().parent if config else None
    where = str(config or COMMAND_LINE)
    values = with_plugins(override(values, settings or [], BenchmarkConfig), plugins, base)
    learner = Agent.make(values.pop("agent"), COMMAND_LINE)
    for key in values:
        if key not in BenchmarkConfig.model_fields:
            raise UserError(f"{where}: unknown key '{key}'{suggest(str(key), list(BenchmarkConfig.model_fields))}.")
    if config is None and not data and "data" not in values:
        raise UserError("There is nothing to train on; give --scores with --references, or --config.")
    known = {key: values[key] for key in TaskConfig.model_fields if key in values}
    given = given_options({"data": data} if data else {}, settings)
    return learner, build_config(TaskConfig, {**known, **({"data": data} if data else {})}, where, base, given)


def _tune(
    learner: Agent,
    config: TaskConfig,
    seed: int,
    device: str,
    out: Path,
    resume: bool,
    engine: Engine,
    memory: int | None = None,
) -> None:
    """Tunes, saves the post-processor, and only then scores it."""
    from rl_postproc.data.report import data_report
    from rl_postproc.data.streamed import StreamedScores
    from rl_postproc.metrics.certify import evaluate
    from rl_postproc.results.chosen import chosen_parameters, chosen_table
    from rl_postproc.results.examples import draw_run
    from rl_postproc.results.tables import classes_table
    from rl_postproc.task import TuningTask
    from rl_postproc.utils.files import write_json

    from ..base import LEFT_TO_RESUME, check_agent
    from ..benchmark.provenance import save_provenance, write_data
    from ..run_folder import refuse_others, remove, run_folder
    from ..tune import about, tell_unmet
    from .in_parts import scored_in_parts, within_memory

    with run_folder(out), progress() as show, ExitStack() as until:
        refuse_others(out, {"folds": "the folds of a benchmark", "results.json": "the results of a benchmark"})
        show("reading scores", 0.0, {})
        with unwarned():
            scores = config.load_data(in_parts=learner.streams)
        task = TuningTask.of_config(config, scores).to(device)
        check_agent(learner, task)
        report = data_report(scores)
        tell_data(report)
        task = within_memory(task, learner, memory, until)
        task = shared_out(task, learner, engine, memory, config.plugins, lambda *done: show("counting", *done))
        remove(out, [name for name in LEFT_TO_RESUME if not (resume and name in learner.left_to_resume)])
        _prepare_interrupt(learner, out, resume)
        what = f"training {learner.name}"
        show(what, 0.0, {})
        fit = learner.fit_in(task, seed, lambda fraction, figures: show(what, fraction, figures), out, resume)
        fit.post_processor.about |= about(learner, seed, task)
        remove(out, WRITTEN)
        path = fit.post_processor.save(out)
        more = ["--resume"] if learner.left_to_resume else []
        if_interrupted(
            f"the post-processor is saved in '{path}', but not all of its report and plots. This makes them:", *more
        )
        write_json(out / "curve.json", fit.curve)
        write_data(out, report)
        save_provenance(out, config, [seed])
        in_parts, title = isinstance(scores, StreamedScores), f"{learner.name} on its {scores.n_clips} training clips"
        if in_parts:
            figures, chosen = scored_in_parts(
                fit, task, lambda done: show("applying it to the training clips", done, {})
            )
        else:
            show("applying it to the training clips and certifying the figures", 1.0, {})
            events = fit.post_processor.apply(scores)
            figures = evaluate(scores.require_references(), events, config.metric)
            if task.objective.constrained:
                tell_unmet(task, fit)
            chosen = chosen_parameters(fit.post_processor, task, events)
            show("drawing", 1.0, {})
            draw_run(out, title, task, learner.name, events, fit.curve)
        told = {"on": "training clips", "evaluations": fit.evaluations, **figures.to_json(), "chosen": chosen}
        if sample := fit.post_processor.about.get("sample"):
            told["sample"] = sample
        write_json(out / "report.json", told)
    if chosen:
        console.print(chosen_table(chosen, fit.post_processor))
    console.print(classes_table(figures, title))
    console.say(f"The figures are {certificate(figures.certified_by)}.")
    # On a line of its own, never broken, so that it can be copied.
    console.say(f"Saved {path}. Next:\n{apply_command(out, config)}")


def _prepare_interrupt(learner: Agent, out: Path, resume: bool) -> None:
    """Sets what is said when a fit is interrupted, and says where there is nothing to resume."""
    if learner.left_to_resume:
        if_interrupted(f"what is finished is kept in '{out}'. Go on from there with:", "--resume")
        return
    if_interrupted(f"nothing was written, since '{learner.name}' keeps no parts. The same command starts anew:")
    if resume:
        warn(f"The agent '{learner.name}' keeps no parts of an interrupted run, so that it starts anew.")
