"""PSDS of events with learned confidences, held out, beside what is usual; and how long PSDS takes beside its peers.

    python benchmarks/psds.py --scenario 1
    pip install -e ".[bench]" && python benchmarks/psds.py --peers

Five folds of the DESED validation set (where `rl-postproc download desed-baseline-2021` has put it), whose held-out events
are pooled. Whatever is chosen is chosen for each class by the area under its ROC on the training clips of a fold. Intervals
are of clips drawn with replacement, the same for every method. About five minutes a scenario and seed on one core.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from measure import console, median_seconds, note, real_or_simulated_scores
from psds_peers import PsdsEval, SedScoresEval
from rich.table import Table
from rl_postproc.agents import make_agent

from rl_postproc.data.events import Events
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.intersection.frame_scores import stretches_of_scores
from rl_postproc.metrics.intersection.psds import SCENARIOS, class_areas
from rl_postproc.metrics.intersection.ranked_counts import RankedCounts, Stretches, count_ranked
from rl_postproc.metrics.intersection.ranking import Psds1, Psds2
from rl_postproc.metrics.intersection.resampling import resampled_psds
from rl_postproc.pipeline.stack import Stack
from rl_postproc.results.bootstrap import interval
from rl_postproc.task import TuningTask

N_FOLDS = 5
STEPS = ("clip", "label", "value", "true_positives", "false_positives", "crossed", "cross_triggers")
BOXES = Stack.from_config("csebbs").to_config()[0]["stacks"]
RUNS = Stack.from_config("median_threshold").to_config()
PROPOSERS = [{"stage": "one_of", "stacks": {"runs": RUNS, **BOXES}}]


@dataclass(frozen=True)
class Method:
    """A method's pooled held-out counts, one for each seed, and the seconds that all its folds took."""

    counts: list[RankedCounts]
    seconds: float


class Comparison:
    """All methods on the folds of a score set, in one scenario."""

    def __init__(self, scores: ScoreSet, scenario: int):
        self.scores, self.number, self.scenario = scores, scenario, SCENARIOS[scenario]
        self.fold = fold_of_clips(scores.clip_ids, N_FOLDS)

    def counts(self, found: Events | Stretches) -> RankedCounts:
        """Returns counts at every threshold, in the scenario."""
        stretches = Stretches.of_events(found) if isinstance(found, Events) else found
        return count_ranked(self.scores.require_references(), stretches, self.scores.durations, self.scenario.criteria)

    def chosen(self, settings: list[RankedCounts]) -> RankedCounts:
        """Returns the held-out counts of the setting of each class that is best on the training clips of each fold."""
        kept = [torch.zeros(len(own.clip), dtype=torch.bool) for own in settings]
        for k in range(N_FOLDS):
            train = (self.fold != k).double()
            best = np.argmax([class_areas(own, self.scenario, train) for own in settings], 0)
            for i, own in enumerate(settings):
                kept[i] |= (self.fold[own.clip] == k) & torch.from_numpy(best == i)[own.label]
        steps = {
            name: torch.cat([getattr(own, name)[some] for own, some in zip(settings, kept, strict=True)])
            for name in STEPS
        }
        return replace(settings[0], **steps)

    def raw(self) -> RankedCounts:
        """Frame scores as they are, above every threshold."""
        return self.counts(stretches_of_scores(self.scores))

    def median(self) -> RankedCounts:
        """Frame scores behind the median filter of each class."""
        return self.chosen([self.counts(stretches_of_scores(own)) for own in filtered(self.scores)])

    def csebbs(self) -> RankedCounts:
        """Boxes with their own confidence: the settings of the published grid."""
        settings = []
        for stages in BOXES.values():
            stack = Stack.from_config(stages[:1])
            settings += [self.counts(stack.events(self.scores, values)) for values in stack.space.values]
        return self.chosen(settings)

    def whole_clip(self) -> RankedCounts:
        """An event over each whole clip, by the greatest score times the root of the mean."""
        x = self.scores.scores
        sure = x.amax(2) * (x.sum(2) / self.scores.n_frames[:, None]).sqrt()
        clip, label = torch.ones_like(sure, dtype=torch.bool).nonzero().unbind(1)
        onset, offset = torch.zeros(len(clip), dtype=torch.float64), self.scores.durations[clip]
        return self.counts(
            Events.from_tensors(self.scores.clip_ids, self.scores.classes, clip, label, onset, offset, sure.flatten())
        )

    def ranking(self, seed: int) -> RankedCounts:
        """The agent, fitted on the training clips of each fold."""
        columns = []
        for k in range(N_FOLDS):
            train, held = (self.fold != k).nonzero()[:, 0], (self.fold == k).nonzero()[:, 0]
            task = TuningTask.build(self.scores.select(train), Stack.from_config(PROPOSERS))
            fit = make_agent({"agent": "event_ranking", "scenario": self.number}).fit(task, seed)
            found = fit.post_processor.apply(replace(self.scores.select(held), references=None))
            columns.append((held[found.clip], found.label, found.onset, found.offset, found.confidence))
            note(f"fold {k}: {fit.curve[-1]} on inner held-out clips")
        parts = (torch.cat(column) for column in zip(*columns, strict=True))
        return self.counts(Events.from_tensors(self.scores.clip_ids, self.scores.classes, *parts))

    def methods(self, seeds: int) -> dict[str, Method]:
        """Returns all methods by name."""
        works = {
            "raw frame scores": [self.raw],
            "median per class": [self.median],
            "cSEBBs, published grid": [self.csebbs],
            "whole-clip box, max · √mean": [self.whole_clip],
            "event_ranking": [lambda seed=seed: self.ranking(seed) for seed in range(seeds)],
        }
        found = {}
        for name, runs in works.items():
            started = time.perf_counter()
            counts = [run() for run in runs]
            found[name] = Method(counts, (time.perf_counter() - started) / len(runs))
        return found


