"""The commands that compare agents: `demo` on the built-in data set, `benchmark` on any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_postproc.utils.errors import unwarned
from rl_postproc.utils.interrupts import if_interrupted

from .inputs import DataOptions, benchmark_config, integers, names_in, use_threads
from .options import (
    Classes,
    Durations,
    FormatOptions,
    Hop,
    Plugins,
    References,
    ScoreFormat,
    Scores,
    Settings,
    Subset,
    Threads,
)
from .output import certificates, console, progress, tell_data

if TYPE_CHECKING:
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
    compare(benchmark_config("demo.yaml", setting, None), out, threads)


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
    threads: Threads = 1,
) -> None:
    """Compare agents under the held-out protocol; writes results.json, results.csv, classes.csv and plots.

    Agents are tuned on all folds but one and scored on the one left out. One that cannot run is skipped and named with
    its reason, and the exit code is then 1. Ctrl-C keeps the finished folds; the same
    command goes on from there. Finished folds that another version of the code has made are used too, and named.

    On scores of your own, with the agents and the stack of the demo:
    `rl-postproc benchmark demo --scores SCORES --references REFERENCES.tsv --durations DURATIONS.tsv`

    Metric, objective and stack are the config's: `--set metric.t_collar=0.1`, `--set stack.0.kernel=[0,0.3]`.
    """
    options = DataOptions(scores, references, durations, format, format_option, hop, classes, subset)
    extra: dict[str, Any] = {"seeds": integers(seeds, "--seeds")} if seeds is not None else {}
    if folds is not None:
        extra["folds"] = folds
    data = options.section()
    if data:
        extra["data"] = data
    loaded = benchmark_config(config, setting, plugin, extra)
    if agents is not None:
        from ..benchmark.config import choose_agents

        loaded = choose_agents(loaded, names_in(agents, "--agents"))
    compare(loaded, out, threads, fresh, strict)


def compare(config: BenchmarkConfig, out: Path, threads: int, fresh: bool = False, strict: bool = False) -> None:
    """Runs a benchmark and shows its tables; see `run_benchmark` for ``fresh`` and ``strict``."""
    from rl_postproc.results.tables import agents_table, code_note, intervals_note, published_table

    from ..benchmark.outcome import RESULTS
    from ..benchmark.run import run_benchmark

    use_threads(threads)
    with progress() as show:
        show("reading scores", 0.0, {})
        with unwarned():
            scores = config.load_data()
        if_interrupted(f"finished folds, if any, are kept in '{out / 'folds'}'. The same command goes on from there:")
        results = run_benchmark(config, scores, out, show, fresh, strict, tell_data)
    if_interrupted(f"the results are in '{out}'. The same command shows them:")
    how = f"{results['folds']} folds"
    if "n_evaluation_clips" in results:
        how = f"scored on {results['n_evaluation_clips']} others"
    kind = "simulated clips" if results["simulated"] else "clips"
    title = f"{config.title}: {results['n_clips']} {kind}, {how}, in percent"
    console.print(agents_table(results, title))
    for note in filter(None, (intervals_note(results), code_note(results))):
        console.say(note)
    if "published" in results:
        console.print(published_table(results))
    written = ", ".join(name for name in RESULTS if (out / name).exists())
    console.say(f"{certificates(results['rows'])}. Results and plots are in {out}: {written}.")
    if results["skipped"]:
        raise typer.Exit(1)
