"""Time and memory of `rl-postproc benchmark compare` on few clips of many classes, and on few clips of an hour.

    python benchmarks/wide_and_long.py                                  # the two sets of simulated scores
    python benchmarks/wide_and_long.py --sets wide,long,audioset --scores noise,equal,busy

Each set is written as shards and compared in a process of its own on one thread, with two folds. Peak memory is that of
the process and its children, from the operating system.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measure import console, note
from rich.table import Table

from rl_postproc.data.events import Events
from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.scores.shards import write_shards
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

HOP = 0.02
SETS = {"wide": (4, 527, 500), "long": (2, 3, 180_000), "audioset": (20, 527, 500), "strong": (20, 456, 500)}
"""Clips, classes and frames."""
SCORES = ("simulated", "busy", "noise", "equal")
"""Simulated; with an event of each class every few seconds; white noise without events of its own; all 0.5."""
PIECE = 30_000
"""Frames that the simulator makes at once; longer clips are pieces one after another."""


def make_set(n_clips: int, n_classes: int, n_frames: int, scores: str = "simulated", seed: int = 0) -> ScoreSet:
    """Makes a set with references.

    Args:
        n_clips: number of clips.
        n_classes: number of classes.
        n_frames: frames of 20 ms a clip; a multiple of `PIECE` above it.
        scores: one of `SCORES`.
        seed: of the simulation and of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    width = min(n_frames, PIECE)
    found = _simulated(n_clips * (n_frames // width), n_classes, width, seed)
    x, references = _joined(found, n_clips, n_frames // width)
    if scores == "busy":
        x, references = _busy(n_clips, n_classes, n_frames, references, generator)
    elif scores == "noise":
        x = torch.rand(x.shape, generator=generator)
    elif scores == "equal":
        x = torch.full_like(x, 0.5)
    return ScoreSet.build(
        x, even_edges(HOP, n_frames), references.clip_ids, references.classes, references=references
    )  # fmt: skip


def _simulated(n_clips: int, n_classes: int, width: int, seed: int) -> ScoreSet:
    return simulate(
        SimulationConfig(n_clips=n_clips, n_classes=n_classes, clip_seconds=width * HOP, hop=HOP, seed=seed, short=0)
    )


def _joined(found: ScoreSet, n_clips: int, pieces: int) -> tuple[torch.Tensor, Events]:
    """Lays clips end to end, ``pieces`` in each."""
    events, piece_seconds = found.require_references(), found.width * HOP
    later = (events.clip % pieces) * piece_seconds
    references = Events.from_tensors(
        found.clip_ids[:n_clips], found.classes, events.clip // pieces, events.label, events.onset + later,
        events.offset.clamp(max=piece_seconds) + later,
    )  # fmt: skip
    x = found.scores.reshape(n_clips, pieces, found.n_classes, -1).transpose(1, 2).flatten(2)
    return x.contiguous(), references


def _busy(
    n_clips: int, n_classes: int, n_frames: int, like: Events, generator: torch.Generator
) -> tuple[torch.Tensor, Events]:
    """Returns smooth scores that cross every threshold about once a second, and the references that they follow."""
    noise = torch.randn(n_clips * n_classes, 1, n_frames, generator=generator)
    sizes = (9, 25)
    for size in sizes:
        noise = torch.nn.functional.avg_pool1d(noise, size, 1, size // 2, count_include_pad=False)
    smooth = (noise / noise.std() + 0.3 * torch.randn(noise.shape, generator=generator)).sigmoid()
    active = torch.nn.functional.pad((noise[:, 0] > noise.std() / 2).int(), (1, 1)).diff(dim=1)
    track, first = (active == 1).nonzero().unbind(1)
    last = (active == -1).nonzero()[:, 1]
    references = Events.from_tensors(
        like.clip_ids, like.classes, track // n_classes, track % n_classes, first * HOP, last * HOP
    )
    return smooth.reshape(n_clips, n_classes, n_frames), references


def measure(folder: Path, agents: str) -> dict[str, float]:
    """Runs the comparison on shards and returns seconds (of the clock, of the processor), peak MiB and the exit code."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "rl_postproc", "benchmark", "compare", "--scores", folder, "--agents", agents,
               "--folds", 2, "--threads", 1, "--out", out]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen([str(part) for part in command], env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "mib": peak, "code": process.returncode}


def main() -> None:
    """Measures the sets and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="wide,long", help=f"of {', '.join(SETS)}")
    parser.add_argument("--scores", default="simulated", help=f"of {', '.join(SCORES)}")
    parser.add_argument("--agents", default="default,grid_search,event_value")
    parser.add_argument("--folder", type=Path, help="where sets and runs are kept; else they are removed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shown = Table("set", "scores", "clips x classes x frames", "seconds", "CPU s", "peak MiB", "macro F1 of each agent")
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.sets.split(","):
            for kind in options.scores.split(","):
                folder = (options.folder or Path(temporary)) / f"{name}_{kind}"
                if not (folder / "meta.json").is_file():
                    write_shards(make_set(*SETS[name], kind), folder)
                found = measure(folder, options.agents)
                rows = json.loads((folder / "run" / "results.json").read_text())["rows"] if not found["code"] else []
                figures = ", ".join(f"{row['agent']} {100 * row['macro_f1']:.1f}" for row in rows)
                if found["code"]:
                    figures = " ".join((folder / "log.txt").read_text().split()[-40:])
                size = " x ".join(map(str, SETS[name]))
                cost = [f"{found[key]:.0f}" for key in ("seconds", "cpu", "mib")]
                shown.add_row(name, kind, size, *cost, figures)
                note(f"{name}, {kind}: {cost[0]} s ({cost[1]} s of the processor), {cost[2]} MiB; {figures}")
    console.print(shown)


if __name__ == "__main__":
    main()
