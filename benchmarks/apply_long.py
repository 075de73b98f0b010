"""Time and memory of `rl-postproc apply` on long recordings, and whether its events are those of the whole in memory.

    python benchmarks/apply_long.py                          # an hour at 20 ms, 10 classes, as a table and as an array
    python benchmarks/apply_long.py --recordings 24 --formats npy    # a day, in files of an hour
    python benchmarks/apply_long.py --scores noise           # no detector, but the most events that there can be

Each run is a process of its own on one thread. Seconds are those of the processor, user and system together, so that other
work on the machine counts as little as may be. The start (of Python and torch, and reading the post-processor) is what the
same command takes on a recording of ten seconds; the last factor leaves it out, where it is not most of the time. Peak memory
is that of the process, from the operating system.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measure import console, note
from rich.table import Table

from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import read_scores, write_events, write_scores
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

HOP = 0.02
STACK = [{"stage": "median"}, {"stage": "hysteresis"}, {"stage": "gap_fill"}, {"stage": "duration"}]
"""What the constants are for."""


def long_scores(kind: str, hours: float, n_classes: int) -> ScoreSet:
    """Returns one recording: a simulated detector on clips end to end, or an event a minute and class on white noise."""
    n_frames = round(hours * 3600 / HOP)
    drawn = simulated(n_frames, n_classes) if kind == "simulated" else noisy(n_frames, n_classes)
    classes = [f"class_{i}" for i in range(n_classes)]
    return ScoreSet.build(drawn[None].contiguous(), even_edges(HOP, n_frames), ["recording"], classes)


def simulated(n_frames: int, n_classes: int) -> torch.Tensor:
    """Returns scores ``[class, frame]`` of a detector, whose noise lasts as that of real ones does."""
    n_clips = math.ceil(n_frames * HOP / 10)
    drawn = None if n_classes == 10 else n_classes  # ten are the usual ones
    found = simulate(SimulationConfig(n_clips=n_clips, n_classes=drawn, hop=HOP, short=0.0)).scores
    return found.transpose(0, 1).flatten(1)[:, :n_frames]


def noisy(n_frames: int, n_classes: int) -> torch.Tensor:
    """Returns scores ``[class, frame]`` each of whose frames is noise of its own, as of no detector."""
    rng = np.random.default_rng(0)
    scores = rng.beta(1, 12, (n_classes, n_frames)).astype(np.float32)
    for own in scores:
        for start in rng.integers(0, n_frames, max(1, int(n_frames * HOP / 60))):
            stop = start + int(rng.gamma(2, 1.5) / HOP)
            own[start:stop] = np.clip(own[start:stop] + rng.uniform(0.2, 0.9), 0, 1)
    return torch.from_numpy(scores)


def constants(scores: ScoreSet) -> PostProcessor:
    """Returns a post-processor with constants that are not the same for all classes."""
    stack = Stack.from_config(STACK)
    values = stack.space.defaults.repeat(scores.n_classes, 1)
    values[:, stack.space.names.index("median.kernel")] = torch.linspace(0, 1.2, scores.n_classes)
    values[:, stack.space.names.index("gap_fill.gap")] = 0.2
    values[:, stack.space.names.index("duration.shortest")] = 0.1
    return PostProcessor.constant(stack, scores, values)


LAUNCH = """
import os, resource, sys
child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, *sys.argv[2:]])
_, status, usage = os.wait4(child, 0)
open(sys.argv[1], "w").write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process between this one and the measured one: what this one has in memory would count for its children."""


def measured(*words: str) -> tuple[float, float, float]:
    """Runs Python in a process of its own and returns its seconds by the clock and by the processor, and its peak MiB.

    Raises:
        SystemExit: it failed.
    """
    begin = time.perf_counter()
    with tempfile.NamedTemporaryFile("r") as told:
        command = [sys.executable, "-c", LAUNCH, told.name, *words]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        seconds, peak = map(float, told.read().split())
        return time.perf_counter() - begin, seconds, peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def applied(run: str, scores: Path, out: Path, format: str) -> tuple[float, float, float]:
    """Applies in a process of its own and returns what `measured` does."""
    return measured("-m", "rl_postproc", "apply", run, str(scores), "--out", str(out), "--format", format)


def baseline() -> float:
    """Returns the peak MiB of a process that imports what is needed and does nothing."""
    return measured("-c", "import rl_postproc.pipeline.apply_files, rl_postproc.agents.universal.policy")[2]


def written(scores: ScoreSet, folder: Path, format: str, n_recordings: int) -> float:
    """Writes a recording under as many names, and returns the size of its file in MiB."""
    write_scores(scores, folder, format)
    (file,) = (file for file in folder.iterdir() if file.stem == "recording")
    for i in range(1, n_recordings):
        os.link(file, file.with_stem(f"recording_{i}"))
    return file.stat().st_size / (1 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0, help="of a recording")
    parser.add_argument("--recordings", type=int, default=1)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--scores", default="simulated", help="simulated, noise or both, separated by commas")
    parser.add_argument("--formats", default="sed_scores,npy")
    parser.add_argument("--runs", default="constants,universal")
    parser.add_argument("--unchecked", action="store_true", help="do not compare with the whole in memory")
    given = parser.parse_args()
    columns = "clock s", "core s", "start s", "× real time", "no start", "peak MiB", "as whole"
    table = Table("run", "scores", "format", "MiB", *columns)
    seconds = given.hours * given.recordings * 3600
    with tempfile.TemporaryDirectory() as name:
        for kind in given.scores.split(","):
            folder, start = Path(name) / kind, Path(name) / kind / "start"
            scores, short = (long_scores(kind, hours, given.classes) for hours in (given.hours, 10 / 3600))
            constants(scores).save(folder / "constants")
            for format in given.formats.split(","):
                written(short, start / format, format, 1)
                size = written(scores, folder / format, format, given.recordings)
                for run in given.runs.split(","):
                    note(f"{run} on {format}")
                    path = run if run == "universal" else str(folder / run)
                    _, began, _ = applied(path, start / format, folder / "short.tsv", format)
                    clock, core, peak = applied(path, folder / format, folder / "events.tsv", format)
                    same = "" if given.unchecked else str(_as_in_memory(path, folder, format))
                    figures = f"{clock:.1f}", f"{core:.2f}", f"{began:.2f}", f"{seconds / core:.0f}"
                    without = f"{seconds / (core - began):.0f}" if core > 1.2 * began else "-"
                    table.add_row(run, kind, format, f"{size:.1f}", *figures, without, f"{peak:.0f}", same)
    note(f"importing what is needed takes {baseline():.0f} MiB of each")
    console.print(table)


def _as_in_memory(run: str, folder: Path, format: str) -> bool:
    events = PostProcessor.load(run).apply(read_scores(folder / format, format=format))
    write_events(events, folder / "expected.tsv")
    return (folder / "events.tsv").read_bytes() == (folder / "expected.tsv").read_bytes()


if __name__ == "__main__":
    main()
