"""Time and memory of `rl-postproc apply` on one long recording, and whether its events are those of the whole in memory.

    python benchmarks/apply_long.py                          # an hour at 20 ms, 10 classes, as a table and as an array
    python benchmarks/apply_long.py --hours 24 --formats npy --runs constants

Each run is a process of its own on one thread. Peak memory is that of the process, from the operating system.
"""

from __future__ import annotations

import argparse
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

HOP = 0.02
STACK = [{"stage": "median"}, {"stage": "hysteresis"}, {"stage": "gap_fill"}, {"stage": "duration"}]
"""What the constants are for."""


def long_scores(hours: float, n_classes: int, seed: int = 0) -> ScoreSet:
    """Returns one recording with an event of each class every minute or so, on a noisy ground."""
    rng = np.random.default_rng(seed)
    n_frames = round(hours * 3600 / HOP)
    scores = rng.beta(1, 12, (n_classes, n_frames)).astype(np.float32)
    for own in scores:
        for start in rng.integers(0, n_frames, max(1, int(hours * 60))):
            stop = start + int(rng.gamma(2, 1.5) / HOP)
            own[start:stop] = np.clip(own[start:stop] + rng.uniform(0.2, 0.9), 0, 1)
    classes = [f"class_{i}" for i in range(n_classes)]
    return ScoreSet.build(torch.from_numpy(scores)[None], even_edges(HOP, n_frames), ["recording"], classes)


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
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process between this one and the measured one: what this one has in memory would count for its children."""


def measured(*words: str) -> tuple[float, float]:
    """Runs Python in a process of its own and returns seconds and peak MiB.

    Raises:
        SystemExit: it failed.
    """
    begin = time.perf_counter()
    with tempfile.NamedTemporaryFile("r") as peak:
        command = [sys.executable, "-c", LAUNCH, peak.name, *words]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return time.perf_counter() - begin, int(peak.read()) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def applied(run: str, scores: Path, out: Path, *options: str) -> tuple[float, float]:
    """Applies in a process of its own and returns seconds and peak MiB."""
    return measured("-m", "rl_postproc", "apply", run, str(scores), "--out", str(out), *options)


def baseline() -> float:
    """Returns the peak MiB of a process that imports what is needed and does nothing."""
    return measured("-c", "import rl_postproc.pipeline.apply_files, rl_postproc.agents.universal.policy")[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--formats", default="sed_scores,npy")
    parser.add_argument("--runs", default="constants,universal")
    parser.add_argument("--unchecked", action="store_true", help="do not compare with the whole in memory")
    given = parser.parse_args()
    table = Table("post-processor", "format", "file", "seconds", "times real time", "peak MiB", "as in memory")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scores = long_scores(given.hours, given.classes)
        constants(scores).save(folder / "constants")
        for format in given.formats.split(","):
            write_scores(scores, folder / format, format)
            size = max(file.stat().st_size for file in (folder / format).iterdir()) / (1 << 20)
            for run in given.runs.split(","):
                note(f"{run} on {format}")
                path = run if run == "universal" else str(folder / run)
                seconds, peak = applied(path, folder / format, folder / "events.tsv", "--format", format)
                same = "" if given.unchecked else str(_as_in_memory(path, folder, format))
                speed = given.hours * 3600 / seconds
                table.add_row(run, format, f"{size:.0f} MiB", f"{seconds:.1f}", f"{speed:.0f}", f"{peak:.0f}", same)
    note(f"importing what is needed takes {baseline():.0f} MiB of each")
    console.print(table)


def _as_in_memory(run: str, folder: Path, format: str) -> bool:
    events = PostProcessor.load(run).apply(read_scores(folder / format, format=format))
    write_events(events, folder / "expected.tsv")
    return (folder / "events.tsv").read_bytes() == (folder / "expected.tsv").read_bytes()


if __name__ == "__main__":
    main()
