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

from rl_postproc.counts import CountTable
from rl_postproc.exact import BestThresholds, sweep_exact
from rl_postproc.median import odd_kernel
from rl_postproc.metrics import EventBased
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack, decode_events
from rl_postproc.sweep import sweep

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
            last = scores.offset_times(torch.tensor(i), frames[-1:])
            times = torch.cat([scores.onset_times(torch.tensor(i), frames), last]).numpy()
            self._clips.append((clip, scores.scores[i, :, :n].T.contiguous().numpy(), times))
        self._references: dict[str, list] = {clip: [] for clip in scores.clip_ids}
        for clip, onset, offset, label in scores.require_references().rows():
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


def check_exact(best: BestThresholds, setting: int, found: dict[str, Any], classes: tuple[str, ...]) -> None:
    """Insists that the best F1 of each class is the same."""
    for i, name in enumerate(classes):
        f, tp, fp = found[name]
        mine = float(best.f1[i, setting])
        if abs(f - mine) > 1e-9:
            counts = int(best.true_positives[i, setting]), int(best.estimated[i, setting])
            raise SystemExit(
                f"{name}, kernel {setting}: sed_scores_eval has F1 {f} ({tp} of {tp + fp}), we {mine} {counts}"
            )


class SedEval:
    """One operating point as sed_eval takes it: event lists by clip."""

    def __init__(self, scores: ScoreSet, stack: Stack, candidate: int):
        estimates = decode_events(scores, stack.decide(scores, stack.space.values[candidate]))
        self.classes = list(scores.classes)
        self._clips = []
        lists = []
        for events in (scores.require_references(), estimates):
            by_clip: dict[str, list] = {clip: [] for clip in scores.clip_ids}
            for clip, onset, offset, label in events.rows():
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
    true_positives, estimated, _ = table.totals()
    mine = [true_positives[:, candidate].tolist(), estimated[:, candidate].tolist()]
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
    best = sweep_exact(scores, stack, TOLERANT).best_thresholds()
    for setting, kernel in enumerate(kernels):
        check_exact(best, setting, peer.best(kernel), scores.classes)
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
        "exact": median_seconds(lambda: sweep_exact(scores, stack, TOLERANT).best_thresholds(), repeats)[0],
    }
    shown = Table("what", "seconds", "x sed_eval", "x sed_scores_eval")
    names = {
        "sed_eval": f"sed_eval, one operating point x {stack.space.n_candidates}",
        "sed_scores_eval": f"scipy's filter and sed_scores_eval, best of all thresholds, {len(kernels)} kernels",
        "grid": f"sweep: table of {len(kernels)} kernels x {n_thresholds} thresholds, every clip and class",
        "exact": f"sweep_exact and best_thresholds: best of all thresholds, {len(kernels)} kernels",
    }
    for key, name in names.items():
        ratios = (f"{seconds[peer_key] / seconds[key]:.1f}" for peer_key in ("sed_eval", "sed_scores_eval"))
        shown.add_row(name, f"{seconds[key]:.3f}", *ratios)
    console.print(shown)


if __name__ == "__main__":
    main()
