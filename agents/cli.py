"""The command line: demo, train, apply, evaluate, benchmark, simulate."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from rl_postproc import __version__
from rl_postproc.certify import CertificationError, certify
from rl_postproc.config import TaskConfig, build, override, read_yaml
from rl_postproc.errors import UserError, suggest
from rl_postproc.metrics import EventBased
from rl_postproc.scores import ScoreSet

from .base import make_agent
from .benchmark import BenchmarkConfig, Watch, choose_agents, run_benchmark, save_provenance
from .cli_inputs import (
    Classes,
    Durations,
    Format,
    Hop,
    References,
    Scores,
    Settings,
    Subset,
    Threads,
    benchmark_config,
    data_of_run,
    data_overrides,
    integers,
)

app = typer.Typer(
    help="Tune the post-processing of sound event detectors: scores in, better events out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
console = Console(width=None if sys.stdout.isatty() else 120)
notes = Console(stderr=True)


@app.callback(invoke_without_command=True)
def _common(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        console.print(f"rl-postproc {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for results and plots.")] = Path("runs/demo"),
    setting: Settings = None,
    threads: Threads = 1,
) -> None:
    """Compare all agents on the built-in simulated data set: a table here, plots in the run folder.

    Takes about a minute and a half and needs no files.
    """
    _use(threads)
    _benchmark(benchmark_config("demo.yaml", setting), out)


@app.command()
def benchmark(
    config: Annotated[str, typer.Argument(help="YAML config, or the name of one that comes with the package.")],
    out: Annotated[Path, typer.Option(help="Run folder; finished folds in it are taken up.")] = Path("runs/benchmark"),
    scores: Scores = None,
    references: References = None,
    durations: Durations = None,
    format: Format = "auto",
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    agents: Annotated[str | None, typer.Option(help="Agents to run, separated by commas.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, separated by commas.")] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds.")] = None,
    setting: Settings = None,
    threads: Threads = 1,
) -> None:
    """Compare agents under the held-out protocol; writes results.json, results.csv and plots.

    Agents are tuned on all folds but one and scored on the one left out. Ctrl-C keeps the finished folds; the same
    command goes on from there.
    """
    _use(threads)
    extra: dict[str, Any] = {}
    if seeds:
        extra["seeds"] = integers(seeds, "--seeds")
    if folds is not None:
        extra["folds"] = folds
    data = data_overrides(scores, references, durations, format, hop, classes, subset)
    loaded = benchmark_config(config, setting, {**extra, **({"data": data} if data else {})})
    if agents:
        loaded = choose_agents(loaded, [name.strip() for name in agents.split(",")])
    _benchmark(loaded, out)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Run folder for the post-processor, its curve and its report.")],
    agent: Annotated[str, typer.Option(help="Agent: default, grid_search, sgl_thresh, ppo, ...")] = "ppo",
    config: Annotated[Path | None, typer.Option(help="YAML config with data, stack and metric.")] = None,
    scores: Scores = None,
    references: References = None,
    durations: Durations = None,
    format: Format = "auto",
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same post-processor.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the run folder (ppo).")
    ] = False,
    device: Annotated[str, typer.Option(help="Torch device for scores, counts and environment.")] = "cpu",
    setting: Settings = None,
    threads: Threads = 1,
) -> None:
    """Tune a post-processor on all clips given, and save it for `apply`.

    Settings of the agent go with --set agent.KEY=VALUE; `--set agent.validation=0.2` sets a fifth of the clips aside
    and shows macro F1 on them while ppo learns, `--set agent.patience=5` stops it when that stalls. Figures on the
    training clips are optimistic; `benchmark` tells what to expect on others.
    """
    from ..envs import TuningTask

    _use(threads)
    data = data_overrides(scores, references, durations, format, hop, classes, subset)
    values = read_yaml(config) if config else {}
    values = override({**values, "agent": {"agent": agent}}, setting or [])
    learner = make_agent(values.pop("agent"))
    for key in values:
        if key not in BenchmarkConfig.model_fields:
            where = config or "the command line"
            raise UserError(f"{where}: unknown key '{key}'{suggest(key, list(BenchmarkConfig.model_fields))}.")
    known = {key: values[key] for key in TaskConfig.model_fields if key in values}
    if config is None and not data and "data" not in values:
        raise UserError("There is nothing to train on; give --scores with --references, or --config.")
    task_config = build(TaskConfig, {**known, **({"data": data} if data else {})}, str(config or "the command line"))
    task_config._base = config.resolve().parent if config else None
    with progress() as watch:
        watch("reading scores", 0.0, {})
        score_set = task_config.load_data()
        score_set.require_references()
        save_provenance(out, task_config, [seed])
        watch(f"training {agent}", 0.0, {})
        task = TuningTask.build(score_set, task_config.build_stack(), task_config.metric, device)
        fit = learner.fit_in(
            task, seed, lambda fraction, figures: watch(f"training {agent}", fraction, figures), out, resume
        )
    fit.post_processor.about = {"agent": learner.model_dump(mode="json"), "seed": seed, "n_clips": score_set.n_clips}
    events = fit.post_processor.apply(score_set)
    report = certify(score_set.require_references(), events, task_config.metric)
    from rl_postproc.files import write_json
    from rl_postproc.report import classes_table

    write_json(out / "curve.json", fit.curve)
    write_json(out / "report.json", {"on": "training clips", "evaluations": fit.evaluations, **report.to_json()})
    path = fit.post_processor.save(out)
    console.print(
        classes_table(report, f"{agent} on its {score_set.n_clips} training clips ({report.certified_by} agrees)")
    )
    console.print(f"Saved {path}. Next: rl-postproc apply {out} SCORES --out events.tsv")


@app.command()
def apply(
    run: Annotated[Path, typer.Argument(help="Run folder of `train`, or a postprocessor.json.")],
    scores: Annotated[Path, typer.Argument(help="Folder of score files.")],
    out: Annotated[Path, typer.Option(help="TSV to write: filename, onset, offset, event_label.")],
    durations: Durations = None,
    format: Format = "auto",
    hop: Hop = None,
    classes: Classes = None,
    threads: Threads = 1,
) -> None:
    """Turn scores into events with a tuned post-processor."""
    from rl_postproc.formats import write_events
    from rl_postproc.postprocessor import PostProcessor

    _use(threads)
    processor = PostProcessor.load(run)
    data = data_overrides(scores, None, durations, format, hop, classes, False)
    data = {**data_of_run(run, data["scores"]), **data}
    with progress() as watch:
        watch("reading scores", 0.0, {})
        score_set = build(TaskConfig, {"data": data}, "the command line").load_data()
        watch("applying", 0.5, {})
        events = processor.apply(score_set)
    write_events(events, out)
    console.print(f"Wrote {len(events)} events of {score_set.n_clips} clips to {out}.")


@app.command()
def evaluate(
    events: Annotated[Path, typer.Argument(help="TSV of detected events, or a run folder of `train` (with --scores).")],
    references: Annotated[Path, typer.Option(help="TSV of reference events.")],
    durations: Durations = None,
    scores: Scores = None,
    format: Format = "auto",
    hop: Hop = None,
    classes: Classes = None,
    t_collar: Annotated[float, typer.Option(help="Collar in seconds.")] = 0.2,
    percentage_of_length: Annotated[float, typer.Option(help="Offset collar as a fraction of the length.")] = 0.2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score events against references, by this package and by sed_eval; any difference is an error."""
    from rl_postproc.formats import read_event_pair
    from rl_postproc.postprocessor import PostProcessor, with_classes
    from rl_postproc.report import classes_table

    metric = build(EventBased, {"t_collar": t_collar, "percentage_of_length": percentage_of_length}, "the metric")
    if events.is_dir():
        if scores is None:
            raise UserError(f"'{events}' is a run folder; give --scores with the scores to apply it to.")
        processor = PostProcessor.load(events)
        data = data_overrides(scores, references, durations, format, hop, classes, False)
        score_set = with_classes(build(TaskConfig, {"data": data}, "the command line").load_data(), processor.classes)
        expected, found = score_set.require_references(), processor.apply(score_set)
    else:
        names = [name.strip() for name in classes.split(",")] if classes else None
        expected, found = read_event_pair(events, references, durations, names)
    report = certify(expected, found, metric)
    if as_json:
        print(json.dumps(report.to_json()))
    else:
        console.print(classes_table(report, f"{events} (certified by {report.certified_by})"))


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for scores/, references.tsv and durations.tsv.")],
    setting: Settings = None,
) -> None:
    """Write the simulated data set as files, in the formats that the other commands read.

    Settings of the simulator go with --set KEY=VALUE, such as --set n_clips=100 --set seed=1.
    """
    from rl_postproc.files import write_text
    from rl_postproc.formats import sed_scores, write_events
    from rl_postproc.simulate import SimulationConfig
    from rl_postproc.simulate import simulate as make

    score_set = make(build(SimulationConfig, override({}, setting or []), "--set"))
    sed_scores.write(score_set, out / "scores")
    write_events(score_set.require_references(), out / "references.tsv")
    rows = zip(score_set.clip_ids, score_set.durations.tolist(), strict=True)
    write_text(out / "durations.tsv", "filename\tduration\n" + "".join(f"{name}\t{length}\n" for name, length in rows))
    console.print(f"Wrote {score_set.n_clips} clips to {out}.")


