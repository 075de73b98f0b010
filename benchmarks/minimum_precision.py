"""Whether a minimum precision holds on clips that were not tuned on: F1 under a minimum precision, on simulated sets.

    python benchmarks/minimum_precision.py [--seeds 50] [--clips 500] [--minimum 0.6] [--agents grid_search,event_value]

Each seed simulates a set, tunes on every second clip and counts on the others. A class is promised its minimum where the
training clips (inner folds of them, left out in turn) reach it, with its confidence; of the others a note tells what they
reach. Columns, in percent of all classes and seeds: promised; promised and broken, which the confidence bounds; of the
promised those that are kept, and of the class that keeps the fewest; seeds in which all are kept; classes that have the
minimum, promised or not; precision (mean over classes) and macro F1 on the other clips. Half an hour on one core.
"""

from __future__ import annotations

import argparse

import torch
from measure import console, note
from rich.progress import track
from rich.table import Table
from rl_postproc.agents import make_agent

from rl_postproc.metrics import EventBased, F1AtPrecision, Macro, Objective
from rl_postproc.metrics.base import floating, total_counts
from rl_postproc.pipeline.presets import load_preset
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate
from rl_postproc.task import TuningTask

CLASSES = ["Speech", "Dog", "Dishes", "Cat"]
DIFFICULTY = 0.3


def objectives(minimum: float) -> dict[str, Objective]:
    """Returns what is tuned for, by name."""
    return {
        "macro F1": Macro(),
        "minimum": F1AtPrecision(precision=minimum),
        "… with confidence 0.9": F1AtPrecision(precision=minimum, confidence=0.9),
    }


def one_seed(seed: int, n_clips: int, agent: str, minimum: float) -> dict[str, dict[str, torch.Tensor]]:
    """Returns, by objective, which classes are promised the minimum and their counts on clips that were not tuned on."""
    scores = simulate(SimulationConfig(n_clips=2 * n_clips, seed=seed, classes=CLASSES, difficulty=DIFFICULTY))
    task = TuningTask(scores, Stack.from_config(load_preset("median_threshold").stack), EventBased())
    _ = task.table
    train, held = (task.select(torch.arange(first, 2 * n_clips, 2)) for first in (0, 1))
    found = {}
    for name, objective in objectives(minimum).items():
        fit = make_agent(agent).fit(train.with_objective(objective), seed)
        other = task.metric.count(held.scores.require_references(), fit.post_processor.apply(held.scores))
        promised = torch.zeros(len(CLASSES), dtype=torch.bool)
        if objective.constrained:
            own = fit.held_out
            if own is None:
                own = total_counts(
                    task.metric.count(train.scores.require_references(), fit.post_processor.apply(train.scores))
                )
            missed = objective.missed(task.metric, own, CLASSES)
            promised = torch.tensor([label not in missed for label in CLASSES])
        found[name] = {"promised": promised, **floating(total_counts(other))}
    return found


def summary(runs: list[dict[str, torch.Tensor]], minimum: float) -> dict[str, float]:
    """Returns the figures of the table from the runs of all seeds."""
    run = {name: torch.stack([own[name] for own in runs]) for name in runs[0]}
    promised = run["promised"]
    precision = run["true_positives"] / run["estimated"].clamp(min=1)
    met = precision >= minimum
    by_class = (met & promised).sum(0) / promised.sum(0)
    return {
        "promised": float(promised.double().mean()),
        "broken": float((promised & ~met).double().mean()),
        "met": float((met & promised).sum() / promised.sum()),
        "fewest": float(by_class[~by_class.isnan()].min()) if bool(promised.any()) else float("nan"),
        "all": float((met | ~promised).all(1).double().mean()) if bool(promised.any()) else float("nan"),
        "any": float(met.double().mean()),
        "precision": float(precision.mean()),
        "f1": float(Macro().value(EventBased(), run).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--minimum", type=float, default=0.6)
    parser.add_argument("--agents", default="grid_search,event_value")
    given = parser.parse_args()
    torch.set_num_threads(1)
    note(f"{given.seeds} simulated sets of {', '.join(CLASSES)}, difficulty {DIFFICULTY}; {given.clips} clips to tune on and "
         f"{given.clips} others; minimum precision {given.minimum}")  # fmt: skip
    table = Table("agent", "objective", "promised", "broken", "kept, of promised", "worst class", "seeds, all kept",
                  "have it", "precision", "macro F1")  # fmt: skip
    for agent in given.agents.split(","):
        seeds = track(range(given.seeds), agent, console=console)
        runs = [one_seed(seed, given.clips, agent, given.minimum) for seed in seeds]
        for name in runs[0]:
            found = summary([run[name] for run in runs], given.minimum)
            table.add_row(agent, name, *("" if value != value else f"{100 * value:.1f}" for value in found.values()))
    console.print(table)


if __name__ == "__main__":
    main()
