"""The oracle of the event-based metric: sed_eval's own counts and figures of an event list.

sed_eval compares each reference of a file with each estimate, of every class. It is handed only what can match: events of
one clip and class, and where these are many, those whose onsets (or offsets, where these alone are compared) lie near one
another. What is left out has no partner within the collar by sed_eval's own rule, so that its counts stay what they are on
whole files.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import CertificationError, Counts, Score
from rl_postproc.metrics.event_based.collars import CollarMetric

_MOST_PAIRS = 400
"""Pairs of a reference and an estimate, of one clip and class, that sed_eval compares as they come."""
_MARGIN = 1e-3
"""Seconds beyond the collar from which onsets are apart, far above any rounding."""


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
    """Scores an event list with sed_eval itself.

    Returns:
        True positives, estimated and reference counts as int64 ``[3, class]``, and sed_eval's own F1 figures.
    """
    names = references.classes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        total, scorers = _scorer(list(names), metric), {}
        pieces, alone = _pieces(references, estimates, metric)
        for label, rows in pieces:
            scorer = scorers.setdefault(label, _scorer([names[label]], metric))
            scorer.evaluate(*rows)
        for label, name in enumerate(names):
            if label in scorers:
                total.class_wise[name] = scorers[label].class_wise[name]
            for key, more in zip(("Nref", "Nsys"), alone, strict=True):
                total.class_wise[name][key] += int(more[label])
            for key in ("Nref", "Nsys", "Ntp"):
                total.overall[key] += total.class_wise[name][key]
        overall = total.results_overall_metrics()["f_measure"]["f_measure"]
        average = total.results_class_wise_average_metrics()["f_measure"]["f_measure"]
        class_wise = total.results_class_wise_metrics()
    counts = [[total.class_wise[name][key] for name in names] for key in ("Ntp", "Nsys", "Nref")]
    per_class = torch.tensor([class_wise[name]["f_measure"]["f_measure"] for name in names], dtype=torch.float64)
    return torch.tensor(counts).round().long(), Score(
        float(np.nan_to_num(average)), float(np.nan_to_num(overall)), per_class
    )


def _scorer(labels: list[str], metric: CollarMetric) -> Any:
    import sed_eval

    return sed_eval.sound_event.EventBasedMetrics(
        event_label_list=labels,
        t_collar=metric.t_collar,
        percentage_of_length=metric.percentage_of_length,
        evaluate_onset=metric.evaluate_onset,
        evaluate_offset=metric.evaluate_offset,
        empty_system_output_handling="zero_score",
    )


def _pieces(
    references: Events, estimates: Events, metric: CollarMetric
) -> tuple[list[tuple[int, tuple[list[dict], list[dict]]]], tuple[torch.Tensor, torch.Tensor]]:
    """Returns the pieces in which there are references and estimates, and the number of events in all others.

    Returns:
        Class and rows, of references and of estimates, of each piece; and int64 ``[class]``, references and estimates.
    """
    n_classes, tables = len(references.classes), (references, estimates)
    piece = _piece_of(references, estimates, metric)
    n_pieces = max((int(part.max()) + 1 for part in piece if len(part)), default=0)
    sizes = [torch.bincount(part, minlength=n_pieces) for part in piece]
    both = (sizes[0] > 0) & (sizes[1] > 0)
    alone = tuple(
        torch.bincount(events.label[~both[part]], minlength=n_classes)
        for events, part in zip(tables, piece, strict=True)
    )
    rows: dict[int, tuple[list[dict], list[dict]]] = {k: ([], []) for k in both.nonzero()[:, 0].tolist()}
    labels: dict[int, int] = {}
    for side, (events, part) in enumerate(zip(tables, piece, strict=True)):
        own = both[part].nonzero()[:, 0]
        columns = (part[own], events.label[own], events.clip[own], events.onset[own], events.offset[own])
        for k, label, clip, onset, offset in zip(*(column.tolist() for column in columns), strict=True):
            labels[k] = label
            rows[k][side].append({
                "filename": events.clip_ids[clip], "onset": onset, "offset": offset,
                "event_label": events.classes[label],
            })  # fmt: skip
    return [(labels[k], found) for k, found in rows.items()], (alone[0], alone[1])


def _piece_of(references: Events, estimates: Events, metric: CollarMetric) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the piece of each reference and of each estimate, int64 ``[event]`` each.

    A piece is a clip and class, or where these have many events a stretch of them in the order of their onsets: it ends
    where no reference before has an onset within the collar of an estimate behind, nor the other way round. Where onsets
    are not compared, offsets take their place.
    """
    tables, collar = (references, estimates), metric.t_collar
    if not metric.evaluate_onset and len(references):
        collar = float(metric.offset_collar(references).max())
    n_classes, n_references = len(references.classes), len(references)
    cell = torch.cat([events.clip * n_classes + events.label for events in tables])
    onset = torch.cat([events.onset if metric.evaluate_onset else events.offset for events in tables])
    is_estimate = torch.arange(len(cell)) >= n_references
    order = torch.argsort(onset, stable=True)
    order = order[torch.argsort(cell[order], stable=True)]
    cell, onset, is_estimate = cell[order], onset[order], is_estimate[order]
    n_cells = len(references.clip_ids) * n_classes
    many = torch.bincount(cell[is_estimate], minlength=n_cells) * torch.bincount(cell[~is_estimate], minlength=n_cells)
    new_cell = torch.nn.functional.pad(cell[1:] != cell[:-1], (1, 0))
    # What comes last before each event and first from it on, in the same cell or another: then it is far.
    far = float(onset.max() - onset.min()) + collar + 1.0 if len(onset) else 0.0
    time = onset + new_cell.cumsum(0) * far
    crossed = torch.zeros(len(cell), dtype=torch.bool)
    for side in (is_estimate, ~is_estimate):
        before = torch.where(side, time, -torch.inf).cummax(0).values.roll(1)
        behind = torch.where(~side, time, torch.inf).flip(0).cummin(0).values.flip(0)
        crossed |= behind - before <= collar + _MARGIN
    starts = new_cell | (~crossed & (many[cell] > _MOST_PAIRS))
    starts[:1] = False
    piece = torch.empty_like(cell).scatter_(0, order, starts.cumsum(0))
    return piece[:n_references], piece[n_references:]