def _benchmark(config: BenchmarkConfig, out: Path) -> None:
    from rl_postproc.report import agents_table, published_table

    try:
        with progress() as watch:
            watch("reading scores", 0.0, {})
            results = run_benchmark(config, _require_references(config.load_data()), out, watch)
    except KeyboardInterrupt:
        notes.print(f"Stopped. Finished folds are kept in {out / 'folds'}; the same command goes on from there.")
        raise typer.Exit(130) from None
    certified = sorted({row["certified_by"] for row in results["rows"]})
    how = f"{results['folds']} folds"
    if "n_evaluation_clips" in results:
        how = f"scored on {results['n_evaluation_clips']} others"
    title = f"{config.title}: {results['n_clips']} clips, {how}, in percent"
    console.print(agents_table(results["rows"], title, results.get("agents", ())))
    if "published" in results:
        console.print(published_table(results))
    names = ("results.json", "results.csv", "agents.png", "classes.png", "curves.png", "clip.png")
    written = ", ".join(name for name in names if (out / name).exists())
    console.print(f"Certified by {', '.join(certified)}. Results and plots are in {out}: {written}.")


def _require_references(scores: ScoreSet) -> ScoreSet:
    scores.require_references()
    return scores


def _use(threads: int) -> None:
    torch.set_num_threads(threads)


