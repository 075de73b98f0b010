"""The bound on decoded events: those of the fewest candidates go where there are too many to judge, and how many is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.errors import warn

LEFT_OUT_VALUE = -0.5
"""What an event counts that nobody judges, in a sum of values over the events of a candidate: as a wrong one does where F1 is
50 %. Counted as nothing, candidates of very many events would seem as good as silence."""
MOST_VOTES, MOST_PER_MINUTE = 10_000_000, 1e9
"""Greatest bounds, beyond any stack and any clip."""
_SHORTEST = 10.0
"""Seconds that a shorter clip counts as, where events per minute are bounded."""


@dataclass(frozen=True)
class PoolBounds:
    """Which decoded events are kept.

    Attributes:
        least_votes: candidates that must decode an event; 1 asks for nothing.
        most_per_minute: events that are kept per minute of a clip and class: those that most candidates decode, of equals
            some from all over the clip. Clips shorter than ten seconds count as ten. The densest clips of DESED and of the
            simulated data have 1500.
    """

    least_votes: int = 1
    most_per_minute: float = 3000.0

    def __post_init__(self) -> None:
        """Checks what a file may have brought.

        Raises:
            ValueError: these are no bounds.
        """
        votes = isinstance(self.least_votes, int) and 1 <= self.least_votes <= MOST_VOTES
        if not (votes and 0 < self.most_per_minute <= MOST_PER_MINUTE):
            raise ValueError(
                f"events cannot be bounded by {self.least_votes!r} votes and {self.most_per_minute!r} a minute"
            )

    def kept(self, track: torch.Tensor, span: tuple[torch.Tensor, torch.Tensor], votes: torch.Tensor,
             most: torch.Tensor) -> torch.Tensor:  # fmt: skip
        """Returns which events are kept, bool ``[event]``.

        Args:
            track: track of each event, ascending int64 ``[event]``.
            span: first and last frame of each, int64 ``[event]``.
            votes: number of candidates that decode it, int64 ``[event]``.
            most: number that each track keeps, int64 ``[track]``.
        """
        kept = votes >= self.least_votes
        size = torch.bincount(track, minlength=len(most))
        full = size > most
        if bool(full.any()):
            some = full[track].nonzero()[:, 0]
            # Equals are shuffled by their frames, which are the same whatever clips come together.
            mixed = (span[0][some] * 0x9E3779B1 + span[1][some] * 0x85EBCA77) % 0x7FFFFFFF
            order = some[mixed.argsort(stable=True)]
            order = order[votes[order].argsort(descending=True, stable=True)]
            order = order[track[order].argsort(stable=True)]
            own = size.where(full, 0)
            rank = torch.arange(len(order), device=track.device) - (own.cumsum(0) - own)[track[order]]
            kept[order[rank >= most[track[order]]]] = False
        return kept

    def most_of_tracks(self, scores: ScoreSet) -> torch.Tensor:
        """Returns how many events each track keeps, int64 ``[track]``."""
        minutes = scores.durations.clamp(min=_SHORTEST) / 60
        return (self.most_per_minute * minutes).clamp(min=1).long().repeat_interleave(scores.n_classes)


@dataclass(frozen=True)
class LeftOut:
    """Decoded events that are not kept.

    Attributes:
        track: tracks that have lost some, ascending int64 ``[row]``.
        events: their number, int64 ``[row]``.
        by_candidate: how many of them each candidate decodes, float32 ``[row, candidate]``.
    """

    track: torch.Tensor
    events: torch.Tensor
    by_candidate: torch.Tensor

    def n_clips(self, n_classes: int) -> int:
        """Returns in how many clips that is."""
        return len(torch.unique(self.track // n_classes))


def tell_left_out(n_kept: int, n_left_out: int, n_clips: int, scores: ScoreSet, bounds: PoolBounds) -> None:
    """Warns where events are left out, with the numbers of events and clips.

    Args:
        n_kept: number of events that are kept.
        n_left_out: number of those that are not.
        n_clips: number of clips in which these are.
        scores: what was decoded.
        bounds: what was asked for.
    """
    if not n_left_out:
        return
    where = f"in {n_clips} of {scores.n_clips} clips" if scores.n_clips > 1 else f"in the clip '{scores.clip_ids[0]}'"
    reasons = [f"beyond {bounds.most_per_minute:g} a minute and class"]
    if bounds.least_votes > 1:
        reasons.append(f"or of fewer than {bounds.least_votes} candidates")
    warn(f"Of {n_kept + n_left_out} events that the candidates decode, {n_left_out} {where} are not judged: those of "
         f"the fewest candidates, {' '.join(reasons)}; train with other most_per_minute, least_votes for more.")  # fmt: skip
