"""Which constants hold out: `grid_search` by its three selections, on many sets and stacks.

    python benchmarks/selection.py

Macro F1 held out on five folds, as gains over ``maximum`` in points: mean and standard error over the DESED validation set
(where `rl-postproc download desed-baseline-2021` has put it) and eleven simulated ones. About five minutes on one core.
"""

from __future__ import annotations

import statistics

import torch
from measure import console, note, real_or_simulated_scores
from rich.progress import track
from rich.table import Table
from rl_postproc.agents import make_agent

from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.metrics.base import total_counts
from rl_postproc.pipeline.presets import load_preset
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask

SELECTIONS = ("maximum", "smoothed", "inner_folds")
RICH = load_preset("rich").stack[0]["stacks"]
STACKS = {
    "median_threshold": "median_threshold",
    "hysteresis": RICH["hysteresis"],
    "boxes": RICH["boxes"],
    "rich": "rich",
}


def held_out(task: TuningTask, n_folds: int = 5) -> list[float]:
    """Returns the held-out macro F1 of each selection, in percent."""
    fold, totals = fold_of_clips(task.scores.clip_ids, n_folds), [{} for _ in SELECTIONS]
    for k in range(n_folds):
        train, held = (task.select((fold != k).nonzero()[:, 0]), task.select((fold == k).nonzero()[:, 0]))
        for selection, total in zip(SELECTIONS, totals, strict=True):
            values = make_agent({"agent": "grid_search", "selection": selection}).fit(train, 0).post_processor
            counts = task.metric.count(held.scores.require_references(), values.apply(held.scores))
            for name, column in total_counts(counts).items():
                total[name] = total.get(name, 0) + column
    return [100 * task.metric.summarise(total).macro for total in totals]


def main() -> None:
    torch.set_num_threads(1)
    sizes = [(300, 100 + i) for i in range(8)] + [(1000, 200 + i) for i in range(3)]
    sets: list[ScoreSet] = [real_or_simulated_scores(dithered=False)]
    sets += [simulate(SimulationConfig(n_clips=n, seed=seed)) for n, seed in sizes]
    table = Table("stack", *SELECTIONS, title="Gain over the maximum, in points (first set)", title_justify="left")
    for name, stack in STACKS.items():
        built = Stack.from_config(stack)
        reached = [held_out(TuningTask(scores, built, EventBased())) for scores in track(sets, name, console=console)]
        row = []
        for i in range(len(SELECTIONS)):
            gains = [own[i] - own[0] for own in reached]
            spread = statistics.stdev(gains) / len(gains) ** 0.5
            row.append(
                f"{reached[0][i]:.2f}" if i == 0 else f"{statistics.mean(gains):+.2f} ± {spread:.2f} ({gains[0]:+.2f})"
            )
        table.add_row(name, *row)
    note(f"{len(sets)} sets: {sets[0].n_clips} clips ({sets[0].origin.format}), then simulated ones")
    console.print(table)


if __name__ == "__main__":
    main()
