"""The oracle of the intersection-based metric: sed_scores_eval's own counts of the same events."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import CertificationError, Counts
from rl_postproc.metrics.intersection.ranked_counts import Criteria

LIBRARY = "sed_scores_eval"


def certify(references: Events, estimates: Events, criteria: Criteria, counts: Counts) -> str:
    """Insists that sed_scores_eval finds the same counts.

    Args:
        references: reference events.
        estimates: detected events.
        criteria: when an event is relevant and a reference found.
        counts: our own, int64 ``[class]``.

    Returns:
        Name and version of sed_scores_eval; or that it is not installed.

    Raises:
        CertificationError: it finds something else.
    """
    if find_spec(LIBRARY) is None:
        return f"none: {LIBRARY} is not installed"
    hits, false = oracle_counts(references, estimates, criteria)
    ours = torch.stack([counts["true_positives"], counts["false_positives"]])
    theirs = torch.stack([hits.sum(0), false.sum(0)])
    if not torch.equal(ours, theirs):
        raise CertificationError(
            f"{LIBRARY} counted {theirs.tolist()} (true and false positives), this package {ours.tolist()}."
        )
    return f"{LIBRARY} {version(LIBRARY)}"


def oracle_counts(references: Events, estimates: Events, criteria: Criteria) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns sed_scores_eval's true and false positives of events that do not overlap, int64 ``[clip, class]`` each."""
    from sed_scores_eval.intersection_based.intermediate_statistics import statistics_fn

    n_clips, n_classes = len(references.clip_ids), len(references.classes)
    found = torch.zeros(2, n_clips, n_classes, dtype=torch.int64)
    tables = [(events.clip * n_classes + events.label).numpy() for events in (references, estimates)]
    times = [(events.onset.numpy(), events.offset.numpy()) for events in (references, estimates)]
    for cell in np.unique(tables[1]):
        own, detected = tables[0] == cell, tables[1] == cell
        statistics = statistics_fn(
            times[1][0][detected][None], times[1][1][detected][None], times[0][0][own], times[0][1][own], {}, {},
            criteria.dtc, criteria.gtc, None,
        )  # fmt: skip
        clip, label = divmod(int(cell), n_classes)
        found[:, clip, label] = torch.tensor([int(statistics["tps"][0]), int(statistics["fps"][0])])
    return found[0], found[1]
