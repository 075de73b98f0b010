"""Threshold learning and search on simulated tags of AudioSet's size: 20 371 clips, 527 tags.

python benchmarks/sgl_thresh_audioset.py --threads 2
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rl_postproc.agents.thresholds.heu_thresh import HeuThresh
from rl_postproc.agents.thresholds.num_thresh import NumThresh
from rl_postproc.agents.thresholds.sgl_thresh import PRESETS
from rl_postproc.agents.thresholds.surrogate import learn_thresholds

from rl_postproc.counts.choice import macro_gain, micro_gain
from rl_postproc.counts.column_counts import ColumnCounts
from rl_postproc.metrics.f1 import DETECTION, mean_f1


def simulate_tags(n_clips: int, n_tags: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns scores float32 and reference tags bool, ``[clip, tag]``.

    Tags are as rare and as uneven as AudioSet's (about 2.7 a clip, a few very frequent). A score is the probability of
    the tag given a noisy cue, shifted by an error of calibration; how good the cue is and how large the error belongs
    to the tag and is drawn from a fixed seed, so that two sets come from the same detector.
    """
    detector = np.random.default_rng(0)
    share = detector.pareto(0.8, n_tags) + 0.2
    share = np.minimum(0.4, 2.7 * share / share.sum())
    distance, error = detector.normal(2.8, 0.8, n_tags).clip(0.5), detector.normal(0, 1.0, n_tags)
    truth = rng.random((n_clips, n_tags)) < share
    cue = rng.standard_normal((n_clips, n_tags), dtype=np.float32) + (distance * truth).astype(np.float32)
    offset = np.log(share / (1 - share)) - distance**2 / 2 + error
    logits = distance.astype(np.float32) * cue + offset.astype(np.float32)
    return torch.sigmoid(torch.from_numpy(logits)), torch.from_numpy(truth)


def exact_macro(counts: ColumnCounts) -> torch.Tensor:
    return counts.best(macro_gain(counts.reference)).threshold


def exact_micro(counts: ColumnCounts) -> torch.Tensor:
    total, lam, best = int(counts.reference.sum()), -1.0, torch.empty(0)
    while True:
        choice = counts.best(micro_gain(max(lam, 0.0)))
        reached = 2 * int(choice.true_positives.sum()) / max(1, int(choice.estimated.sum()) + total)
        if reached <= lam:
            return best
        lam, best = reached, choice.threshold


def percent(counts: ColumnCounts, thresholds: torch.Tensor, average: str) -> float:
    found = dict(zip(DETECTION, (*counts.at(thresholds), counts.reference), strict=True))
    return 100 * float(mean_f1(found, average))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20371)
    parser.add_argument("--tags", type=int, default=527)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(args.seed)
    train, held = (simulate_tags(args.clips, args.tags, rng) for _ in range(2))
    tested = ColumnCounts.of_items(*held)
    begin = time.perf_counter()
    counts = ColumnCounts.of_items(*train)
    building = time.perf_counter() - begin
    print(f"{args.clips} x {args.tags} tags, {args.threads} threads; counts at all thresholds: {building:.2f} s")
    start = PRESETS["audioset"]["start"]
    searches = {
        f"threshold {start}": lambda: torch.full((args.tags,), start),
        "SGL-Thresh micro": lambda: learn_thresholds(counts, **PRESETS["audioset"])[0],
        "SGL-Thresh macro": lambda: learn_thresholds(counts, **{**PRESETS["audioset"], "average": "macro"})[0],
        "exact micro": lambda: exact_micro(counts),
        "exact macro": lambda: exact_macro(counts),
        "numThresh micro": lambda: NumThresh(start=start).climb(counts)[0],
        "heuThresh micro": lambda: HeuThresh(start=start).search(counts, np.random.default_rng(args.seed)),
    }
    print(f"{'':20} seconds (with counts)  micro F1 held out (training)  macro F1 held out (training)")
    for name, search in searches.items():
        begin = time.perf_counter()
        thresholds = search()
        seconds = time.perf_counter() - begin
        micro, macro = ([percent(c, thresholds, kind) for c in (tested, counts)] for kind in ("micro", "macro"))
        print(
            f"{name:20} {seconds:7.2f} ({seconds + building:5.2f})        {micro[0]:6.2f} ({micro[1]:.2f})"
            f"                {macro[0]:6.2f} ({macro[1]:.2f})"
        )


if __name__ == "__main__":
    main()
