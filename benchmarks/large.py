"""A data set that does not fit: simulated shards on disk, swept within a bound of memory, with progress.

    python benchmarks/large.py --clips 20000 --classes 100 --frames 1000 --folder /tmp/large

The shards stay in the folder unless --remove is given, and are used again when they have the size asked for.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from measure import console, note, peak_mib
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rl_postproc.counts.grid import sweep_stream
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.scores.shards import read_shards, write_shards
from rl_postproc.metrics import EventBased, Macro
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

HOP = 0.01
BLOCK = 320


def simulated_blocks(n_clips: int, n_classes: int, n_frames: int) -> Iterator[ScoreSet]:
    """Yields score sets of up to `BLOCK` clips, each of its own seed and with clip names of its own."""
    for block, first in enumerate(range(0, n_clips, BLOCK)):
        n = min(BLOCK, n_clips - first)
        config = SimulationConfig(n_clips=n, n_classes=n_classes, clip_seconds=n_frames * HOP, hop=HOP, seed=block)
        part = simulate(config)
        names = tuple(f"block{block:03d}_{name}" for name in part.clip_ids)
        events = part.require_references()
        events = replace(events, clip_ids=names)
        yield ScoreSet(part.scores, part.n_frames, part.edges, part.durations, names, part.classes, events)


def bar(text: str) -> Progress:
    columns = TextColumn(text), BarColumn(), TextColumn("{task.completed}/{task.total} clips"), TimeElapsedColumn()
    return Progress(*columns, TimeRemainingColumn(), console=console, refresh_per_second=1)


def prepare(folder: Path, n_clips: int, n_classes: int, n_frames: int) -> None:
    """Writes the simulated shards unless they are there."""
    if (folder / "meta.json").is_file():
        shards = read_shards(folder)
        if (shards.n_clips, len(shards.classes)) == (n_clips, n_classes):
            return
    with bar("simulate") as progress:
        task = progress.add_task("", total=n_clips)

        def counted() -> Iterator[ScoreSet]:
            for part in simulated_blocks(n_clips, n_classes, n_frames):
                yield part
                progress.advance(task, part.n_clips)

        write_shards(counted(), folder)


def main() -> None:
    """Prepares the data, sweeps it, and prints time and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--frames", type=int, default=1000, help="frames of 10 ms a clip")
    parser.add_argument("--folder", type=Path, required=True, help="where the shards lie or are written")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--prepare", action="store_true", help="write the shards and stop")
    parser.add_argument("--remove", action="store_true", help="remove the shards at the end")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    prepare(options.folder, options.clips, options.classes, options.frames)
    if options.prepare:
        note("The shards are there. Run again without --prepare, so that the peak memory is that of the sweep alone.")
        return
    before = peak_mib()
    started = time.perf_counter()
    stack = Stack.from_config([
        {"stage": "median", "kernel": [0.0, 0.05, 0.11, 0.21, 0.41]},
        {"stage": "threshold", "threshold": {"low": 0.01, "high": 0.99, "count": 50}},
    ])  # fmt: skip
    shards = read_shards(options.folder)
    with bar("sweep") as progress:
        task = progress.add_task("", total=shards.n_clips)
        table = sweep_stream(
            shards, stack, EventBased(), n_clips=shards.n_clips,
            progress=lambda done, _: progress.update(task, completed=done),
        )  # fmt: skip
    best = table.score(table.best_per_class(Macro()))
    seconds, peak = time.perf_counter() - started, peak_mib()
    counts = {name: column for name, column in table.counts.items() if column.ndim == 3}
    size = sum(column.nbytes for column in counts.values())
    kinds = ", ".join(f"{name} {column.dtype}" for name, column in counts.items())
    console.print(
        f"{options.clips} clips x {options.classes} classes x {options.frames} frames, {stack.space.n_candidates} "
        f"candidates, {options.threads} threads: {seconds:.0f} s, peak memory {peak:.0f} MiB ({before:.0f} MiB "
        f"before), table {size / 2**20:.0f} MiB ({kinds}), "
        f"macro F1 of the best constants {best.macro:.4f}"
    )
    if options.remove:
        shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
