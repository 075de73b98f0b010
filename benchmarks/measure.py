"""What the benchmarks share: data, medians, peak memory, and where output goes."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console

from rl_postproc.catalogue import find_entry, find_entry_folder
from rl_postproc.config import DataConfig
from rl_postproc.data.scores import ScoreSet
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

Result = TypeVar("Result")
console = Console(width=None if sys.stdout.isatty() else 120)


def note(text: str) -> None:
    console.print(f"[dim]{text}[/dim]")


def median_seconds(
    work: Callable[[], Result], repeats: int, device: torch.device | None = None
) -> tuple[float, Result]:
    """Returns the median time of several calls after one that is not counted, and the result."""
    result, times = work(), []
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        result = work()
        _wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times), result


def _wait(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize()


def peak_mib() -> float:
    """Returns the largest resident memory of this process so far in MiB (Linux, macOS)."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def real_or_simulated_scores(dithered: bool = True) -> ScoreSet:
    """Returns the scores of a real detector on the DESED validation set, or simulated ones where they are absent.

    The real scores are known at 50 thresholds only. Dithering draws each anew between the two thresholds around it, so
    that scores have full resolution as a detector's own have.
    """
    name, beside = "desed-baseline-2021", Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    if find_entry_folder(find_entry(name), places=[beside]) is None:
        note(
            f"The DESED validation set is absent (`rl-postproc download {name}`); simulated scores of its size stand in."
        )
        return simulate(SimulationConfig(n_clips=1168))
    scores = DataConfig(scores=name, root=str(beside)).load()
    return dither(scores) if dithered else scores


def dither(scores: ScoreSet) -> ScoreSet:
    """Draws scores anew between the middles of the neighbouring levels that occur, with a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    levels, index = torch.unique(scores.scores, return_inverse=True)
    middles = (levels[1:] + levels[:-1]) / 2
    low = torch.cat([levels[:1].clamp(max=0), middles])[index]
    high = torch.cat([middles, torch.ones(1)])[index]
    drawn = low + (high - low) * (0.001 + 0.998 * torch.rand(index.shape, generator=generator))
    return ScoreSet.build(
        drawn, scores.edges, scores.clip_ids, scores.classes, scores.n_frames, scores.durations, scores.references
    )