@contextlib.contextmanager
def progress() -> Iterator[Watch]:
    """Shows one bar with what is being done and the newest figures."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def watch(what: str, fraction: float, figures: dict[str, float]) -> None:
            shown = "".join(f"  {k.replace('_', ' ')} {_short(v)}" for k, v in figures.items())
            bar.update(task, description=what + shown, completed=fraction)

        yield watch


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{100 * value:.2f} %"


_USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base of the errors in options and arguments: click's, or that of the copy of click inside newer releases of typer."""


def main() -> None:
    """Runs the command line; every error that a user can mend is one sentence and exit code 2."""
    code = _run()
    # CPython ends a module by SIGINT, whatever its exit code, where an interrupt had once passed through a text that
    # was being executed (as in the making of a namedtuple), even if it was caught. Executing one more forgets it.
    exec("")
    sys.exit(code)


def _run() -> int:
    try:
        # Outside its standalone mode typer returns the code of an Exit; commands themselves return None.
        return app(standalone_mode=False) or 0
    except typer.Exit as stop:
        return stop.exit_code
    except UserError as error:
        notes.print(f"[bold red]Error:[/] {_escaped(str(error))}", soft_wrap=True)
        return 2
    except CertificationError as error:
        notes.print(f"[bold red]The figures do not agree with sed_eval, please report this:[/] {_escaped(str(error))}")
        return 3
    except (KeyboardInterrupt, typer.Abort):
        notes.print("Stopped; nothing half-written was left.")
        return 130
    except _USAGE_ERROR as error:
        error.show()
        return error.exit_code


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
