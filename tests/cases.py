"""Score sets, random cases and outside oracles that several tests share."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from rl_postproc.counts.grid import count_decisions
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.metrics import EventBased, Metric
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.simulation.data_set import simulate

Row = tuple[str, float, float, str]


def make_set(
    scores: torch.Tensor | np.ndarray,
    rows: Iterable[Row] = (),
    *,
    hop: float = 0.1,
    edges: torch.Tensor | None = None,
    n_frames: Sequence[int] | None = None,
    durations: Sequence[float] | None = None,
) -> ScoreSet:
    """Builds a set of scores ``[clip, class, frame]`` with clips c0, c1, … and classes k0, k1, …."""
    scores = torch.as_tensor(scores, dtype=torch.float32)
    clip_ids = [f"c{i}" for i in range(scores.shape[0])]
    classes = [f"k{i}" for i in range(scores.shape[1])]
    return ScoreSet.build(
        scores,
        torch.arange(scores.shape[2] + 1, dtype=torch.float64) * hop if edges is None else edges,
        clip_ids,
        classes,
        None if n_frames is None else torch.as_tensor(n_frames),
        None if durations is None else torch.as_tensor(durations, dtype=torch.float64),
        Events.from_rows(rows, clip_ids, classes),
    )


def decode_events(scores: ScoreSet, decisions: torch.Tensor) -> Events:
    """Returns the events of decisions bool ``[clip, class, frame]``; what lies beyond a clip's end is left out."""
    active = decisions & scores.valid[:, None]
    found = TrackEvents.from_decisions(active.flatten(0, 1).T, scores.frames)
    return found.to_events(scores.clip_ids, scores.classes)


def count_hits(scores: ScoreSet, metric: Metric, decisions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns true positives and estimates of decisions by the metric's fast path, int64 ``[clip, class]`` each."""
    counts = count_decisions(scores, metric, decisions)
    return counts["true_positives"], counts["estimated"]


def small_simulation(n_clips: int = 24, n_classes: int = 3, seed: int = 0, **settings: float) -> ScoreSet:
    """Returns a simulated set that is small enough for any test."""
    values = {"n_clips": n_clips, "n_classes": n_classes, "seed": seed, "clip_seconds": 5.0, **settings}
    return simulate(SimulationConfig.model_validate(values))


def sed_eval_scorer(references: Events, estimates: Events, metric: EventBased):
    """Feeds sed_eval with the events clip by clip, and returns its metrics object."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sed_eval

        scorer = sed_eval.sound_event.EventBasedMetrics(
            event_label_list=list(references.classes),
            t_collar=metric.t_collar,
            percentage_of_length=metric.percentage_of_length,
            evaluate_onset=metric.evaluate_onset,
            evaluate_offset=metric.evaluate_offset,
            event_matching_type="optimal",
            empty_system_output_handling="zero_score",
        )
        for clip in references.clip_ids:
            scorer.evaluate(
                *(
                    [
                        {"filename": name, "onset": onset, "offset": offset, "event_label": label}
                        for name, onset, offset, label in events.to_rows()
                        if name == clip
                    ]
                    for events in (references, estimates)
                )
            )
    return scorer


def sed_eval_totals(references: Events, estimates: Events, metric: EventBased) -> list[list[int]]:
    """Returns sed_eval's true positives, estimated and reference counts of each class."""
    scorer = sed_eval_scorer(references, estimates, metric)
    return [[round(scorer.class_wise[k][name]) for k in references.classes] for name in ("Ntp", "Nsys", "Nref")]


def maximum_matching(partners: Sequence[Sequence[int]]) -> int:
    """Returns the size of a maximum matching, by augmenting paths (Kuhn): ``partners[i]`` are what suits item i."""
    taken: dict[int, int] = {}

    def place(item: int, seen: set[int]) -> bool:
        for partner in partners[item]:
            if partner not in seen:
                seen.add(partner)
                if partner not in taken or place(taken[partner], seen):
                    taken[partner] = item
                    return True
        return False

    return sum(place(item, set()) for item in range(len(partners)))


def runs(active: Sequence[bool]) -> list[tuple[int, int]]:
    """Returns the first and last frame of each run of active frames, by a plain walk."""
    found, start = [], None
    for t, on in enumerate([*active, False]):
        if on and start is None:
            start = t
        elif not on and start is not None:
            found.append((start, t - 1))
            start = None
    return found
