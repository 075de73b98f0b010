"""Confidences on one scale: by how many events of the class rank above, so that those of different rules and models agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rl_postproc.pipeline.saved import MadeFor, Shapes

_KNOTS = 256
"""Points of a class's scale, close together where few events rank above."""


@dataclass(frozen=True)
class RankScale:
    """Maps a class's rankings to ``1 / (1 + n)``, with n the events a minute that ranked above on held-out clips.

    Attributes:
        ranking: points of each class, rising from 0 to 1, float64 ``[class, point]``.
        above: events a minute that rank above each, falling to 0, float64 ``[class, point]``.
    """

    ranking: torch.Tensor
    above: torch.Tensor

    @classmethod
    def of(cls, label: torch.Tensor, ranking: torch.Tensor, n_classes: int, minutes: float) -> RankScale:
        """Learns the scale from events on held-out clips.

        Args:
            label: class of each, int64 ``[event]``.
            ranking: in [0, 1], float32 ``[event]``.
            n_classes: number of classes.
            minutes: length of the clips.
        """
        points = torch.ones(n_classes, _KNOTS, dtype=torch.float64)
        above = torch.zeros_like(points)
        for k in range(n_classes):
            own = np.sort(ranking[label == k].double().numpy())
            n = len(own)
            places = np.geomspace(1, n, _KNOTS - 2).round().astype(int) if n else np.zeros(0, int)
            x = np.unique(np.concatenate([[0.0, 1.0], own[n - places]]))
            # Of equal rankings half are above.
            y = n - (np.searchsorted(own, x, side="left") + np.searchsorted(own, x, side="right")) / 2
            y[0], y[-1] = n + 1, 0.0
            points[k, : len(x)], above[k, : len(x)] = torch.from_numpy(x), torch.from_numpy(y) / minutes
        return cls(points, above)

    def confidence(self, label: torch.Tensor, ranking: torch.Tensor) -> torch.Tensor:
        """Returns the confidences of events from classes and rankings, float32 ``[event]``."""
        n_points, value = self.ranking.shape[1], ranking.double().clamp(0, 1)
        # Classes lie one behind another on a line.
        line = (self.ranking + 2 * torch.arange(len(self.ranking))[:, None]).flatten()
        place = torch.searchsorted(line, value + 2 * label, right=True) - 1
        place = torch.maximum(torch.minimum(place, (label + 1) * n_points - 2), label * n_points)
        x, y = self.ranking.flatten(), self.above.flatten()
        step = x[place + 1] - x[place]
        part = torch.where(step > 0, (value - x[place]) / torch.where(step > 0, step, 1.0), 0.0).clamp(0, 1)
        return (1 / (1 + y[place] + part * (y[place + 1] - y[place]))).float()

    def check(self) -> None:
        """Insists that rankings rise from 0 to 1 and what ranks above falls.

        Raises:
            ValueError: they do not.
        """
        x, y = self.ranking, self.above
        rises = bool((x.diff(dim=1) >= 0).all()) and bool((x[:, 0] == 0).all()) and bool((x[:, -1] == 1).all())
        if not rises or bool((y < 0).any()) or bool((y.diff(dim=1) > 0).any()):
            raise ValueError("the scale of confidences does not rise")

    def state(self) -> dict[str, torch.Tensor]:
        """Returns what must be saved."""
        return {"ranking": self.ranking, "above": self.above}

    @staticmethod
    def shapes(made: MadeFor) -> Shapes:
        """Returns types and shapes of the arrays."""
        shape = (len(made.classes), _KNOTS)
        return {"ranking": (torch.float64, shape), "above": (torch.float64, shape)}
