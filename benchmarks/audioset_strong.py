"""AudioSet-Strong's size from sparse shards: time and peak memory against clips, with fitted exponents.

    python benchmarks/audioset_strong.py --folder /data/audioset

Simulates 456 classes and 500 frames of 20 ms a clip, in which 2 % of the tracks are active, as sparse shards; then tunes on
the first clips of them, more and more, each in a process of its own. The first sizes take about three minutes; `--full`
adds all 100 000 clips. Time is the CPU time of all threads and that of the clock. Memory is the largest resident size of
the process, and what of it the program and the opened set, references included, took before any score was read. An
exponent is the slope in logarithms: 1 is linear, 0 is constant.

The event value policy learns from a sample of the clips and is applied to all of them, part by part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from growth import slope
from measure import console, note, peak_mib
from rich.table import Table
from rl_postproc.agents import make_agent
from rl_postproc.agents.base import check_agent

from rl_postproc.data.streamed import StreamedScores
from rl_postproc.formats import read_scores
from rl_postproc.formats.scores.shards import write_sparse_shards
from rl_postproc.metrics.base import floating
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.sparse import simulate_sparse
from rl_postproc.task import TuningTask

LADDER, FULL = (500, 1000, 2000, 4000), 100_000
FLOOR = 0.05
CLASSES, FRAMES, HOP, ACTIVE = 456, 500, 0.02, 0.02


def config(n_clips: int) -> SimulationConfig:
    return SimulationConfig(n_clips=n_clips, n_classes=CLASSES, clip_seconds=FRAMES * HOP, hop=HOP, active=ACTIVE)


def prepare(folder: Path, n_clips: int) -> None:
    """Writes the shards unless so many clips are there."""
    if (folder / "meta.json").is_file():
        found = open_set(folder)
        if found.n_clips >= n_clips:
            return
    started = time.process_time()
    n_written, n_tracks = write_sparse_shards(simulate_sparse(config(n_clips)), folder, floor=FLOOR)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
    note(f"Simulated {n_clips} clips in {time.process_time() - started:.0f} s of CPU time: {n_written} of {n_tracks} tracks "
         f"({n_written / n_tracks:.2%}) exceed {FLOOR}; {size:.0f} MiB on disk, of "
         f"{4 * n_tracks * FRAMES / 2**20:.0f} MiB dense.")  # fmt: skip


def open_set(folder: Path) -> StreamedScores:
    found = read_scores(folder, in_parts=True)
    assert isinstance(found, StreamedScores)
    return found


def tuned(scores: StreamedScores, agent: str, **settings: object) -> PostProcessor:
    """Tunes the default stack with an agent, seed 0."""
    task, learner = TuningTask.build(scores), make_agent({"agent": agent, **settings})
    check_agent(learner, task)
    return learner.fit(task, 0).post_processor


def applied(scores: StreamedScores, processor: PostProcessor) -> dict[str, float]:
    """Applies a post-processor part by part, and returns macro F1 and the number of events."""
    from rl_postproc.metrics import EventBased

    metric, totals, n_events = EventBased(), {}, 0
    for part in scores.parts():
        events = processor.apply(part)
        n_events += len(events)
        for name, column in metric.count(part.require_references(), events).items():
            totals[name] = totals.get(name, 0) + column.sum(0)
    return {"macro_f1": float(metric.score(floating(totals)).nanmean()), "events": n_events}


WORK: dict[str, Callable[[StreamedScores, Path, int], dict[str, float]]] = {
    "grid_search": lambda scores, out, _: saved(tuned(scores, "grid_search"), out),
    "sgl_thresh": lambda scores, out, _: saved(tuned(scores, "sgl_thresh"), out),
    "apply constants": lambda scores, out, _: applied(scores, PostProcessor.load(out / "grid_search")),
    "train events": lambda scores, out, n: saved(tuned(scores, "few_clips", of="event_value", clips=n), out),
    "apply events": lambda scores, out, _: applied(scores, PostProcessor.load(out / "event_value")),
}
"""What is measured, in order: later ones apply what earlier ones have saved."""


def saved(processor: PostProcessor, out: Path) -> dict[str, float]:
    """Saves a post-processor under a name that says what made it."""
    processor.save(out)
    return {}


def measure(folder: Path, n_clips: int, work: str, out: Path, sample: int, threads: int) -> dict[str, float]:
    """Measures one point in this process."""
    torch.set_num_threads(threads)
    scores = open_set(folder)
    scores = scores if n_clips == scores.n_clips else scores.select(torch.arange(n_clips))
    before, started, clock = peak_mib(), time.process_time(), time.perf_counter()
    names = {"grid_search": "grid_search", "sgl_thresh": "sgl_thresh", "train events": "event_value"}
    figures = WORK[work](scores, out / names[work] if work in names else out, sample)
    return {"cpu": time.process_time() - started, "clock": time.perf_counter() - clock, "mib": peak_mib(),
            "before": before, **figures}  # fmt: skip


def main() -> None:
    """Prepares the shards, measures all points, each in a process of its own, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/audioset_strong"), help="where the shards are written"
    )
    parser.add_argument("--clips", type=int, nargs="+", default=list(LADDER), help="sizes")
    parser.add_argument("--full", action="store_true", help=f"{FULL} clips as well")
    parser.add_argument(
        "--work", nargs="+", choices=list(WORK), default=["grid_search", "sgl_thresh", "apply constants"]
    )
    parser.add_argument("--events", action="store_true", help="the event value policy as well")
    parser.add_argument("--sample", type=int, default=200, help="clips from which it learns")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--remove", action="store_true", help="remove the folder at the end")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = options.folder / "tuned"
    if options.point:
        n_clips, work = json.loads(options.point)
        print(json.dumps(measure(options.folder / "shards", n_clips, work, out, options.sample, options.threads)))
        return
    sizes = sorted({*options.clips, *([FULL] if options.full else [])})
    wanted = [*options.work, *(["train events", "apply events"] if options.events else [])]
    prepare(options.folder / "shards", sizes[-1])
    note(f"{CLASSES} classes, {FRAMES} frames, {options.threads} threads, load {os.getloadavg()[0]:.1f}.")
    shown = Table("work", *(f"{n} clips" for n in sizes), "a 1000 clips", "time exponent", "memory exponent")
    for work in wanted:
        points = []
        for n in sizes:
            command = [sys.executable, "-W", "ignore", __file__, "--folder", str(options.folder), "--point",
                       json.dumps([n, work]), "--sample", str(options.sample), "--threads", str(options.threads)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{work}, {n} clips: {done.stderr.strip()}")
            points.append(json.loads(done.stdout.splitlines()[-1]))
            own = points[-1]
            more = "".join(f", {name} {own[name]:.4g}" for name in ("macro_f1", "events") if name in own)
            note(f"{work}, {n} clips: {own['cpu']:.1f} s of CPU time, {own['clock']:.1f} s, peak {own['mib']:.0f} MiB "
                 f"({own['before']:.0f} before any score is read){more}")  # fmt: skip
        cells = [f"{p['cpu']:.1f} s {p['mib']:.0f} MiB" for p in points]
        rate = f"{points[-1]['cpu'] / sizes[-1] * 1000:.2f} s"
        several = len(sizes) > 1
        exponents = [f"{slope(sizes, [p[key] for p in points]):.2f}" if several else "" for key in ("cpu", "mib")]
        shown.add_row(work, *cells, rate, *exponents)
    console.print(shown)
    if options.remove:
        shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
