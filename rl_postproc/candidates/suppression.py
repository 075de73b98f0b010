"""Non-maximum suppression: of events that overlap, the one of the highest value."""

from __future__ import annotations

import torch

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.scheduling import groups_in_time


def best_apart(events: DecodedEvents, values: torch.Tensor) -> torch.Tensor:
    """Chooses on every track the event of the highest value, then the next that shares no frame with those before, and so on.

    Events fall into groups that overlap nothing else. The best of each group is chosen, those that it overlaps go, what is
    left of the group falls into groups anew: all tracks at once, in as many steps as choices follow from one another in the
    most tangled group. Values are rounded to 9 decimals, and of equal ones the first event is chosen, so that the choice
    does not depend on the machine or on which clips come together.

    Args:
        events: decoded events.
        values: of each, ``[event]``; those of zero or less are not chosen.

    Returns:
        Which events are chosen, bool ``[event]``.
    """
    width = int(events.last.max()) + 1 if len(events) else 1
    return best_intervals(events.track * width + events.first, events.track * width + events.last, values)


def best_intervals(begin: torch.Tensor, end: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Chooses of intervals on one line as `best_apart` does of events.

    Args:
        begin: first point of each, int64 ``[interval]``, ascending.
        end: last point of each, int64 ``[interval]``.
        values: of each, ``[interval]``; those of zero or less are not chosen.

    Returns:
        Which intervals are chosen, bool ``[interval]``.
    """
    values = values.double().round(decimals=9)
    chosen = torch.zeros(len(begin), dtype=torch.bool, device=values.device)
    rest = (values > 0).nonzero()[:, 0]
    place = torch.empty_like(begin)
    place[values.argsort(descending=True, stable=True)] = torch.arange(len(begin), device=values.device)
    while len(rest):
        group = groups_in_time(begin[rest], end[rest])
        best = torch.full((int(group[-1]) + 1,), len(begin), device=values.device)
        best = best.scatter_reduce(0, group, place[rest], "amin")
        best_one = torch.empty_like(best)
        is_best = place[rest] == best[group]
        best_one[group[is_best]] = rest[is_best]
        chosen[rest[is_best]] = True
        rival = best_one[group]
        rest = rest[(begin[rest] > end[rival]) | (end[rest] < begin[rival])]
    return chosen
