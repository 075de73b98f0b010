"""The commands that compare agents: `demo` on the built-in data set, `benchmark` on any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_postproc.utils.errors import UserError, unwarned
from rl_postproc.utils.interrupts import if_interrupted

from .inputs import DataOptions, benchmark_config, integers, names_in, packaged_config, size_in_bytes, use_threads
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
from .output import certificates, console, notes, progress, tell_data

if TYPE_CHECKING:
    from rl_postproc.work import Engine

    from ..benchmark.config import BenchmarkConfig


def demo(
    out: Annotated[Path, typer.Option(help="Folder for results and plots.")] = Path("runs/demo"),
    setting: Settings = None,
    threads: Threads = 1,
) -> None:
    """Compare all agents on the built-in simulated data set: a table here, plots in the run folder.

    Takes two to three minutes and needs no files. Any key of the config can be replaced, such as the number of
    clips with `--set data.simulated.n_clips=100`.
    """
    if not compare(benchmark_config("demo.yaml", setting, None), out, threads):
        raise typer.Exit(1)


def benchmark(
    config: Annotated[str, typer.Argument(help="YAML config, or the name of one that comes with the package.")],
    out: Annotated[Path, typer.Option(help="Run folder; finished folds in it are taken up.")] = Path("runs/benchmark"),
    scores: Scores = None,
    references: References = None,
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    agents: Annotated[str | None, typer.Option(help="Agents to run, separated by commas.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, separated by commas.")] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run finished folds anew that other code has made.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first agent that cannot run.")] = False,
    plugin: Plugins = None,
    setting: Settings = None,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    memory: Memory = None,
    threads: Threads = 1,
) -> None:
    """Compare agents under the held-out protocol; writes results.json, results.csv, classes.csv and plots.

    Agents are tuned on all folds but one and scored on the one left out. One that cannot run is skipped and named with
    its reason, and the exit code is then 1. Ctrl-C keeps the finished folds; the same
    command goes on from there. Finished folds that another version of the code has made are used too, and named.
    With --jobs or --cluster folds, seeds, agents and stacks are worked on at a time, and the figures are the same; a fold
    whose worker dies is begun again.

    On scores of your own, with the agents and the stack of the demo:
    `rl-postproc benchmark demo --scores SCORES --references REFERENCES.tsv --durations DURATIONS.tsv`

    A config may hold a list of `benchmarks`, as `transfer` does: they run one after another, each in its own folder. With
    `stacks`, as in `stacks`, every agent runs on each of them, and one table compares them all.

    Metric, objective and stack are the config's: `--set metric.t_collar=0.1`, `--set stack.0.kernel=[0,0.3]`,
    `--set stack=csebbs` (`rl-postproc list stacks`).
    """
    from rl_postproc.work import choose_engine

    from ..benchmark.suite import find_suite

    engine, limit = choose_engine(jobs, cluster, threads), size_in_bytes(memory)
    options = DataOptions(scores, references, durations, format, format_option, hop, classes, subset)
    extra: dict[str, Any] = {"seeds": integers(seeds, "--seeds")} if seeds is not None else {}
    if folds is not None:
        extra["folds"] = folds
    data = options.section()
    if data:
        extra["data"] = data

    def load(name: str) -> BenchmarkConfig:
        loaded = benchmark_config(name, setting, plugin, extra)
        if agents is None:
            return loaded
        from ..benchmark.config import choose_agents

        return choose_agents(loaded, names_in(agents, "--agents"))

    path = packaged_config(config)
    suite = find_suite(path)
    if suite is None:
        whole = compare(load(config), out, threads, fresh, strict, engine, limit)
    elif data:
        raise UserError(f"'{config}' stands for several benchmarks on data of their own "
                        f"({', '.join(suite.benchmarks)}); give one of them to run it on yours.")  # fmt: skip
    else:
        names = {name: path.parent / f"{name}.yaml" for name in suite.benchmarks}
        parts = {name: load(str(own) if own.exists() else name) for name, own in names.items()}
        whole = True
        for name, part in parts.items():
            try:
                whole &= compare(part, out / name, threads, fresh, strict, engine, limit)
            except UserError as error:
                if strict:
                    raise
                console.say(f"'{name}' is skipped: {error}")
                whole = False
    if not whole:
        raise typer.Exit(1)


def compare(
    config: BenchmarkConfig,
    out: Path,
    threads: int,
    fresh: bool = False,
    strict: bool = False,
    engine: Engine | None = None,
    limit: int | None = None,
) -> bool:
    """Runs a benchmark and shows its tables; see `run_benchmark` for ``fresh``, ``strict``, ``engine`` and ``limit``.

    Returns:
        Whether all agents could run.
    """
    from rl_postproc.report.page import write_report
    from rl_postproc.results import objective_tables, tables
    from rl_postproc.results.judges_table import judges_table

    from ..benchmark.outcome import RESULTS
    from ..benchmark.run import run_benchmark
    from ..report import PAGES
    from ..report.make import make_report
    from ..report.runs import open_run

    use_threads(threads)
    with progress() as show:
        show("reading scores", 0.0, {})
        with unwarned():
            scores = config.load_data()
        if_interrupted(f"finished folds, if any, are kept in '{out / 'folds'}'. The same command goes on from there:")
        results = run_benchmark(config, scores, out, show, fresh, strict, tell_data, engine, limit, notes.say)
    if_interrupted(f"the results are in '{out}'. The same command shows them:")
    how = f"{results['folds']} folds"
    if "n_evaluation_clips" in results:
        how = f"scored on {results['n_evaluation_clips']} others"
    kind = "simulated clips" if results["simulated"] else "clips"
    title = f"{config.title}: {results['n_clips']} {kind}, {how}, in percent"
    console.print(tables.agents_table(results, title))
    if "objective" in results:
        console.print(objective_tables.objective_table(results))
        if (reached := objective_tables.minimum_table(results)) is not None:
            console.print(reached)
        if missed := objective_tables.missed_note(results):
            console.say(missed)
    if "judged" in results:
        console.print(
            judges_table(results, f"{config.title}: macro score or value held out, in percent (behind the best)")
        )
    for note in (
        tables.intervals_note(results),
        tables.parts_note(results),
        tables.losses_note(results),
        tables.code_note(results),
    ):
        if note:
            console.say(note)
    if "learning_curve" in results:
        score = tables.score_label(results["score"])
        console.print(tables.learning_curve_table(results, f"{config.title}: held-out macro {score} (95 %)"))
    if "published" in results:
        console.print(tables.published_table(results))
    written = ", ".join(name for name in RESULTS if (out / name).exists())
    console.say(f"{certificates(results['rows'])}. Results and plots are in {out}: {written}.")
    if_interrupted(f"the results are in '{out}', without a report. The same command makes it:")
    with progress() as show, unwarned():
        show("making the report", 0.0, {})
        write_report(make_report(open_run(out, {}, scores=scores)), out / PAGES[0])
    # On a line of its own, never broken, so that it can be followed.
    console.say(f"Look at it:\n{out / PAGES[0]}")
    return not results["skipped"]
