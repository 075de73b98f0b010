"""The counts of every candidate of a stack, for every clip and class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from rl_postproc.metrics.base import Counts, Metric, Score, floating, total_counts
from rl_postproc.metrics.objectives import Linearisation, Objective
from rl_postproc.pipeline.space import ParameterSpace
from rl_postproc.utils.errors import UserError

_MOST_ROUNDS = 100
"""Rounds in the search for a ratio's highest value, of which a handful do."""


@dataclass(frozen=True)
class CountTable:
    """Counts of every candidate for every clip and class.

    Grid search is an argmax over `totals`, an environment step a gather (`of_choice`), a fold a `select`.

    Attributes:
        counts: the metric's columns: uint8, int16 or int32 ``[clip, class, candidate]``, or int64 ``[clip, class]`` for
            those that no candidate changes.
        metric: what is counted.
        space: what each candidate stands for.
    """

    counts: Counts
    metric: Metric
    space: ParameterSpace

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return self._any.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self._any.shape[1]

    @property
    def _any(self) -> torch.Tensor:
        return self.counts[self.metric.columns[0]]

    def select(self, clips: torch.Tensor) -> CountTable:
        """Returns the table of the given clips (int64 indices)."""
        clips = clips.to(self._any.device)
        return replace(self, counts={name: column[clips] for name, column in self.counts.items()})

    def to(self, device: torch.device | str) -> CountTable:
        """Returns the same table on another device."""
        return replace(self, counts={name: column.to(device) for name, column in self.counts.items()})

    def decides(self) -> torch.Tensor:
        """Returns for which clips and classes any candidate detects anything, bool ``[clip, class]``."""
        columns = {name: column if column.ndim == 3 else column[..., None] for name, column in self.counts.items()}
        found = []
        for clips in torch.arange(self.n_clips).split(max(1, (1 << 20) // (self.n_classes * self.space.n_candidates))):
            part = slice(int(clips[0]), int(clips[-1]) + 1)
            found.append((self.metric.output({name: x[part].int() for name, x in columns.items()}) > 0).any(-1))
        return torch.cat(found)

    def totals(self) -> dict[str, torch.Tensor]:
        """Returns the counts summed over clips: int64 ``[candidate, class]``, or ``[1, class]`` where all are the same."""
        return {
            name: _sum_over_clips(column).T if column.ndim == 3 else column.sum(0)[None]
            for name, column in self.counts.items()
        }

    def of_choice(self, choice: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the counts of one candidate per clip and class, int64 ``[clip, class]``.

        Args:
            choice: candidate indices, int64 ``[clip, class]`` or ``[class]``.
        """
        index = choice.expand(self.n_clips, self.n_classes)[..., None]
        return {
            name: column.gather(-1, index)[..., 0].long() if column.ndim == 3 else column
            for name, column in self.counts.items()
        }

    def score(self, choice: torch.Tensor) -> Score:
        """Scores one candidate per clip and class (or per class) on all clips of the table."""
        return self.metric.summarise(total_counts(self.of_choice(choice)))

    def linearise(self, objective: Objective, choice: torch.Tensor) -> Linearisation:
        """Linearises the objective at one candidate per clip and class (or per class)."""
        return objective.linearise(self.metric, total_counts(self.of_choice(choice)), self.n_clips)

    def best_per_class(
        self, objective: Objective, smoothing: float = 0.0, allowed: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Returns the candidates, one a class, that together maximise the objective, int64 ``[class]``.

        Where the objective is a mean of terms of the classes, each is searched by itself; where it is a ratio of sums over
        classes and counts (`Objective.pooled`), each is at the value of the ratio that has been reached, until that stands
        still (Dinkelbach 1967). Parameters of global scope are held equal by trying each of their values. Classes without a
        term (no references), or with one that no candidate changes (no attainable hit), take the candidate that detects
        least. Ties go to the middle of the widest run of equals among the last parameter's values, which is the choice
        least likely to fall over on other clips.

        Args:
            objective: what is maximised.
            smoothing: width of the Gaussian that smooths each class's terms over the candidates first, as in `smoothed`;
                with parameters of global scope the sum of the smoothed terms is maximised.
            allowed: which candidates a class may have, bool ``[class, candidate]``; all when None.

        Raises:
            UserError: the objective is neither.
        """
        totals = floating(self.totals())
        smooth, output = self._smoother(smoothing), self.metric.output(totals)
        terms = objective.smoothed_terms(self.metric, totals, smooth) if smoothing else None
        terms = objective.class_terms(self.metric, totals) if terms is None else terms
        if terms is not None:
            return self._best_of_terms(terms, output, allowed)
        if not objective.pooled:
            raise UserError(f"The objective '{objective.name}' does not split by class, so no search of each class by "
                            "itself maximises it; use another agent.")  # fmt: skip
        found, value = self._best_of_terms(smooth(self.metric.score(totals)), output, allowed), -torch.inf
        best = found
        for _ in range(_MOST_ROUNDS):
            reached = floating(total_counts(self.of_choice(found)))
            now = float(objective.value(self.metric, reached))
            if now <= value:
                break
            best, value = found, now
            gradient = objective.gradient(self.metric, reached)
            gain = sum(g * totals[name] for g, name in zip(gradient, self.metric.columns, strict=True))
            assert isinstance(gain, torch.Tensor)
            found = self._best_of_terms(smooth(gain), output, allowed)
        return best

    def _smoother(self, smoothing: float) -> Callable[[torch.Tensor], torch.Tensor]:
        """Returns what smooths figures ``[candidate, class]`` over the candidates, but for classes that they do not tell."""

        def smooth(figures: torch.Tensor) -> torch.Tensor:
            if not smoothing:
                return figures
            rows = figures.T.expand(-1, self.space.n_candidates).clone()
            whole = ~(rows.isnan() | (rows == rows[:, :1]).all(1, keepdim=True)).any(1)
            rows[whole] = smoothed(rows[whole], self.space.grids, smoothing)
            return rows.T

        return smooth

    def _best_of_terms(self, terms: torch.Tensor, output: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """Returns the candidate of each class with the highest term, else the least output, of ``[candidate, class]``."""
        quality = terms.T
        known = ~quality.isnan().all(1)
        idle = quality.isnan() | (quality == quality[:, :1]).all(1, keepdim=True)
        quality = torch.where(idle, -output.T, quality)
        if allowed is not None:
            quality = quality.expand(-1, self.space.n_candidates).where(allowed, -torch.inf)
        group = self.space.global_group.to(quality.device)
        best, best_value = None, -torch.inf
        for g in range(int(group.max()) + 1):
            possible = torch.where(group == g, quality, -torch.inf)
            value = float(possible.amax(1)[known & ~idle.all(1)].sum())
            if best is None or value > best_value:
                best, best_value = _middle_of_best(possible, self.space.grids), value
        assert best is not None
        return best

    def best_global(self, objective: Objective, smoothing: float = 0.0) -> int:
        """Returns the one candidate that, used for all classes, maximises the objective, smoothed as in `smoothed`."""
        totals = self.totals()
        value = objective.value(self.metric, floating(totals)).expand(self.space.n_candidates)
        if bool(self.metric.score(floating(totals)).isnan().all()):
            value = -self.metric.output(totals).sum(-1).double()
        elif smoothing:
            value = smoothed(value[None], self.space.grids, smoothing)[0]
        return int(_middle_of_best(value[None], self.space.grids)[0])


def smoothed(quality: torch.Tensor, grids: Sequence[Sequence[int]], smoothing: float) -> torch.Tensor:
    """Smooths surfaces over the grids of candidates with a Gaussian; beyond an edge the value at the edge goes on.

    Args:
        quality: float64 ``[row, candidate]``.
        grids: number of values along each parameter of each grid, see `ParameterSpace.grids`.
        smoothing: standard deviation along each parameter, as a fraction of the number of its values.
    """
    from scipy.ndimage import gaussian_filter

    found = []
    for sizes, part in zip(grids, quality.split([math.prod(sizes) for sizes in grids], 1), strict=True):
        surface = part.reshape(len(part), *sizes).cpu().numpy()
        surface = gaussian_filter(surface, [0.0, *(smoothing * n for n in sizes)], mode="nearest")
        # Where the surface is level, rounding errors must not decide.
        found.append(torch.from_numpy(surface.round(12)).reshape(part.shape).to(quality.device))
    return torch.cat(found, 1)


def _sum_over_clips(counts: torch.Tensor) -> torch.Tensor:
    """Sums ``[clip, class, candidate]`` to int64, a few clips at a time: torch widens all that it sums at once."""
    total = torch.zeros(counts.shape[1:], dtype=torch.int64, device=counts.device)
    for part in counts.split(max(1, (1 << 20) // max(1, total.numel()))):
        total += part.sum(0, dtype=torch.int64)
    return total


def _middle_of_best(quality: torch.Tensor, grids: Sequence[Sequence[int]]) -> torch.Tensor:
    """Returns the index of a maximum of each row, in the middle of the longest run of maxima.

    Args:
        quality: ``[row, candidate]``.
        grids: number of values along each parameter of each grid; neighbours differ in the last one.
    """
    best = quality.amax(1, keepdim=True)
    lengths, places, before = [], [], 0
    for sizes, part in zip(grids, quality.split([math.prod(sizes) for sizes in grids], 1), strict=True):
        run = sizes[-1] if sizes else 1
        is_best = (part == best).reshape(len(part), -1, run)
        index = torch.arange(run, device=part.device)
        start = torch.where(is_best, -1, index).cummax(-1).values + 1
        end = torch.where(is_best, run, index).flip(-1).cummin(-1).values.flip(-1) - 1
        length = torch.where(is_best, end - start + 1, 0).flatten(1)
        first = length.argmax(1, keepdim=True)
        lengths.append(length.gather(1, first)[:, 0])
        places.append(before + first[:, 0] + (end - start).flatten(1).gather(1, first)[:, 0] // 2)
        before += part.shape[1]
    longest = torch.stack(lengths).argmax(0, keepdim=True)
    return torch.stack(places).gather(0, longest)[0].long()
