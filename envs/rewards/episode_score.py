"""The published reward: everything at the end of the pass."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from .base import Decided, Reward


class EpisodeF1(Reward):
    """0 until the pass over the clips ends, then the number of clips times the objective (macro F1) of the pass.

    The reported objective itself, with all credit at the last step, as in the published system (Giannakopoulos et al.,
    IEEE Access 2022).
    """

    reward: Literal["episode_f1"] = "episode_f1"
    pays_at_end: ClassVar[bool] = True
    splits_by_class: ClassVar[bool] = False

    def __call__(self, decided: Decided) -> torch.Tensor:
        """Returns the objective of the passes that have ended."""
        return torch.where(decided.pass_over, decided.objective * decided.n_clips, 0.0)
