"""The default reward: what a clip adds to the objective, to first order, paid at once."""

from __future__ import annotations

from typing import Literal

import torch

from .base import Decided, Reward


class LinearisedF1(Reward):
    """The first-order gain in the objective (macro F1), paid at once.

    ``Σ_c weight_c · (2·TP − λ_c · (estimated + reference))`` with ``λ_c`` the F1 of class c at a reference solution and
    ``weight_c`` chosen so that the mean reward over a pass is, to first order, the gain in macro F1 over that solution.
    It is maximised by the policy that maximises macro F1 when ``λ_c`` is that policy's own F1 (Dinkelbach 1967). For other
    metrics and objectives it is their gradient (`rl_postproc.metrics.objectives.Linearisation`).
    """

    reward: Literal["linearised_f1"] = "linearised_f1"

    def __call__(self, decided: Decided) -> torch.Tensor:
        """Returns the sum over the classes decided."""
        return decided.point.reward(decided.counts, decided.label).sum(-1)
