"""The events of batches of tracks, and how they make up the candidates: what every event-additive policy trains on."""

from __future__ import annotations

import torch

from rl_postproc.candidates.events import DecodedEvents, sum_intervals
from rl_postproc.candidates.pool import LEFT_OUT_VALUE
from rl_postproc.utils.tensors import ragged_ranges


class EventLayout:
    """Where the events of each track lie among all decoded events."""

    def __init__(self, events: DecodedEvents):
        """Takes decoded events, which are sorted by track."""
        self.events = events
        self._event_starts = _starts(events.track, events.n_tracks)
        self._member_starts = _starts(events.track[events.event], events.n_tracks)
        self._left_out: torch.Tensor | None = None
        if events.left_out is not None:
            # Its row of each track; one row more, of zeros, for those that have lost nothing.
            rows = events.left_out.by_candidate
            self._left_out = torch.nn.functional.pad(rows, (0, 0, 0, 1))
            self._left_out_row = torch.full((events.n_tracks,), len(rows), dtype=torch.int64)
            self._left_out_row[events.left_out.track] = torch.arange(len(rows))

    @property
    def alive(self) -> torch.Tensor:
        """Which tracks have events, bool ``[track]``."""
        return self._event_starts.diff() > 0

    def gather(self, tracks: torch.Tensor) -> EventBatch:
        """Collects the events of a batch of tracks, int64 ``[track]``."""
        rows, track, begins = _ranges(self._event_starts, tracks)
        members, member_track, _ = _ranges(self._member_starts, tracks)
        event = self.events.event[members] - self._event_starts[tracks][member_track] + begins[member_track]
        left_out = None if self._left_out is None else self._left_out[self._left_out_row[tracks]]
        return EventBatch(self.events, len(tracks), rows, track, members, member_track, event, left_out)


class EventBatch:
    """The events of some tracks, and how they make up the candidates.

    Attributes:
        rows: events, int64 ``[event]``.
        track: position in the batch of each one's track, int64 ``[event]``.
    """

    def __init__(
        self,
        events: DecodedEvents,
        n_tracks: int,
        rows: torch.Tensor,
        track: torch.Tensor,
        members: torch.Tensor,
        member_track: torch.Tensor,
        event: torch.Tensor,
        left_out: torch.Tensor | None,
    ):
        """Takes events and memberships (rows of `DecodedEvents`), where each belongs in the batch, and what is left out."""
        self._left_out = left_out
        self.rows, self.track, self._events, self._n, self._event = rows, track, events, n_tracks, event
        self._row = member_track * events.n_filters + events.filter[members]
        self._low, self._high = events.low[members], events.high[members]

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Adds values ``[event]`` over the events of each candidate, ``[track, candidate]``; see `sum_over_candidates`."""
        events = self._events
        found = events.by_candidate(
            sum_intervals(
                values[self._event], self._row, self._low, self._high, self._n * events.n_filters, events.n_levels
            )
        )
        return found if self._left_out is None else found + LEFT_OUT_VALUE * self._left_out


def _starts(track: torch.Tensor, n_tracks: int) -> torch.Tensor:
    """Returns where the rows of each track begin, int64 ``[track + 1]``, of rows sorted by track."""
    return torch.nn.functional.pad(torch.bincount(track, minlength=n_tracks).cumsum(0), (1, 0))


def _ranges(starts: torch.Tensor, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the rows of the tracks one after another, the position of each row's track, and where each begins."""
    n = starts[tracks + 1] - starts[tracks]
    position, rows = ragged_ranges(starts[tracks], n)
    return rows, position, n.cumsum(0) - n
