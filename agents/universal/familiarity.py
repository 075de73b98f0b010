"""Whether scores look like those that a post-processor was trained on: how far a set's events are from the training sets'.

A set of clips is described by mean and deviation of the features of its likely events. Over the training sets, which are
detectors real, simulated and changed, these descriptions spread in some directions and hardly in others. A new set
is strange where it lies far out in a direction in which they spread, or off all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rl_postproc.pipeline.saved import Shapes

_DIRECTIONS = 12
"""Directions in which the training sets spread most."""

_FEWEST_TRACKS = 20
"""Clips and classes with likely events that it takes to tell how strange a set is."""

_FAR, _OFF = 4.0, 6.0
"""Distances, in those of typical training sets, from which on a set is strange: along the directions, and off them."""


class Description:
    """Mean and deviation of the features of a set's likely events, taken up a group of clips at a time."""

    def __init__(self, n_features: int):
        """Begins without events."""
        self.n_events = self.n_tracks = 0
        self._sum, self._squares = torch.zeros(2, n_features, dtype=torch.float64)

    def add(self, features: torch.Tensor, track: torch.Tensor) -> None:
        """Takes up likely events ``[event, feature]`` of tracks ``[event]`` that were not there before."""
        self.n_events += len(features)
        self.n_tracks += len(torch.unique(track))
        self._sum += features.double().sum(0)
        self._squares += features.double().square().sum(0)

    @property
    def tells(self) -> bool:
        """Whether there are enough clips and classes with likely events to tell how strange they are."""
        return self.n_tracks >= _FEWEST_TRACKS

    @property
    def deviation(self) -> torch.Tensor:
        """Deviation of each feature, float64 ``[feature]``."""
        mean = self._sum / self.n_events
        return (self._squares / self.n_events - mean.square()).clamp(min=0).sqrt()

    @property
    def values(self) -> torch.Tensor:
        """Means, then deviations, float64 ``[2 · feature]``."""
        return torch.cat([self._sum / self.n_events, self.deviation])


@dataclass(frozen=True)
class Familiarity:
    """What the training sets look like.

    Attributes:
        mean: of their descriptions, ``[2 · feature]``.
        scale: deviation between them.
        within: deviation between tracks of one set, by which small sets stray.
        directions: in which they spread, in units of ``scale``, ``[direction, 2 · feature]``.
        spread: how far, ``[direction]``.
        rest: mean squared distance off these directions, ``[1]``.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    within: torch.Tensor
    directions: torch.Tensor
    spread: torch.Tensor
    rest: torch.Tensor

    @classmethod
    def of(cls, descriptions: list[Description]) -> Familiarity:
        """Learns from the descriptions of training sets, two at least."""
        all_sets = torch.stack([description.values for description in descriptions])
        scale, mean = torch.std_mean(all_sets, 0, correction=0)
        scale = scale + 1e-3
        apart = (all_sets - mean) / scale
        n = min(_DIRECTIONS, len(apart) // 4)
        _, size, directions = torch.linalg.svd(apart, full_matrices=False)
        directions, spread = directions[:n], (size[:n].square() / len(apart)).clamp(min=1e-6)
        rest = (apart - apart @ directions.T @ directions).square().sum(1).mean()
        within = torch.stack([description.deviation for description in descriptions]).mean(0)
        return cls(mean, scale, torch.cat([within, within]), directions, spread, rest.clamp(min=1e-6)[None])

    @staticmethod
    def shapes() -> Shapes:
        """Returns types and shapes of the arrays."""
        sizes = {"directions": ("direction", "number"), "spread": ("direction",), "rest": (1,)}
        return {name: (torch.float64, sizes.get(name, ("number",)))
                for name in ("mean", "scale", "within", "directions", "spread", "rest")}  # fmt: skip

    def distance(self, description: Description) -> float:
        """Returns how strange a set is; from 1 on it looks unlike the training sets."""
        scale = (self.scale.square() + self.within.square() / description.n_tracks).sqrt()
        apart = (description.values - self.mean) / scale
        along = self.directions @ apart
        far = (along.square() / self.spread).mean().sqrt() / _FAR
        off = ((apart - along @ self.directions).square().sum() / self.rest[0]).sqrt() / _OFF
        return float(torch.maximum(far, off))
