"""What several proposers say of an event: its own P(right), and that of the most alike event of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rl_postproc.utils.tensors import ragged_ranges

_MICRO = 1_000_000


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


def seconded(found: list[Proposed | None], n_classes: int) -> list[Proposed | None]:
    """Returns what proposers propose with P(right) averaged over two: its own, and the best of the other proposers.

    The latter is the highest product, over their events of the same clip and class, of P(right) and of the intersection of
    both events over their union. Of a single proposer P(right) stays as it is.
    """
    result: list[Proposed | None] = []
    for i, own in enumerate(found):
        others = [other for j, other in enumerate(found) if j != i and other is not None]
        if own is not None and others:
            best = torch.stack([_support(own, other, n_classes) for other in others]).amax(0)
            own = replace(own, right=(own.right + best) / 2)
        result.append(own)
    return result


def _support(own: Proposed, other: Proposed, n_classes: int) -> torch.Tensor:
    """Returns the highest product of likeness and P(right) among the other's events, float32 ``[event]``."""
    latest = max([float(x.offset.max()) for x in (own, other) if len(x.clip)], default=0.0)
    span = int(latest * _MICRO) + 2
    (onset, offset), (begins, ends) = (
        tuple((x.clip * n_classes + x.label) * span + (time * _MICRO).round().long() for time in (x.onset, x.offset))
        for x in (own, other)
    )
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
