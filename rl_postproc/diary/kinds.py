"""The kinds of errors: each missed reference and each false alarm belongs to exactly one.

What is an error says the metric's own optimal matching: references and estimates that it leaves without a partner. Among
these, in this order:

1. Estimates and references of one clip and class that overlap, directly or through others, form a group.
   - As many estimates as references: they are taken in pairs by their order in time, and a pair is wrong in its **onset**,
     its **offset** or **both**, whichever lies outside the metric's collars.
   - More estimates than references: **split**. More references than estimates: **merged**.
2. A reference without such an estimate, under an event of its class that matches another reference, is **merged** too.
3. A reference and an estimate of two classes that overlap by more than half of their union are a **confusion**; as many
   pairs are made as can be, each reference and estimate in one.
4. What is left of the references is **missed**. What is left of the estimates is a **duplicate** where it overlaps a
   reference of its class (which another event matches), **beside** where it overlaps references of other classes alone, and
   else a false alarm on **silence**.

To overlap is to have more than an instant in common.

Source of the idea: Bolya et al., "TIDE: A general toolbox for identifying object detection errors", ECCV 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.metrics.event_based.collars import CollarMetric
from rl_postproc.metrics.event_based.event_lists import matched_references
from rl_postproc.utils.tensors import ragged_ranges

KINDS = {
    "onset": "begins outside the collar, and ends within",
    "offset": "ends outside the collar, and begins within",
    "both": "begins and ends outside the collars",
    "split": "several events stand for one reference",
    "merged": "one event stands for several references",
    "confusion": "an event of another class is in the reference's place",
    "missed": "nothing stands for the reference",
    "duplicate": "an event on a reference that another event matches",
    "beside": "a false alarm while other classes sound",
    "silence": "a false alarm while nothing sounds",
}
"""Names of the kinds, and what they are."""

_PLACE = {name: i for i, name in enumerate(KINDS)}
HIT = -1
"""Stands for no error."""


@dataclass(frozen=True)
class Errors:
    """The kind of each event's error, as its place among `KINDS`, or `HIT`.

    Attributes:
        references: int64 ``[reference]``.
        estimates: int64 ``[estimate]``.
    """

    references: torch.Tensor
    estimates: torch.Tensor


def find_errors(references: Events, estimates: Events, metric: CollarMetric) -> Errors:
    """Finds the kind of each error.

    Args:
        references: reference events.
        estimates: detected events over the same clips and classes.
        metric: whose matching decides what is an error.
    """
    partner = matched_references(references, estimates, metric)
    of_ref, of_est = torch.full((len(references),), HIT), torch.full((len(estimates),), HIT)
    ref_free = partner < 0
    est_free = torch.ones(len(estimates), dtype=torch.bool)
    est_free[partner[~ref_free]] = False
    ref, est, shared = _overlaps(references, estimates)
    same = references.label[ref] == estimates.label[est]
    _name_groups(references, estimates, metric, (ref, est, same & ref_free[ref] & est_free[est]), of_ref, of_est)
    left = ref_free & (of_ref == HIT)
    of_ref[ref[same & left[ref] & ~est_free[est]]] = _PLACE["merged"]
    _name_confusions(references, estimates, (ref, est, shared, same), (ref_free, est_free), of_ref, of_est)
    of_ref[ref_free & (of_ref == HIT)] = _PLACE["missed"]
    rest = est_free & (of_est == HIT)
    for kind, pairs in (("silence", None), ("beside", ~same), ("duplicate", same)):
        chosen = rest.clone()
        if pairs is not None:
            chosen = torch.zeros_like(rest)
            chosen[est[pairs & rest[est]]] = True
        of_est[chosen] = _PLACE[kind]
    return Errors(of_ref, of_est)


def _overlaps(references: Events, estimates: Events) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the pairs of one clip that overlap, int64 ``[pair]`` each, and for how many seconds, float64 ``[pair]``."""
    if not len(references) or not len(estimates):
        none = torch.zeros(0, dtype=torch.int64)
        return none, none, none.double()
    # One time axis for all clips, far apart from one another: what an event overlaps begins before it ends, and no more than
    # the longest reference before it begins.
    longest = float((references.offset - references.onset).max())
    times = torch.cat([references.onset, references.offset, estimates.onset, estimates.offset])
    far = float(times.max() - times.min()) + longest + 1
    axis, order = (references.clip * far + references.onset).sort(stable=True)
    first = torch.searchsorted(axis, estimates.clip * far + estimates.onset - longest)
    last = torch.searchsorted(axis, estimates.clip * far + estimates.offset, right=True)
    est, place = ragged_ranges(first, (last - first).clamp(min=0))
    ref = order[place]
    alike = references.clip[ref] == estimates.clip[est]
    ref, est = ref[alike], est[alike]
    begin = torch.maximum(references.onset[ref], estimates.onset[est])
    shared = torch.minimum(references.offset[ref], estimates.offset[est]) - begin
    kept = shared > 0
    return ref[kept], est[kept], shared[kept]


