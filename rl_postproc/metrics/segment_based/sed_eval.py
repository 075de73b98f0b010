"""The oracle of the segment-based metric: sed_eval's own counts and figures of an event list."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import CertificationError, Counts, floating

if TYPE_CHECKING:
    from rl_postproc.metrics.segment_based.metric import SegmentBased

_CLASS_COUNTS = ("Ntp", "Nsys", "Nref")
_OVERALL = {"substitutions": "S", "deletions": "D", "insertions": "I"}


def certify(references: Events, estimates: Events, metric: SegmentBased, counts: Counts) -> str:
    """Insists that sed_eval finds the same counts, F1 and error rate.

    Args:
        references: reference events.
        estimates: detected events.
        metric: with the length of its segments.
        counts: our own, int64 ``[class]``.

    Returns:
        Name and version of sed_eval.

    Raises:
        CertificationError: it finds something else.
    """
    scorer, names = sed_eval_scorer(references, estimates, metric.segment_length), references.classes
    ours = [[int(counts[column][k]) for column in metric.columns] for k in range(len(names))]
    theirs = [[round(scorer.class_wise[name][key]) for key in _CLASS_COUNTS] for name in names]
    overall, score = metric.overall(references, estimates), metric.summarise(counts)
    errors = {name: round(scorer.overall[key]) for name, key in _OVERALL.items()}
    pairs = [(float(overall["error_rate"]), scorer.overall_error_rate()["error_rate"])]
    if int(counts["reference"].sum()):
        pairs.append((score.micro, scorer.overall_f_measure()["f_measure"]))
    by_class = metric.rates(floating(counts))["error_rate"]
    for k, name in enumerate(names):
        if theirs[k][2]:
            pairs.append((float(score.by_class[k]), scorer.class_wise_f_measure(name)["f_measure"]))
            pairs.append((float(by_class[k]), scorer.class_wise_error_rate(name)["error_rate"]))
    if ours != theirs or errors != {name: overall[name] for name in errors}:
        raise CertificationError(
            f"sed_eval counted {theirs} (tp, estimated, reference) and {errors}, this package {ours} and {overall}."
        )
    # A class of which sed_eval finds nothing right has an F1 of NaN there where precision and recall are both 0.
    if any(abs(own - (0.0 if other != other else other)) > 1e-9 for own, other in pairs):
        raise CertificationError(f"sed_eval found other figures than this package, in pairs (own, theirs): {pairs}.")
    return f"sed_eval {version('sed_eval')}"


def sed_eval_scorer(references: Events, estimates: Events, length: float) -> Any:
    """Feeds sed_eval with all clips that have an event, and returns its metrics object.

    Args:
        references: reference events.
        estimates: detected events over the same clips and classes.
        length: of a segment in seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sed_eval

        scorer = sed_eval.sound_event.SegmentBasedMetrics(list(references.classes), time_resolution=float(length))
        scorer.empty_system_output_handling = "zero_score"
        tables = [_rows_by_clip(events) for events in (references, estimates)]
        n_events = torch.bincount(torch.cat([references.clip, estimates.clip]), minlength=len(references.clip_ids))
        for clip in n_events.nonzero()[:, 0].tolist():
            scorer.evaluate(*(table.get(clip, []) for table in tables))
    return scorer


def _rows_by_clip(events: Events) -> dict[int, list[dict]]:
    """Returns sed_eval's rows of the clips that have events."""
    rows: dict[int, list[dict]] = {}
    for clip, (name, onset, offset, label) in zip(events.clip.tolist(), events.to_rows(), strict=True):
        row = {"filename": name, "onset": onset, "offset": offset, "event_label": label}
        rows.setdefault(clip, []).append(row)
    return rows
