"""The sweep against sed_eval and sed_scores_eval: the same counts first, then the times, in one process.

    pip install -e ".[bench]"
    python benchmarks/sweep_vs_peers.py --repeats 5

Ten median filters of the default stack. sed_scores_eval (Cython, exact over all thresholds) has its scores filtered by
scipy within the measured time; sed_eval gets ready-made event lists for one operating point, and its time for the grid
is that times the number of candidates. Scores are the real ones, dithered to full resolution.
"""

from __future__ import annotations

import argparse
import os
import warnings
from typing import Any

import numpy as np
import torch
from measure import console, median_seconds, note, real_or_simulated_scores
from rich.table import Table

from rl_postproc.counts.all_thresholds import sweep_all_thresholds
from rl_postproc.counts.choice import Choice, macro_gain
from rl_postproc.counts.grid import sweep
from rl_postproc.counts.table import CountTable
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, f1
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.sorting_networks import odd_kernel

warnings.filterwarnings("ignore")
COLLARS = {"onset_collar": 0.2, "offset_collar": 0.2, "offset_collar_rate": 0.2}
EXACT, TOLERANT = EventBased(), EventBased(comparison="tolerant")


class SedScoresEval:
    """The peer's view of a score set: arrays ``[frame, class]``, their times, and the references by clip."""

    def __init__(self, scores: ScoreSet):
        from sed_scores_eval.base_modules.scores import create_score_dataframe

        self._frame = create_score_dataframe
        self._classes = list(scores.classes)
        self._clips = []
        for i, (clip, n) in enumerate(zip(scores.clip_ids, scores.n_frames.tolist(), strict=True)):
            frames = torch.arange(n)
            last = scores.clip_frames.offset_times(torch.tensor(i), frames[-1:])
            times = torch.cat([scores.clip_frames.onset_times(torch.tensor(i), frames), last]).numpy()
            self._clips.append((clip, scores.scores[i, :, :n].T.contiguous().numpy(), times))
        self._references: dict[str, list] = {clip: [] for clip in scores.clip_ids}
        for clip, onset, offset, label in scores.require_references().to_rows():
            self._references[clip].append((onset, offset, label))

    def best(self, kernel: int) -> dict[str, Any]:
        """Filters all clips and returns the best counts of each class over all thresholds."""
        from scipy.ndimage import median_filter
        from sed_scores_eval.collar_based import best_fscore

        tables = {
            clip: self._frame(median_filter(x, size=(kernel, 1), mode="reflect"), times, self._classes)
            for clip, x, times in self._clips
        }
        f, _, _, _, counts = best_fscore(tables, self._references, **COLLARS, time_decimals=6, num_jobs=1)
        return {name: (f[name], counts[name]["tps"], counts[name]["fps"]) for name in self._classes}


def best_thresholds(scores: ScoreSet, stack: Stack) -> Choice:
    """Counts all thresholds, and finds the best one of each filter setting and class."""
    counts = sweep_all_thresholds(scores, stack, TOLERANT)
    return counts.best(macro_gain(counts.column_reference))


def check_exact(best: Choice, setting: int, found: dict[str, Any], scores: ScoreSet) -> None:
    """Insists that the best F1 of each class is the same."""
    reference = scores.require_references().counts().sum(0)
    hits, estimated = (part.reshape(-1, scores.n_classes)[setting] for part in best[1:])
    for i, (name, mine) in enumerate(zip(scores.classes, f1(hits, estimated, reference).tolist(), strict=True)):
        f, tp, fp = found[name]
        if abs(f - mine) > 1e-9:
            raise SystemExit(f"{name}, kernel {setting}: sed_scores_eval has F1 {f} ({tp} of {tp + fp}), "
                             f"we {mine} ({int(hits[i])} of {int(estimated[i])})")  # fmt: skip


