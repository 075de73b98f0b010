"""How sure of an event one must be: λ of each class from the probabilities of its own events, without references.

An event is worth ``2·p − λ``, so that a higher λ lets fewer events pass. Where the events chosen at λ have an F1 of λ, that
F1 is the highest (Dinkelbach). Without references the expected F1 takes its place: the probabilities of the chosen events
add up to the matches one expects, and those of all that may be events, over the share of references that have such an event
at all, to the references.

Source: Ye et al., "Optimizing F-measures: a tale of two approaches", ICML 2012; Lipton et al., "Optimal thresholding of
classifiers to maximize F1 measure", ECML 2014.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.scheduling import best_sets

_F1_GRID = torch.arange(2, 15, dtype=torch.float64) / 20
"""Values of λ that are tried for the highest F1, 0.1 to 0.7."""

_WHOLE_GRID = torch.cat([_F1_GRID, torch.arange(8, 20, dtype=torch.float64) / 10])
"""Values of λ that are tried for anything else, up to 1.9."""

LEAST = float(_F1_GRID[0]) / 2
"""Probability below which an event is never chosen."""

_EVENTS = 1 << 20
"""Events, each counted once for each λ, of which sets are chosen together."""

_LOW, _HIGH = 0.25, 0.7
"""Range of λ for the highest F1."""


class Wish(BaseModel, frozen=True, extra="forbid"):
    """What the chosen events shall have: the highest F1, or at least a precision or recall, or a number an hour.

    All but F1 hold for what the probabilities lead one to expect, for all classes together.
    """

    of: Literal["f1", "precision", "recall", "events_per_hour"] = "f1"
    value: float | None = Field(
        default=None, ge=0, le=1e9, description="of precision or recall, in (0, 1), or events an hour and class"
    )


class OperatingPoint(BaseModel, frozen=True, extra="forbid"):
    """What turns the probabilities of events into λ.

    Attributes:
        prior: λ of a class of which nothing is known.
        recalled: share of references that have an event in the pool, by which expected matches become references.
        trust: weight of the class's own expected F1 against the prior.
    """

    prior: float = Field(default=0.42, ge=0.05, le=1.5)
    recalled: float = Field(default=0.55, gt=0, le=1)
    trust: float = Field(default=0.5, ge=0, le=1)

    def lam(
        self, events: DecodedEvents, probability: torch.Tensor, n_classes: int, hours: float, wish: Wish
    ) -> torch.Tensor:
        """Returns λ of each class, float64 ``[class]``.

        Args:
            events: of all clips.
            probability: of each to match a reference, ``[event]``.
            n_classes: number of classes.
            hours: length of all clips together.
            wish: what the chosen events shall have.
        """
        grid = _F1_GRID if wish.of == "f1" else _WHOLE_GRID
        n, matches = expected(events, probability, n_classes, grid)
        references = matches[0] / self.recalled
        if wish.of == "f1":
            f1 = 2 * matches / (n + references).clamp(min=1e-9)
            own = torch.where(references > 0, grid[f1.argmax(0)], self.prior)
            return (self.trust * own + (1 - self.trust) * self.prior).clamp(_LOW, _HIGH)
        value = float(wish.value or 0.0)
        if wish.of == "events_per_hour":
            return _first(n <= value * hours, grid)
        if wish.of == "precision":
            reached = torch.where(
                n.sum(1) > 0, matches.sum(1) / n.sum(1).clamp(min=1e-9), 1.0
            )  # silence is never wrong
            return _first((reached >= value)[:, None].expand(-1, n_classes), grid)
        # The highest λ that still has the recall, which falls with λ.
        reached = matches.sum(1) / references.sum().clamp(min=1e-9)
        last = int((reached >= value).sum()) - 1
        return grid[max(0, last)].expand(n_classes).clone()


def expected(
    events: DecodedEvents, probability: torch.Tensor, n_classes: int, grid: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns how many events each λ of a grid chooses, and how many of them should match, float64 ``[λ, class]`` each."""
    label = events.track % n_classes
    n, matches = [], []
    for lams in grid.split(max(1, _EVENTS // max(1, len(events)))):
        values = 2 * probability - lams[:, None].to(probability.dtype)
        for chosen in best_sets(_repeated(events, len(lams)), values.flatten()).view(len(lams), -1):
            n.append(torch.bincount(label[chosen], minlength=n_classes).double())
            matches.append(torch.bincount(label[chosen], probability[chosen].double(), minlength=n_classes))
    return torch.stack(n), torch.stack(matches)


def _repeated(events: DecodedEvents, n: int) -> DecodedEvents:
    """Returns the events of as many tracks several times over, without memberships of candidates."""
    track = events.track + events.n_tracks * torch.arange(n, device=events.track.device)[:, None]
    none = events.event[:0]
    return DecodedEvents(track.flatten(), events.first.repeat(n), events.last.repeat(n), none, none, none, none,
                         events.n_tracks * n, events.n_filters, events.n_levels)  # fmt: skip


def _first(holds: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Returns the lowest λ from which on something holds, the highest of all where it never does, ``[class]``.

    Args:
        holds: bool ``[λ, class]``.
        grid: the values of λ, ascending.
    """
    always = holds.flip(0).long().cummin(0).values.flip(0).bool()
    return torch.where(always.any(0), grid[always.long().argmax(0)], grid[-1])
