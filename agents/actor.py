"""The trainable part of a policy that chooses among all candidates of a clip and class."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn


class Actor(nn.Module):
    """Logits over all candidates for the tracks (clip-major, then class) of a task.

    Attributes:
        n_tracks: number of tracks.
        n_classes: number of classes.
    """

    def __init__(self, alive: torch.Tensor, n_classes: int):
        """Takes for which tracks any candidate decodes anything, bool ``[track]``, and the number of classes."""
        super().__init__()
        self.n_tracks, self.n_classes = len(alive), n_classes
        self._alive, self._silent = alive, int((~alive).int().argmax())

    @abstractmethod
    def logits(self, tracks: torch.Tensor) -> torch.Tensor:
        """Returns logits ``[track, candidate]`` of tracks, int64 ``[track]``."""

    def distinct(self, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns tracks without repeats, and the position among them of each given track, both int64.

        All silent tracks stand as one: whatever is chosen for them, nothing is decoded.
        """
        seen = torch.zeros(self.n_tracks, dtype=torch.bool)
        tracks = torch.where(self._alive[tracks], tracks, self._silent)
        seen[tracks] = True
        return seen.nonzero()[:, 0], (seen.cumsum(0) - 1)[tracks]
