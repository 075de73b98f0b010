"""What several proposers say together: P(right) is averaged over them, and of events that overlap the best one stays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rl_postproc.candidates.suppression import best_intervals
from rl_postproc.utils.tensors import ragged_ranges

_MICRO = 1_000_000
_OF_OTHERS = 0.25
"""Weight of what the other proposers say."""


@dataclass(frozen=True)
class Proposed:
    """Events that are left after suppression: those of one clip and class do not overlap.

    Attributes:
        clip: int64 ``[event]``.
        label: int64 ``[event]``.
        onset: seconds, float64 ``[event]``.
        offset: seconds, float64 ``[event]``.
        right: P(right), float32 ``[event]``.
        wrong: P(false alarm), float32 ``[event]``.
    """

    clip: torch.Tensor
    label: torch.Tensor
    onset: torch.Tensor
    offset: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor

    def select(self, those: torch.Tensor) -> Proposed:
        """Returns some of the events, by a mask or places."""
        return Proposed(*(column[those] for column in self.columns()))

    def columns(self) -> tuple[torch.Tensor, ...]:
        """Returns all columns."""
        return self.clip, self.label, self.onset, self.offset, self.right, self.wrong


def agreed(found: list[Proposed], n_classes: int) -> Proposed:
    """Returns the events of all proposers together that do not overlap, those that are most likely right first.

    P(right) is a mean of what an event's own proposer says, and of what the others do: the highest product, over their
    events of the same clip and class, of P(right) and of the intersection of both events over their union. Of a single
    proposer all stays as it is.
    """
    if len(found) == 1:
        return found[0]
    judged = []
    for i, own in enumerate(found):
        others = torch.stack([_support(own, other, n_classes) for j, other in enumerate(found) if j != i]).amax(0)
        judged.append(replace(own, right=(1 - _OF_OTHERS) * own.right + _OF_OTHERS * others))
    whole = Proposed(*(torch.cat(columns) for columns in zip(*(own.columns() for own in judged), strict=True)))
    begin, end = _on_a_line(whole, n_classes, _span(found))
    order = begin.argsort(stable=True)
    kept = best_intervals(begin[order], end[order] - 1, whole.right[order])
    return whole.select(order[kept])


def _support(own: Proposed, other: Proposed, n_classes: int) -> torch.Tensor:
    """Returns the highest product of likeness and P(right) among the other's events, float32 ``[event]``."""
    span = _span([own, other])
    (onset, offset), (begins, ends) = (_on_a_line(one, n_classes, span) for one in (own, other))
    order = begins.argsort()
    begins, ends = begins[order], ends[order]
    first, stop = torch.searchsorted(ends, onset, right=True), torch.searchsorted(begins, offset)
    event, place = ragged_ranges(first, (stop - first).clamp(min=0))
    theirs = order[place]
    both = torch.minimum(own.offset[event], other.offset[theirs]) - torch.maximum(own.onset[event], other.onset[theirs])
    either = torch.maximum(own.offset[event], other.offset[theirs]) - torch.minimum(
        own.onset[event], other.onset[theirs]
    )
    alike = (both / either).clamp(min=0).float() * other.right[theirs]
    return torch.zeros(len(own.clip)).scatter_reduce(0, event, alike, "amax")


def _span(found: list[Proposed]) -> int:
    """Returns more microseconds than any clip has."""
    return int(max([float(own.offset.max()) for own in found if len(own.clip)], default=0.0) * _MICRO) + 2


def _on_a_line(found: Proposed, n_classes: int, span: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns begin and end of events in microseconds, clips and classes one behind another."""
    track = found.clip * n_classes + found.label
    return tuple(track * span + (time * _MICRO).round().long() for time in (found.onset, found.offset))  # type: ignore[return-value]
