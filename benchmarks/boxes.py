"""Change-detection boxes: all 18 published settings at all event thresholds, in seconds on one core.

    python benchmarks/boxes.py --repeats 5

The real scores where they are (`rl-postproc download desed-baseline-2021`), simulated ones elsewhere. First the table of 51
thresholds, for every clip and class, then the counts at every confidence that occurs and the exact optimum; that both agree
is checked before.
"""

from __future__ import annotations

import argparse

import torch
from measure import console, median_seconds, note, real_or_simulated_scores
from rich.table import Table

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import macro_gain
from rl_postproc.counts.grid import sweep
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scores, metric, stack = real_or_simulated_scores(), EventBased(), Stack.from_config("csebbs")

    def exact() -> list:
        counts = [sweep_all_thresholds(scores, branch, metric) for branch in stack.branches]
        for own in counts:
            own.best(macro_gain(own.column_reference))
        return counts

    tabulated, table = median_seconds(lambda: sweep(scores, stack, metric), arguments.repeats)
    counted, found = median_seconds(exact, arguments.repeats)
    for name in ("true_positives", "estimated"):
        looked_up = [own.table(stack.branches[0].space.parameters[-1].candidates).counts[name] for own in found]
        assert torch.equal(torch.cat(looked_up, -1).int(), table.counts[name].int()), name
    note(f"{scores.n_clips} clips x {scores.n_classes} classes x {scores.width} frames, {arguments.threads} thread(s), "
         f"median of {arguments.repeats}; both agree at the table's thresholds")  # fmt: skip
    shown = Table("18 settings of the boxes", "seconds", title="Change-detection boxes", title_justify="left")
    shown.add_row("the table of 51 event thresholds, for every clip and class", f"{tabulated:.2f}")
    shown.add_row("counts at all event thresholds, and the exact optimum of each class", f"{counted:.2f}")
    console.print(shown)


if __name__ == "__main__":
    main()