def _name_groups(
    references: Events,
    estimates: Events,
    metric: CollarMetric,
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    of_ref: torch.Tensor,
    of_est: torch.Tensor,
) -> None:
    """Names errors of boundaries, splits and merges: by groups of references and estimates that overlap."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    ref, est = (part[pairs[2]] for part in pairs[:2])
    n_ref, n = len(references), len(references) + len(estimates)
    if not len(ref):
        return
    edges = csr_array((np.ones(len(ref), np.int8), (ref.numpy(), n_ref + est.numpy())), shape=(n, n))
    group = torch.from_numpy(connected_components(edges, directed=False)[1]).long()
    refs, ests = ref.unique(), est.unique()
    ref_group, est_group = group[refs], group[n_ref + ests]
    n_of_ref, n_of_est = (torch.bincount(own, minlength=n) for own in (ref_group, est_group))
    kind = torch.where(n_of_est > n_of_ref, _PLACE["split"], _PLACE["merged"])
    of_ref[refs], of_est[ests] = kind[ref_group], kind[est_group]
    # Events are sorted by clip, class and onset, and a stable sort by group leaves them in that order.
    even = n_of_ref == n_of_est
    first, second = (part[even[own]] for part, own in ((refs, ref_group), (ests, est_group)))
    first = first[torch.argsort(group[first], stable=True)]
    second = second[torch.argsort(group[n_ref + second], stable=True)]
    late = ~metric.within(references.onset[first] - estimates.onset[second], metric.t_collar)
    collar = metric.offset_collar(references)[first]
    wrong_end = ~metric.within(references.offset[first] - estimates.offset[second], collar)
    named = torch.where(late & wrong_end, _PLACE["both"], torch.where(late, _PLACE["onset"], _PLACE["offset"]))
    of_ref[first], of_est[second] = named, named


def _name_confusions(
    references: Events,
    estimates: Events,
    pairs: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    free: tuple[torch.Tensor, torch.Tensor],
    of_ref: torch.Tensor,
    of_est: torch.Tensor,
) -> None:
    """Names pairs of two classes that overlap by more than half of their union, as many as can be."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    ref, est, shared, same = pairs
    lengths = references.offset[ref] - references.onset[ref] + estimates.offset[est] - estimates.onset[est]
    left_ref, left_est = free[0] & (of_ref == HIT), free[1] & (of_est == HIT)
    kept = ~same & left_ref[ref] & left_est[est] & (shared > (lengths - shared) / 2)
    if not bool(kept.any()):
        return
    edges = (np.ones(int(kept.sum()), np.int8), (ref[kept].numpy(), est[kept].numpy()))
    graph = csr_array(edges, shape=(len(references), len(estimates)))
    partner = torch.from_numpy(maximum_bipartite_matching(graph, perm_type="column")).long()
    of_ref[partner >= 0] = _PLACE["confusion"]
    of_est[partner[partner >= 0]] = _PLACE["confusion"]
