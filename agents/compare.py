"""Comparing agents on held-out clips in one call, for programs that use this package as a library."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from rl_postproc.config import build_config
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.stack import Stack
from rl_postproc.work import choose_engine

from .benchmark.config import BenchmarkConfig
from .benchmark.run import BenchmarkProgress, run_benchmark


def benchmark(
    scores: ScoreSet,
    agents: Sequence[str | dict[str, Any]] = ("default", "grid_search", "event_value"),
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    stack: Stack | list[dict[str, Any]] | str | None = None,
    metric: str | dict[str, Any] | None = None,
    objective: str | dict[str, Any] | None = None,
    out: str | Path | None = None,
    progress: bool = False,
    jobs: int = 1,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Compares agents on clips that they have not seen: each fold is judged by what was tuned on the others.

    Args:
        scores: the clips, with references.
        agents: names of agents, or mappings of ``agent`` and settings.
        folds: number of folds.
        seeds: each agent runs once with each.
        stack: a `Stack`, its list form, or the name of one; the default one when None.
        metric: what is counted; event-based with DCASE's collars when None.
        objective: what is maximised; the mean over classes of the metric's score when None.
        out: run folder for results, plots and finished folds, which the next call takes up; nothing is kept when None.
        progress: whether a bar is shown.
        jobs: processes of this machine that work on folds; the program that calls this is then run anew in each of them, up
            to what stands under ``if __name__ == "__main__"``.
        cluster: address of a Ray cluster that works on them.

    Returns:
        The contents of ``results.json``: a row for each agent under ``agents``, for each class under ``classes``.

    Raises:
        UserError: data or a setting cannot be used, or no agent can run.

    Example:
        >>> from rl_postproc import SimulationConfig, benchmark, simulate
        >>> scores = simulate(SimulationConfig(n_clips=20, classes=["Dog", "Speech"], clip_seconds=5))
        >>> results = benchmark(scores, ["default", "grid_search"], folds=2)
        >>> [row["agent"] for row in results["agents"]]
        ['default', 'grid_search']
        >>> sorted(results["agents"][0]["gain"])
        ['high', 'high_adjusted', 'low', 'low_adjusted', 'over', 'value']
    """
    values: dict[str, Any] = {"agents": list(agents), "folds": folds, "seeds": list(seeds)}
    given = {
        "stack": stack.to_config() if isinstance(stack, Stack) else stack,
        "metric": metric,
        "objective": objective,
    }
    values |= {name: value for name, value in given.items() if value is not None}
    config = build_config(BenchmarkConfig, values, "benchmark")
    engine = choose_engine(jobs, cluster, torch.get_num_threads())
    with _folder(out) as folder, _watching(progress) as watch:
        return run_benchmark(config, scores, folder, watch, engine=engine)


@contextlib.contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextlib.contextmanager
def _watching(progress: bool) -> Iterator[BenchmarkProgress]:
    if not progress:
        yield lambda what, fraction, figures: None
        return
    from .cli.output import progress as bar

    with bar() as show:
        yield show
