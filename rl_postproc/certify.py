"""Scores of event lists: by our own matching, and by sed_eval, which certifies every figure that is reported."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.events import Events
from rl_postproc.metrics import EventBased, Metric, Scored, Tagging, score_counts


@dataclass(frozen=True)
class Report:
    """Counts and scores of an event list.

    Attributes:
        classes: class names.
        true_positives: int64 ``[class]``.
        estimated: int64 ``[class]``.
        reference: int64 ``[class]``.
        certified_by: name and version of the tool that found the same counts, or why none did.
    """

    classes: tuple[str, ...]
    true_positives: torch.Tensor
    estimated: torch.Tensor
    reference: torch.Tensor
    certified_by: str

    @property
    def scored(self) -> Scored:
        """Macro, micro and class-wise F1."""
        return score_counts(self.true_positives, self.estimated, self.reference)

    def to_json(self) -> dict:
        """Returns the stable JSON form: fractions, and counts by class. F1 is null where there are no references."""
        scored = self.scored
        columns = zip(
            self.classes,
            self.true_positives.tolist(),
            self.estimated.tolist(),
            self.reference.tolist(),
            scored.class_f1.tolist(),
            strict=True,
        )
        return {
            "macro_f1": scored.macro_f1,
            "micro_f1": scored.micro_f1,
            "classes": {
                name: {"tp": tp, "estimated": est, "reference": ref, "f1": f1 if ref else None}
                for name, tp, est, ref, f1 in columns
            },
            "certified_by": self.certified_by,
        }


class CertificationError(RuntimeError):
    """Our counts and sed_eval's differ: a defect of this package, never of the input."""


def match_events(references: Events, estimates: Events, metric: EventBased) -> torch.Tensor:
    """Counts the true positives of any event list, overlapping events included.

    Maximum bipartite matching (Hopcroft-Karp, scipy) over the pairs of one clip and class that lie within the collars.

    Returns:
        True positives, int64 ``[clip, class]``.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    n_classes = len(references.classes)
    ref_cell = references.clip * n_classes + references.label
    est_cell = estimates.clip * n_classes + estimates.label
    first = torch.searchsorted(ref_cell, est_cell)
    n_pairs = torch.searchsorted(ref_cell, est_cell, right=True) - first
    est = torch.arange(len(estimates)).repeat_interleave(n_pairs)
    ref = first[est] + torch.arange(len(est)) - (n_pairs.cumsum(0) - n_pairs)[est]
    collar = metric.offset_collar(references)[ref]
    hit = metric.within(references.onset[ref] - estimates.onset[est], metric.t_collar)
    hit &= metric.within(references.offset[ref] - estimates.offset[est], collar)
    matched = torch.zeros(len(references.clip_ids), n_classes, dtype=torch.int64)
    if bool(hit.any()):
        edges = (np.ones(int(hit.sum()), dtype=np.int8), (ref[hit].numpy(), est[hit].numpy()))
        graph = csr_array(edges, shape=(len(references), len(estimates)))
        partner = torch.from_numpy(maximum_bipartite_matching(graph, perm_type="column").astype(np.int64))
        cells = ref_cell[partner >= 0]
        matched.view(-1).index_add_(0, cells, torch.ones_like(cells))
    return matched


def sed_eval_counts(references: Events, estimates: Events, metric: EventBased) -> tuple[torch.Tensor, Scored]:
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
    return torch.tensor(counts).round().long(), Scored(
        float(np.nan_to_num(average)), float(np.nan_to_num(overall)), per_class
    )


def _by_clip(events: Events) -> list[list[dict]]:
    rows: list[list[dict]] = [[] for _ in events.clip_ids]
    for name, onset, offset, label, clip in (
        (*row, clip) for row, clip in zip(events.rows(), events.clip.tolist(), strict=True)
    ):
        rows[clip].append({"filename": name, "onset": onset, "offset": offset, "event_label": label})
    return rows


def certify(references: Events, estimates: Events, metric: Metric, tuned: torch.Tensor | None = None) -> Report:
    """Scores an event list with our matching and with sed_eval (tags: scikit-learn), and insists that they agree.

    Args:
        references: reference events.
        estimates: detected events, over the same clips and classes.
        metric: event-based with its collars and comparison, or tagging.
        tuned: true positives and estimated counts that the core found while tuning, int64 ``[2, class]``; they too
            must agree.

    Raises:
        CertificationError: any two of the figures differ.
    """
    if isinstance(metric, Tagging):
        from rl_postproc.certify_tags import certify_tags

        return certify_tags(references, estimates, tuned)
    if not isinstance(metric, EventBased):
        raise TypeError(f"No outside tool is known that could certify '{type(metric).__name__}'.")
    matched, estimated = match_events(references, estimates, metric).sum(0), estimates.counts().sum(0)
    ours = torch.stack([matched, estimated, references.counts().sum(0)])
    if tuned is not None and not torch.equal(tuned.cpu(), ours[:2]):
        raise CertificationError(
            f"The sweep counted {tuned.tolist()} (true positives, estimated), the events {ours[:2].tolist()}."
        )
    true_positives, estimated, reference = ours
    if metric.comparison != "exact":
        return Report(
            references.classes, true_positives, estimated, reference, "none: sed_eval has no tolerant comparison"
        )
    theirs, figures = sed_eval_counts(references, estimates, metric)
    scored = score_counts(*ours)
    agree = torch.equal(ours, theirs) and all(
        abs(a - b) < 1e-9 for a, b in ((scored.macro_f1, figures.macro_f1), (scored.micro_f1, figures.micro_f1))
    )
    if not agree:
        raise CertificationError(
            f"sed_eval counted {theirs.tolist()} (tp, estimated, reference), this package {ours.tolist()}."
        )
    from importlib.metadata import version

    certified_by = f"sed_eval {version('sed_eval')}"
    return Report(references.classes, true_positives, estimated, reference, certified_by)
