"""The best set of events that do not overlap: weighted interval scheduling on all tracks at once.

Source: Kleinberg and Tardos, "Algorithm Design", section 6.1.
"""

from __future__ import annotations

import torch

from rl_postproc.candidates.events import DecodedEvents


def best_sets(events: DecodedEvents, values: torch.Tensor) -> torch.Tensor:
    """Chooses on every track the events of highest total value among those that share no frame.

    Only events of positive value can be chosen. They fall into groups that overlap nothing else; all groups are worked
    out together, one event of each at a time, so that time grows with the events and steps with the largest group.
    Values are rounded to 9 decimals, and of equal totals the one without the later event is chosen, so that the choice does
    not depend on the machine or on which clips come together.

    Args:
        events: decoded events.
        values: of each, ``[event]``.

    Returns:
        Which events are chosen, bool ``[event]``.
    """
    values = values.double().round(decimals=9)
    chosen = torch.zeros(len(events), dtype=torch.bool, device=values.device)
    kept = (values > 0).nonzero()[:, 0]
    if not len(kept):
        return chosen
    width = int(events.last.max()) + 1
    begin = events.track[kept] * width + events.first[kept]
    end = events.track[kept] * width + events.last[kept]
    group = groups_in_time(begin, end)
    # Groups follow one another in time and so, sorted by their ends, events stay grouped.
    order = torch.argsort(end, stable=True)
    kept, begin, end, group, value = kept[order], begin[order], end[order], group[order], values[kept[order]]
    size = torch.bincount(group)
    first = size.cumsum(0) - size
    # The number of events of the group that end before this one begins; best[i] is the highest total of the first i.
    before = torch.searchsorted(end, begin) - first[group]
    start = first + torch.arange(len(size), device=first.device)
    best = torch.zeros(len(kept) + len(size), dtype=torch.float64, device=values.device)
    taken = torch.zeros(len(kept), dtype=torch.bool, device=values.device)
    longest = int(size.max())
    for i in range(longest):
        live = (size > i).nonzero()[:, 0]
        event = first[live] + i
        without, with_it = best[start[live] + i], value[event] + best[start[live] + before[event]]
        taken[event] = with_it > without
        best[start[live] + i + 1] = torch.maximum(with_it, without)
    left = size.clone()
    for _ in range(longest):
        live = (left > 0).nonzero()[:, 0]
        event = first[live] + left[live] - 1
        chosen[kept[event[taken[event]]]] = True
        left[live] = torch.where(taken[event], before[event], left[live] - 1)
    return chosen


def groups_in_time(begin: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Returns the group of each event, int64 ``[event]``, ascending with time: events of two groups share no frame.

    Args:
        begin: first frame, counted on over the tracks, ascending.
        end: last frame, counted on over the tracks.
    """
    reached = end.cummax(0).values
    opens = torch.nn.functional.pad(begin[1:] > reached[:-1], (1, 0))
    return opens.cumsum(0)
