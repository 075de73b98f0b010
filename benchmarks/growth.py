"""Time and memory of the sweep as the data grow by ten along each axis on its own, with fitted exponents.

    python benchmarks/growth.py --out runs/growth

Every point is a process of its own on simulated data. Time is the CPU time of all threads, which other work on the
machine disturbs little. Memory is the peak above what the process held, scores included, before the sweep began (Linux
only). An exponent is the slope over all points of an axis in logarithms; frames grow twice: by longer clips, and by a
finer hop, where collars cover more frames too.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from measure import console, note
from rich.table import Table

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import Choice, macro_gain
from rl_postproc.counts.grid import sweep
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

BASE = {"clips": 400, "classes": 10, "seconds": 10.0, "hop": 0.064, "kernels": 3, "thresholds": 20}
FACTORS = (1, 2, 4, 10)
LARGEST_KERNEL = 61
AXES: dict[str, Callable[[int], dict[str, float]]] = {
    "clips": lambda f: {"clips": BASE["clips"] * f},
    "classes": lambda f: {"classes": BASE["classes"] * f},
    "frames, longer clips": lambda f: {"seconds": BASE["seconds"] * f},
    "frames, finer hop": lambda f: {"hop": BASE["hop"] / f},
    "kernels": lambda f: {"kernels": BASE["kernels"] * f},
    "thresholds": lambda f: {"thresholds": BASE["thresholds"] * f},
}
WORK: dict[str, Callable[[ScoreSet, Stack], object]] = {
    "grid": lambda scores, stack: sweep(scores, stack, EventBased()),
    "exact": lambda scores, stack: best_thresholds(scores, stack),
}


def best_thresholds(scores: ScoreSet, stack: Stack) -> Choice:
    """Counts all thresholds, and finds the best one of each filter setting and class."""
    counts = sweep_all_thresholds(scores, stack, EventBased())
    return counts.best(macro_gain(counts.column_reference))


def stack_of(n_kernels: int, n_thresholds: int, hop: float) -> Stack:
    """Builds a stack with kernels spread evenly up to the same largest one."""
    steps = [LARGEST_KERNEL * (i + 1) / n_kernels for i in range(n_kernels)]
    kernels = sorted({max(1, 2 * round((k - 1) / 2) + 1) for k in steps})
    return Stack.from_config([
        {"stage": "median", "kernel": [k * hop for k in kernels]},
        {"stage": "threshold", "threshold": {"low": 0.01, "high": 0.99, "count": n_thresholds}},
    ])  # fmt: skip


def memory_mib(key: str) -> float:
    """Returns a line of /proc/self/status in MiB, NaN where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return math.nan


def measure(point: dict[str, float], work: str, repeats: int, threads: int) -> dict[str, float]:
    """Measures one point in this process."""
    torch.set_num_threads(threads)
    scores = simulate(SimulationConfig(
        n_clips=int(point["clips"]), n_classes=int(point["classes"]), clip_seconds=point["seconds"], hop=point["hop"]
    ))  # fmt: skip
    stack = stack_of(int(point["kernels"]), int(point["thresholds"]), scores.hop)
    WORK[work](scores.select([0]), stack)
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # hands back what the simulation has freed
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before, times = memory_mib("VmRSS"), []
    for _ in range(repeats):
        started = time.process_time()
        WORK[work](scores, stack)
        times.append(time.process_time() - started)
    return {"seconds": statistics.median(times), "mib": memory_mib("VmHWM") - before}


def slope(xs: list[float], ys: list[float]) -> float:
    """Fits the exponent by least squares in logarithms."""
    x, y = [math.log(v) for v in xs], [math.log(max(v, 1e-9)) for v in ys]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def plot(found: dict[tuple[str, str], list[dict[str, float]]], path: Path) -> None:
    """Draws time and memory over the growth factor."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(WORK), 2, figsize=(10, 4 * len(WORK)), squeeze=False, layout="constrained")
    for row, work in zip(axes, WORK, strict=True):
        for cell, key, label in zip(row, ("seconds", "mib"), ("seconds", "peak MiB above the scores"), strict=True):
            for axis in AXES:
                cell.plot(FACTORS, [p[key] for p in found[work, axis]], marker="o", label=axis)
            start = found[work, "clips"][0][key]
            cell.plot(FACTORS, [start * f for f in FACTORS], color="grey", linestyle=":", label="linear")
            cell.set(xscale="log", yscale="log", xlabel="growth", ylabel=label, title=f"{work}: {label}")
        row[0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measures all points, or the one that is given, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/growth"), help="folder of the plot and the figures")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(*json.loads(options.point), options.repeats, options.threads)))
        return
    note(f"From {BASE}; {options.threads} threads, load {os.getloadavg()[0]:.1f}; medians of {options.repeats}.")
    shown = Table("sweep", "axis", *(f"x{f}" for f in FACTORS), "time exponent", "memory exponent")
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for work in WORK:
        for axis, change in AXES.items():
            points = []
            for factor in FACTORS:
                point = json.dumps([{**BASE, **change(factor)}, work])
                command = [sys.executable, "-W", "ignore", __file__, "--point", point,
                           "--repeats", str(options.repeats), "--threads", str(options.threads)]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{axis} x{factor}: {done.stderr.strip()}")
                points.append(json.loads(done.stdout.splitlines()[-1]))
            found[work, axis] = points
            cells = [f"{p['seconds']:.2f} s {p['mib']:.0f} MiB" for p in points]
            exponents = [f"{slope(list(FACTORS), [p[key] for p in points]):.2f}" for key in ("seconds", "mib")]
            shown.add_row(work, axis, *cells, *exponents)
            note(f"{work}, {axis}: {', '.join(cells)}; exponents {', '.join(exponents)}")
    console.print(shown)
    plot(found, options.out / "growth.png")
    figures = {f"{work}, {axis}": points for (work, axis), points in found.items()}
    (options.out / "growth.json").write_text(json.dumps(figures, indent=2) + "\n")
    note(f"Plot and figures are in '{options.out}'.")


if __name__ == "__main__":
    main()
