"""The two ways to the medians of the count table, by sorting networks and by majority votes, in one run.

    python benchmarks/medians.py --threads 1 --repeats 9

Ten median filters and 50 thresholds on 1168 clips × 10 classes × 156 frames. The tables are checked to be equal, then both
ways take turns, and the ratio is the median of pairs: processor time on a CPU, elapsed time on a GPU (`--device cuda`, the
default where there is one). On a GPU it also prints how much memory the sweep's steps read and write a second, as a
fraction of what a plain copy does there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from measure import console, median_seconds, note, real_or_simulated_scores
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rl_postproc.counts.grid import sweep
from rl_postproc.counts.levels import levels_of, thresholds_of
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages import median

METRIC = EventBased()


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operations read and write; views read and write none."""

    bytes_moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        aliases = [part.alias_info for part in func._schema.returns]
        if not any(alias is not None and not alias.is_write for alias in aliases):
            moved = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
            self.bytes_moved += sum(x.numel() * x.element_size() for x in moved)
        return result


@contextmanager
def sorted_only() -> Iterator[None]:
    """Leaves all medians to the sorting networks."""
    before, median.ORDERING = median.ORDERING, float("inf")
    try:
        yield
    finally:
        median.ORDERING = before


def in_turns(work: Callable[[], Any], repeats: int, device: torch.device) -> tuple[float, float, float]:
    """Returns the median seconds of the work by sorting and by votes, and the median ratio of pairs."""

    def seconds() -> float:
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        started = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - started

    pairs = []
    for turn in range(repeats + 1):
        with sorted_only():
            by_sorting = seconds()
        pairs += [(by_sorting, seconds())] if turn else []  # the first turn warms up
    by_sorting, by_votes = zip(*pairs, strict=True)
    return statistics.median(by_sorting), statistics.median(by_votes), statistics.median(a / b for a, b in pairs)


def copied_bytes_a_second(device: torch.device) -> float:
    """Returns how many bytes a second a copy of a large tensor reads and writes."""
    x = torch.zeros(1 << 30, dtype=torch.uint8, device=device)
    to = torch.empty_like(x)
    return 2 * len(x) / median_seconds(lambda: to.copy_(x), 20, device)[0]


def measure(name: str, scores: ScoreSet, stack: Stack, repeats: int, shown: Table) -> None:
    """Insists that both ways count the same, and adds a row for the medians alone and one for the whole sweep."""
    with sorted_only():
        wanted = sweep(scores, stack, METRIC)
    found = sweep(scores, stack, METRIC)
    for column, counts in wanted.counts.items():
        if not torch.equal(found.counts[column], counts):
            raise SystemExit(f"{name}: the column '{column}' is another one by votes than by sorting.")
    assert stack.threshold is not None
    levels = levels_of(scores.scores.flatten(0, 1), thresholds_of(stack.threshold, scores.device)).T.contiguous()
    works = {
        "medians": lambda: stack.filter_all(levels, scores.frames),
        "sweep": lambda: sweep(scores, stack, METRIC),
    }
    for part, work in works.items():
        by_sorting, by_votes, ratio = in_turns(work, repeats, scores.device)
        shown.add_row(f"{name}, {part}", f"{by_sorting * 1e3:.0f}", f"{by_votes * 1e3:.0f}", f"{ratio:.2f}")


def main() -> None:
    """Checks, measures, and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="pairs of calls of which the median counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads for the core")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--clips", type=int, help="the first clips only, for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    stack = Stack.from_config([
        {"stage": "median"}, {"stage": "threshold", "threshold": {"low": 0.01, "high": 0.99, "count": 50}},
    ])  # fmt: skip
    sets = {
        "real scores, dithered": real_or_simulated_scores(),
        "real scores, 50 levels": real_or_simulated_scores(dithered=False),
    }
    if options.clips:
        sets = {name: scores.select(range(min(options.clips, scores.n_clips))) for name, scores in sets.items()}
    first = next(iter(sets.values()))
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(first.scores.shape, generator=generator) * first.valid[:, None]
    sets["uniform noise"] = ScoreSet.build(
        noise, first.edges, first.clip_ids, first.classes, first.n_frames, first.durations, first.references
    )
    note(f"{first.n_clips} clips x {first.n_classes} classes x {first.width} frames on {device}; {options.threads} threads, "
         f"load {os.getloadavg()[0]:.1f}; medians of {options.repeats}.")  # fmt: skip
    shown = Table("what", "sorting, ms", "votes where they promise more, ms", "ratio of pairs")
    for name, scores in sets.items():
        measure(name, scores.to(device), stack, options.repeats, shown)
    console.print(shown)
    if device.type == "cuda":
        scores = first.to(device)
        with Traffic() as traffic:
            sweep(scores, stack, METRIC)
        seconds = median_seconds(lambda: sweep(scores, stack, METRIC), options.repeats, device)[0]
        rate, most = traffic.bytes_moved / seconds, copied_bytes_a_second(device)
        console.print(f"The sweep's steps read and write {traffic.bytes_moved / 1e9:.2f} GB in {seconds * 1e3:.1f} ms: "
                      f"{rate / 1e9:.0f} GB/s, {rate / most:.0%} of the {most / 1e9:.0f} GB/s of a copy.")  # fmt: skip


if __name__ == "__main__":
    main()
