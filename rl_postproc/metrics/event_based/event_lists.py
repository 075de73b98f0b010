"""Matches of any event list, overlapping events included."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.base import Intervals
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
    n_classes = len(references.classes)
    ref, est = _pairs(references, estimates, metric)
    matched = torch.zeros(len(references.clip_ids), n_classes, dtype=torch.int64, device=references.clip.device)
    cells = (references.clip * n_classes + references.label)[_matched(ref, est, len(references), len(estimates))]
    matched.view(-1).index_add_(0, cells, torch.ones_like(cells))
    return matched


def matched_references(references: Events, estimates: Events, metric: CollarMetric) -> torch.Tensor:
    """Returns the estimate that a maximum matching gives each reference, -1 for none, int64 ``[reference]``."""
    return _partners(*_pairs(references, estimates, metric), len(references), len(estimates))


def match_levels(references: Events, estimates: Events, levels: torch.Tensor, metric: CollarMetric) -> Intervals:
    """Counts the true positives of events that are kept up to a level each, at every level at once.

    A pair whose reference and estimate suit no other is a true positive wherever the estimate is there. The others are
    matched anew at each level at which one of them goes.

    Args:
        references: reference events.
        estimates: detected events over the same clips and classes.
        levels: each is there at the levels below its own, int64 ``[event]`` of at least 1.
        metric: the collars.

    Returns:
        Disjoint intervals of levels for each clip (``track``), of all its classes together.
    """
    ref, est = _pairs(references, estimates, metric)
    shared = (torch.bincount(ref, minlength=len(references))[ref] > 1) | (
        torch.bincount(est, minlength=len(estimates))[est] > 1
    )
    alone = est[~shared]
    parts = [(estimates.clip[alone], torch.zeros_like(alone), levels[alone], torch.ones_like(alone))]
    ref, est = ref[shared], est[shared]
    if len(ref):
        # One graph for each clip and each level that occurs there: of the pairs that are there below that level.
        clip, stride = estimates.clip[est], int(levels.max()) + 1
        graph = torch.unique(clip * stride + levels[est])
        of_clip = torch.searchsorted(graph, clip * stride)
        pair, number = ragged_ranges(
            of_clip, torch.searchsorted(graph, clip * stride + levels[est], right=True) - of_clip
        )
        own_ref, own_est = number * len(references) + ref[pair], number * len(estimates) + est[pair]
        own_ref, refs = torch.unique(own_ref, return_inverse=True)
        own_est, ests = torch.unique(own_est, return_inverse=True)
        hits = own_ref[_matched(refs, ests, len(own_ref), len(own_est))] // len(references)
        weight = torch.bincount(hits, minlength=len(graph))
        same = torch.nn.functional.pad(graph[1:] // stride == graph[:-1] // stride, (1, 0))
        low = torch.where(same, torch.nn.functional.pad(graph[:-1], (1, 0)) % stride, 0)
        parts.append((graph // stride, low, graph % stride, weight))
    track, low, high, weight = (torch.cat(column) for column in zip(*parts, strict=True))
    return Intervals(track, low, high, weight.to(torch.int16))


def _matched(ref: torch.Tensor, est: torch.Tensor, n_ref: int, n_est: int) -> torch.Tensor:
    """Returns which references a maximum matching of the pairs serves, bool ``[reference]``."""
    return _partners(ref, est, n_ref, n_est) >= 0


def _partners(ref: torch.Tensor, est: torch.Tensor, n_ref: int, n_est: int) -> torch.Tensor:
    """Returns the estimate that a maximum matching of the pairs gives each reference, -1 for none, int64 ``[reference]``."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not len(ref):
        return torch.full((n_ref,), -1, device=ref.device)
    edges = (np.ones(len(ref), dtype=np.int8), (ref.cpu().numpy(), est.cpu().numpy()))
    graph = csr_array(edges, shape=(n_ref, n_est))
    return torch.from_numpy(maximum_bipartite_matching(graph, perm_type="column")).long().to(ref.device)


def events_within_collars(references: Events, estimates: Events, metric: CollarMetric) -> torch.Tensor:
    """Returns whether each estimate lies within the collars of any reference, bool ``[event]``."""
    found = torch.zeros(len(estimates), dtype=torch.bool, device=estimates.clip.device)
    found[_pairs(references, estimates, metric)[1]] = True
    return found


def _pairs(references: Events, estimates: Events, metric: CollarMetric) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the references and estimates of one clip and class that lie within the collars, int64 ``[pair]`` each."""
    n_classes = len(references.classes)
    ref_cell = references.clip * n_classes + references.label
    est_cell = estimates.clip * n_classes + estimates.label
    # One time axis for all cells, far apart from one another: an estimate's references are those around its onset, or
    # around its offset where onsets do not matter.
    if metric.evaluate_onset:
        reach, wanted, found = metric.t_collar + _MARGIN, references.onset, estimates.onset
    else:
        collars = metric.offset_collar(references)
        reach = float(collars.max() if len(collars) else metric.t_collar) + _MARGIN
        wanted, found = references.offset, estimates.offset
    times = torch.cat([wanted, found])
    far = float(times.max() - times.min()) + 2 * reach if len(times) else reach
    axis, order = (ref_cell * far + wanted).sort()
    time = est_cell * far + found
    first = torch.searchsorted(axis, time - reach)
    est, near = ragged_ranges(first, torch.searchsorted(axis, time + reach, right=True) - first)
    ref = order[near]
    hit = torch.ones(len(ref), dtype=torch.bool, device=ref.device)
    if metric.evaluate_onset:
        hit &= metric.within(references.onset[ref] - estimates.onset[est], metric.t_collar)
    if metric.evaluate_offset:
        hit &= metric.within(references.offset[ref] - estimates.offset[est], metric.offset_collar(references)[ref])
    return ref[hit], est[hit]
