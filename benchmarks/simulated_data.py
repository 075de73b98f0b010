"""What can be reached on the simulated data set: threshold 0.5, best constants, policies, and two oracles.

    python benchmarks/simulated_data.py --clips 1168 --seeds 0,1,2

All figures are event-based macro F1 in percent, tuned on four folds and counted on the fifth. One oracle knows the
simulator's hidden drift of every clip: constants tuned and applied on the scores without it. The other picks the best
candidate for every clip and class by looking at the references: a ceiling that no honest policy reaches.
"""

from __future__ import annotations

import argparse

import torch
from rich.console import Console
from rich.table import Table
from rl_postproc.agents import make_agent

from rl_postproc.counts.grid import count_decisions
from rl_postproc.counts.table import CountTable
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.metrics.f1 import DETECTION
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate_with_truth
from rl_postproc.task import TuningTask


def held_out(task: TuningTask, agent: str) -> float:
    """Returns the macro F1 of an agent over five held-out folds, in percent."""
    fold = fold_of_clips(task.scores.clip_ids)
    columns, shape = task.metric.columns, task.scores.scores.shape[:2]
    counts = torch.zeros(len(columns), *shape, dtype=torch.int64)
    for k in range(5):
        clips = (fold == k).nonzero()[:, 0]
        processor = make_agent(agent).fit(task.select((fold != k).nonzero()[:, 0]), 0).post_processor
        scores = task.scores.select(clips)
        found = count_decisions(scores, task.metric, task.stack.decide(scores, processor.choose(scores)))
        counts[:, clips] = torch.stack([found[name] for name in columns])
    return 100 * task.metric.summarise(dict(zip(columns, counts.sum(1), strict=True))).macro


def best_choice(table: CountTable, rounds: int = 10) -> float:
    """Returns the macro F1 of the best candidate for every clip and class, in percent (Dinkelbach iteration)."""
    lam = torch.zeros(table.n_classes)
    score = 0.0
    for _ in range(rounds):
        hits, found = (table.counts[name].float() for name in DETECTION[:2])
        scored = table.score((2 * hits - lam[:, None] * found).argmax(-1))
        lam, score = scored.by_class.nan_to_num(0.0).float(), scored.macro
    return 100 * score


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1168)
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the simulator, separated by commas")
    parser.add_argument("--difficulty", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    names = ("seed", "threshold 0.5", "best constants", "event_value", "constants, drift known", "best choice per clip")
    table = Table(*names, title=f"simulated data set, {options.clips} clips, difficulty {options.difficulty}")
    for seed in (int(part) for part in options.seeds.split(",")):
        drifted, plain = simulate_with_truth(
            SimulationConfig(n_clips=options.clips, seed=seed, difficulty=options.difficulty)
        )
        task, known = TuningTask.build(drifted), TuningTask.build(plain)
        figures = [held_out(task, agent) for agent in ("default", "grid_search", "event_value")]
        figures += [held_out(known, "grid_search"), best_choice(task.table)]
        table.add_row(str(seed), *(f"{value:.1f}" for value in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