class SedEval:
    """One operating point as sed_eval takes it: event lists by clip."""

    def __init__(self, scores: ScoreSet, stack: Stack, candidate: int):
        estimates = stack.events(scores, stack.space.values[candidate])
        self.classes = list(scores.classes)
        self._clips = []
        lists = []
        for events in (scores.require_references(), estimates):
            by_clip: dict[str, list] = {clip: [] for clip in scores.clip_ids}
            for clip, onset, offset, label in events.to_rows():
                by_clip[clip].append({"filename": clip, "onset": onset, "offset": offset, "event_label": label})
            lists.append(by_clip)
        self._clips = [(lists[0][clip], lists[1][clip]) for clip in scores.clip_ids]

    def counts(self) -> list[list[int]]:
        """Returns true positives and estimates of each class."""
        import sed_eval

        scorer = sed_eval.sound_event.EventBasedMetrics(
            self.classes, t_collar=0.2, percentage_of_length=0.2, empty_system_output_handling="zero_score"
        )
        for references, estimates in self._clips:
            scorer.evaluate(references, estimates)
        return [[round(scorer.class_wise[k][name]) for k in self.classes] for name in ("Ntp", "Nsys")]


def check_grid(table: CountTable, candidate: int, found: list[list[int]]) -> None:
    """Insists that the table's counts of a candidate are sed_eval's."""
    totals = table.totals()
    mine = [totals[name][candidate].tolist() for name in ("true_positives", "estimated")]
    if mine != found:
        raise SystemExit(f"Candidate {candidate}: sed_eval counts {found}, we {mine}.")


def main() -> None:
    """Checks, measures, and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the median counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads for the core")
    parser.add_argument("--quantised", action="store_true", help="leave the scores at their 50 levels")
    parser.add_argument("--clips", type=int, help="the first clips only, for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    scores = real_or_simulated_scores(not options.quantised)
    if options.clips:
        scores = scores.select(range(min(options.clips, scores.n_clips)))
    stack = Stack.from_config([
        {"stage": "median"}, {"stage": "threshold", "threshold": {"low": 0.01, "high": 0.99, "count": 50}},
    ])  # fmt: skip
    kernels = [odd_kernel(k, scores.hop) for k in stack.space.parameters[0].candidates]
    n_thresholds = stack.space.sizes[1]
    note(f"{scores.n_clips} clips x {scores.n_classes} classes x {scores.width} frames; kernels {kernels}; "
         f"{options.threads} threads, load {os.getloadavg()[0]:.1f}; medians of {options.repeats}.")  # fmt: skip

    peer = SedScoresEval(scores)
    best = best_thresholds(scores, stack)
    for setting, kernel in enumerate(kernels):
        check_exact(best, setting, peer.best(kernel), scores)
    table = sweep(scores, stack, EXACT)
    candidates = [0, *np.random.default_rng(0).integers(0, stack.space.n_candidates, 4).tolist()]
    points = [SedEval(scores, stack, candidate) for candidate in candidates]
    for candidate, point in zip(candidates, points, strict=True):
        check_grid(table, candidate, point.counts())
    console.print(f"Agree: best F1 of {len(kernels)} kernels x {scores.n_classes} classes with sed_scores_eval; counts "
                  f"of candidates {candidates} with sed_eval.")  # fmt: skip

    repeats = options.repeats
    middle = SedEval(scores, stack, n_thresholds // 2)
    seconds = {
        "sed_eval": median_seconds(middle.counts, repeats)[0] * stack.space.n_candidates,
        "sed_scores_eval": median_seconds(lambda: [peer.best(kernel) for kernel in kernels], repeats)[0],
        "grid": median_seconds(lambda: sweep(scores, stack, EXACT), repeats)[0],
        "exact": median_seconds(lambda: best_thresholds(scores, stack), repeats)[0],
    }
    shown = Table("what", "seconds", "x sed_eval", "x sed_scores_eval")
    names = {
        "sed_eval": f"sed_eval, one operating point x {stack.space.n_candidates}",
        "sed_scores_eval": f"scipy's filter and sed_scores_eval, best of all thresholds, {len(kernels)} kernels",
        "grid": f"sweep: table of {len(kernels)} kernels x {n_thresholds} thresholds, every clip and class",
        "exact": f"sweep_all_thresholds and best: best of all thresholds, {len(kernels)} kernels",
    }
    for key, name in names.items():
        ratios = (f"{seconds[peer_key] / seconds[key]:.1f}" for peer_key in ("sed_eval", "sed_scores_eval"))
        shown.add_row(name, f"{seconds[key]:.3f}", *ratios)
    console.print(shown)


if __name__ == "__main__":
    main()
