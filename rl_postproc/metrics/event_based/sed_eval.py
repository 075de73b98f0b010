"""The oracle of the event-based metric: sed_eval's own counts and figures of an event list."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import CertificationError, Counts, Score
from rl_postproc.metrics.event_based.collars import CollarMetric


def certify(references: Events, estimates: Events, metric: CollarMetric, counts: Counts) -> str:
    """Insists that sed_eval finds the same counts and F1.

    Args:
        references: reference events.
        estimates: detected events.
        metric: with its collars and comparison.
        counts: our own, int64 ``[class]``.

    Returns:
        Name and version of sed_eval; or why it cannot tell.

    Raises:
        CertificationError: it finds something else.
    """
    if metric.comparison != "exact":
        return "none: sed_eval has no tolerant comparison"
    theirs, figures = sed_eval_counts(references, estimates, metric)
    ours, score = torch.stack([counts[name] for name in metric.columns]), metric.summarise(counts)
    close = all(abs(a - b) < 1e-9 for a, b in ((score.macro, figures.macro), (score.micro, figures.micro)))
    if not torch.equal(ours, theirs) or not close:
        raise CertificationError(
            f"sed_eval counted {theirs.tolist()} (tp, estimated, reference), this package {ours.tolist()}."
        )
    return f"sed_eval {version('sed_eval')}"


def sed_eval_counts(references: Events, estimates: Events, metric: CollarMetric) -> tuple[torch.Tensor, Score]:
    """Scores an event list with sed_eval itself, clip by clip.

    Returns:
        True positives, estimated and reference counts as int64 ``[3, class]``, and sed_eval's own F1 figures.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sed_eval

        scorer = sed_eval.sound_event.EventBasedMetrics(
            event_label_list=list(references.classes),
            t_collar=metric.t_collar,
            percentage_of_length=metric.percentage_of_length,
            empty_system_output_handling="zero_score",
        )
        by_clip = [_by_clip(events) for events in (references, estimates)]
        for clip in range(len(references.clip_ids)):
            scorer.evaluate(*(rows[clip] for rows in by_clip))
        overall = scorer.results_overall_metrics()["f_measure"]["f_measure"]
        average = scorer.results_class_wise_average_metrics()["f_measure"]["f_measure"]
        class_wise = scorer.results_class_wise_metrics()
    names = references.classes
    counts = [[scorer.class_wise[name][key] for name in names] for key in ("Ntp", "Nsys", "Nref")]
    per_class = torch.tensor([class_wise[name]["f_measure"]["f_measure"] for name in names], dtype=torch.float64)
    return torch.tensor(counts).round().long(), Score(
        float(np.nan_to_num(average)), float(np.nan_to_num(overall)), per_class
    )


def _by_clip(events: Events) -> list[list[dict]]:
    rows: list[list[dict]] = [[] for _ in events.clip_ids]
    for name, onset, offset, label, clip in (
        (*row, clip) for row, clip in zip(events.to_rows(), events.clip.tolist(), strict=True)
    ):
        rows[clip].append({"filename": name, "onset": onset, "offset": offset, "event_label": label})
    return rows
