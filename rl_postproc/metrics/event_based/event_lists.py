"""Matches of any event list, overlapping events included."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.event_based.collars import CollarMetric
from rl_postproc.utils.tensors import ragged_ranges

_MARGIN = 1e-3
"""Seconds by which onsets are sought beyond the collar, far above any rounding; the collar itself decides afterwards."""


def match_events(references: Events, estimates: Events, metric: CollarMetric) -> torch.Tensor:
    """Counts the true positives of any event list, overlapping events included.

    Maximum bipartite matching (Hopcroft-Karp, scipy) over the pairs of one clip and class that lie within the collars.
    Time and memory grow with the pairs whose onsets do.

    Returns:
        True positives, int64 ``[clip, class]``.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    n_classes = len(references.classes)
    ref, est = _pairs(references, estimates, metric)
    matched = torch.zeros(len(references.clip_ids), n_classes, dtype=torch.int64)
    if len(ref):
        edges = (np.ones(len(ref), dtype=np.int8), (ref.numpy(), est.numpy()))
        graph = csr_array(edges, shape=(len(references), len(estimates)))
        partner = torch.from_numpy(maximum_bipartite_matching(graph, perm_type="column").astype(np.int64))
        cells = (references.clip * n_classes + references.label)[partner >= 0]
        matched.view(-1).index_add_(0, cells, torch.ones_like(cells))
    return matched


def events_within_collars(references: Events, estimates: Events, metric: CollarMetric) -> torch.Tensor:
    """Returns whether each estimate lies within the collars of any reference, bool ``[event]``."""
    found = torch.zeros(len(estimates), dtype=torch.bool)
    found[_pairs(references, estimates, metric)[1]] = True
    return found


def _pairs(references: Events, estimates: Events, metric: CollarMetric) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the references and estimates of one clip and class that lie within the collars, int64 ``[pair]`` each."""
    n_classes = len(references.classes)
    ref_cell = references.clip * n_classes + references.label
    est_cell = estimates.clip * n_classes + estimates.label
    # One time axis for all cells, far apart from one another: an estimate's references are those around its onset.
    reach = metric.t_collar + _MARGIN
    onsets = torch.cat([references.onset, estimates.onset])
    far = float(onsets.max() - onsets.min()) + 2 * reach if len(onsets) else reach
    axis, onset = ref_cell * far + references.onset, est_cell * far + estimates.onset
    first = torch.searchsorted(axis, onset - reach)
    est, ref = ragged_ranges(first, torch.searchsorted(axis, onset + reach, right=True) - first)
    collar = metric.offset_collar(references)[ref]
    hit = metric.within(references.onset[ref] - estimates.onset[est], metric.t_collar)
    hit &= metric.within(references.offset[ref] - estimates.offset[est], collar)
    return ref[hit], est[hit]