def filtered(scores: ScoreSet) -> list[ScoreSet]:
    """Returns the scores behind each median filter of the default stack."""
    x = Stack.default().filter_all(scores.scores.flatten(0, 1).T.contiguous(), scores.frames)
    return [replace(scores, scores=own.T.contiguous().reshape(scores.scores.shape)) for own in x]


def compare(scores: ScoreSet, scenario: int, seeds: int, samples: int) -> None:
    own = Comparison(scores, scenario)
    methods = own.methods(seeds)
    started = time.perf_counter()
    drawn = {
        name: torch.stack([resampled_psds(counts, own.scenario, samples) for counts in method.counts]).mean(0)
        for name, method in methods.items()
    }
    seconds = (time.perf_counter() - started) / sum(len(method.counts) for method in methods.values())
    over = ("cSEBBs, published grid", "whole-clip box, max · √mean")
    table = Table("method", f"PSDS{scenario}", *(f"over {name.split(',')[0]}" for name in over), "seconds")
    areas = Table("area under the ROC", *(name[:10] for name in scores.classes))
    for name, method in methods.items():
        value = interval(drawn[name])
        gains = [interval(drawn[name] - drawn[other]) for other in over]
        shown = [f"{g.value:+.3f} ({g.low:+.3f} to {g.high:+.3f})" if name != o else ""
                 for g, o in zip(gains, over, strict=True)]  # fmt: skip
        table.add_row(name, f"{value.value:.4f} ({value.low:.3f} to {value.high:.3f})", *shown, f"{method.seconds:.1f}")
        mean = np.mean([class_areas(counts, own.scenario) for counts in method.counts], 0)
        areas.add_row(name, *(f"{area:.3f}" for area in mean))
    console.print(table, areas, f"{samples} samples of clips: {seconds:.1f} s a method.")


def speed(scores: ScoreSet, scenario: int, repeats: int) -> None:
    """Ten filter settings: the same PSDS first, then the times."""
    own, metric, references = SCENARIOS[scenario], (Psds1(), Psds2())[scenario - 1], scores.require_references()

    def ours() -> list[float]:
        return [metric.value(references, one, scores.durations).overall for one in filtered(scores)]

    seconds, values = median_seconds(ours, repeats)
    peer, points = SedScoresEval(scores, own), PsdsEval(scores, own)
    peer_seconds, theirs = median_seconds(peer.all_filters, 1)
    worst = max(abs(a - b) for a, b in zip(values, theirs, strict=True))
    if worst > 1e-6:
        raise SystemExit(f"PSDS{scenario} differs by {worst} from sed_scores_eval's.")
    levels = np.linspace(0.01, 0.99, 50)
    some = levels[::10]
    started = time.perf_counter()
    points.psds(some)
    point_seconds = (time.perf_counter() - started) * len(levels) / len(some) * len(values)
    table = Table(f"PSDS{scenario} of {len(values)} median filters", "seconds", "times ours")
    table.add_row("ours, all thresholds", f"{seconds:.2f}", "")
    table.add_row(
        "scipy's filter and sed_scores_eval, all thresholds", f"{peer_seconds:.2f}", f"{peer_seconds / seconds:.1f}"
    )
    table.add_row(f"psds_eval, {len(levels)} thresholds ({len(some)} timed, without filter and decoding)",
                  f"{point_seconds:.2f}", f"{point_seconds / seconds:.1f}")  # fmt: skip
    console.print(table, f"Greatest difference from sed_scores_eval: {worst:.1e}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", type=int, choices=[1, 2], help="of PSDS; both by default")
    parser.add_argument("--seeds", type=int, default=1, help="of event_ranking")
    parser.add_argument("--samples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument(
        "--peers", action="store_true", help="compare the times with psds_eval and sed_scores_eval instead"
    )
    parser.add_argument("--repeats", type=int, default=3, help="calls of which the median counts")
    parser.add_argument("--clips", type=int, help="the first clips only, for a quick look")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    scores = real_or_simulated_scores(dithered=options.peers)
    if options.clips:
        scores = scores.select(range(min(options.clips, scores.n_clips)))
    note(f"{scores.n_clips} clips x {scores.n_classes} classes x {scores.width} frames; one thread, "
         f"load {os.getloadavg()[0]:.1f}.")  # fmt: skip
    for scenario in [options.scenario] if options.scenario else [1, 2]:
        if options.peers:
            speed(scores, scenario, options.repeats)
        else:
            compare(scores, scenario, options.seeds, options.samples)


if __name__ == "__main__":
    main()
