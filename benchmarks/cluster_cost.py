"""What a benchmark on many clips costs on a cluster: core-hours, hours, memory and money, from measured rates.

    python benchmarks/cluster_cost.py --fit 60 --apply 5 --clips 100000 --folds 5 --seeds 1 --cores 64 --price 0.04

`--fit` and `--apply` are the seconds that a core takes for 1 000 clips to tune on them and to apply what was tuned;
`python benchmarks/audioset_strong.py` measures them. `--gib` is the peak memory of a fold, `--price` that of a core and hour.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a benchmark of one agent costs.

    Attributes:
        core_hours: of work.
        hours: until the end, with whole folds on each core.
        gib: memory of all cores at work.
        money: core-hours times their price.
    """

    core_hours: float
    hours: float
    gib: float
    money: float


def cost(*, fit: float, apply: float, clips: int, folds: int, seeds: int, cores: int, gib: float, price: float) -> Cost:
    """Returns what folds and seeds of one agent cost.

    A fold tunes on the clips of all other folds, applies to them, and applies to its own.

    Args:
        fit: seconds of a core for 1 000 clips to tune on them.
        apply: seconds of a core for 1 000 clips to apply to them.
        clips: of the data set.
        folds: into which they are dealt.
        seeds: of the agent.
        cores: of the cluster, one for each fold at work.
        gib: peak memory of one fold.
        price: of a core and hour, with its memory.
    """
    others = clips * (folds - 1) / folds
    seconds = (others * (fit + apply) + clips / folds * apply) / 1000
    tasks, at_work = folds * seeds, min(cores, folds * seeds)
    rounds = -(-tasks // at_work)
    core_hours = tasks * seconds / 3600
    return Cost(core_hours, rounds * seconds / 3600, at_work * gib, core_hours * price)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("fit", "apply"):
        parser.add_argument(f"--{name}", type=float, required=True, help="seconds of a core for 1 000 clips")
    for name, value in (("clips", 100_000), ("folds", 5), ("seeds", 1), ("cores", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--gib", type=float, default=8.0, help="peak memory of a fold")
    parser.add_argument("--price", type=float, default=0.05, help="of a core and hour, with its memory")
    found = cost(**vars(parser.parse_args()))
    print(
        f"{found.core_hours:.2f} core-hours, {found.hours:.2f} hours, {found.gib:.0f} GiB at work, {found.money:.2f} in money"
    )


if __name__ == "__main__":
    main()
