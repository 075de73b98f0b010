"""The counts of every candidate of a stack, for every clip and class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rl_postproc.metrics import Scored, f1, score_counts
from rl_postproc.stack import ParameterSpace


@dataclass(frozen=True)
class CountTable:
    """Counts of every candidate for every clip and class.

    Grid search is an argmax over `totals`, an environment step a gather (`of_choice`), a fold a `select`.

    Attributes:
        true_positives: uint8, int16 or int32 ``[clip, class, candidate]``.
        estimated: the same shape and kind.
        reference: int64 ``[clip, class]``.
        space: what each candidate stands for.
    """

    true_positives: torch.Tensor
    estimated: torch.Tensor
    reference: torch.Tensor
    space: ParameterSpace

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return self.true_positives.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.true_positives.shape[1]

    def select(self, clips: torch.Tensor) -> CountTable:
        """Returns the table of the given clips (int64 indices)."""
        clips = clips.to(self.reference.device)
        return replace(
            self,
            true_positives=self.true_positives[clips],
            estimated=self.estimated[clips],
            reference=self.reference[clips],
        )

    def to(self, device: torch.device | str) -> CountTable:
        """Returns the same table on another device."""
        parts = {n: getattr(self, n).to(device) for n in ("true_positives", "estimated", "reference")}
        return replace(self, **parts)

    def totals(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns the counts summed over clips: int64 ``[class, candidate]`` twice, and references ``[class]``."""
        return _sum_over_clips(self.true_positives), _sum_over_clips(self.estimated), self.reference.sum(0)

    def of_choice(self, choice: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the counts of one candidate per clip and class.

        Args:
            choice: candidate indices, int64 ``[clip, class]`` or ``[class]``.

        Returns:
            True positives and estimated counts, int64 ``[clip, class]``.
        """
        index = choice.expand(self.reference.shape)[..., None]
        return self.true_positives.gather(-1, index)[..., 0].long(), self.estimated.gather(-1, index)[..., 0].long()

    def score(self, choice: torch.Tensor) -> Scored:
        """Scores one candidate per clip and class (or per class) on all clips of the table."""
        true_positives, estimated = self.of_choice(choice)
        return score_counts(true_positives.sum(0), estimated.sum(0), self.reference.sum(0))

    def best_per_class(self) -> torch.Tensor:
        """Returns the candidate of each class with the highest F1, int64 ``[class]``.

        This is the optimum of macro F1 over constant parameters, since its classes separate; parameters of global
        scope are held equal by trying each of their values. Classes without references take the candidate that makes
        the fewest events. Ties go to the middle of the widest run of equals among the last parameter's values, which
        is the choice least likely to fall over on other clips.
        """
        true_positives, estimated, reference = self.totals()
        quality = f1(true_positives, estimated, reference[:, None])
        quality = torch.where(reference[:, None] > 0, quality, -estimated.double())
        group = self.space.global_group.to(quality.device)
        best, best_value = None, -torch.inf
        for g in range(int(group.max()) + 1):
            allowed = torch.where(group == g, quality, -torch.inf)
            value = float(allowed.amax(1)[reference > 0].sum())
            if best is None or value > best_value:
                best, best_value = _middle_of_best(allowed, self.space.sizes[-1]), value
        assert best is not None
        return best

    def best_global(self) -> int:
        """Returns the one candidate that, used for all classes, has the highest macro F1."""
        true_positives, estimated, reference = self.totals()
        known = reference > 0
        quality = f1(true_positives, estimated, reference[:, None])[known]
        macro = quality.mean(0) if bool(known.any()) else -estimated.sum(0).double()
        return int(_middle_of_best(macro[None], self.space.sizes[-1])[0])


def _sum_over_clips(counts: torch.Tensor) -> torch.Tensor:
    """Sums ``[clip, class, candidate]`` to int64, a few clips at a time: torch widens all that it sums at once."""
    total = torch.zeros(counts.shape[1:], dtype=torch.int64, device=counts.device)
    for part in counts.split(max(1, (1 << 20) // max(1, total.numel()))):
        total += part.sum(0, dtype=torch.int64)
    return total


def _middle_of_best(quality: torch.Tensor, run: int) -> torch.Tensor:
    """Returns the index of a maximum of each row, in the middle of the longest run of maxima.

    Args:
        quality: ``[row, candidate]``.
        run: number of candidates that are neighbours, the size of the last parameter.
    """
    is_best = (quality == quality.amax(1, keepdim=True)).reshape(len(quality), -1, run)
    index = torch.arange(run, device=quality.device)
    start = torch.where(is_best, -1, index).cummax(-1).values + 1
    end = torch.where(is_best, run, index).flip(-1).cummin(-1).values.flip(-1) - 1
    length = torch.where(is_best, end - start + 1, 0).flatten(1)
    first = length.argmax(1, keepdim=True)
    return (first[:, 0] + (end - start).flatten(1).gather(1, first)[:, 0] // 2).long()
