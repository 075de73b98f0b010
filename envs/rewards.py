"""Rewards by name, as pure functions of counts.

``linearised_f1``
    ``Σ_c weight_c · (2·TP − λ_c · (estimated + reference))`` with ``λ_c`` the F1 of class c at a reference solution and
    ``weight_c`` chosen so that the mean reward over a pass is, to first order, the gain in macro F1 over that solution.
    It is maximised by the policy that maximises macro F1 when ``λ_c`` is that policy's own F1 (Dinkelbach 1967): every
    step has its full reward at once. The default.
``clip_f1``
    Mean over the classes that occur in the references or the output of the clip's own F1; 1 where neither has events.
    A mean of ratios: what it optimises is not the F1 that is reported.
``episode_f1``
    0 until the pass over the clips ends, then the number of clips times the macro F1 of the pass: the reward of the
    published system. It is the reported objective, with all credit at the last step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from rl_postproc.counts import CountTable
from rl_postproc.metrics import f1

RewardName = Literal["linearised_f1", "clip_f1", "episode_f1"]
REWARDS: tuple[str, ...] = get_args(RewardName)


@dataclass(frozen=True)
class Linearisation:
    """The point at which F1 is linearised.

    Attributes:
        lam: F1 of each class there, float32 ``[class]``.
        weight: weight of each class, float32 ``[class]``; 0 for classes without references.
    """

    lam: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def at(
        cls, true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor, n_clips: int
    ) -> Linearisation:
        """Linearises at summed counts ``[class]`` of a solution on ``n_clips`` clips."""
        lam = f1(true_positives, estimated, reference).nan_to_num(0.0).float()
        known = reference > 0
        weight = n_clips / (known.sum().clamp(min=1) * (estimated + reference).clamp(min=1))
        return cls(lam, torch.where(known, weight, 0.0).float())

    @classmethod
    def at_best_constants(cls, table: CountTable) -> Linearisation:
        """Linearises at the best constant parameters of a table."""
        true_positives, estimated = table.of_choice(table.best_per_class())
        return cls.at(true_positives.sum(0), estimated.sum(0), table.reference.sum(0), table.n_clips)

    def reward(self, true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Returns the reward of each class, float32 of the shape of the counts ``[..., class]``."""
        return self.weight * (2 * true_positives - self.lam * (estimated + reference))


def clip_f1(true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Returns the mean F1 over the classes that occur, float32 ``[...]`` from counts ``[..., class]``."""
    total = estimated + reference
    occurs = total > 0
    score = torch.where(occurs, 2 * true_positives / total.clamp(min=1), 0.0).sum(-1)
    n = occurs.sum(-1)
    return torch.where(n > 0, score / n.clamp(min=1), 1.0)


def macro_f1(true_positives: torch.Tensor, estimated: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Returns the macro F1 over the classes with references, float32 ``[...]`` from counts ``[..., class]``."""
    known = reference > 0
    score = torch.where(known, 2 * true_positives / (estimated + reference).clamp(min=1), 0.0).sum(-1)
    return score / known.sum(-1).clamp(min=1)
