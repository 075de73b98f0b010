"""What a metric is: additive counts per clip and class, a score from their sums, and an oracle that certifies both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from typing_extensions import Self

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.errors import UnknownNameError, UserError
from rl_postproc.utils.registry import Registered

Counts = Mapping[str, torch.Tensor]
"""Additive counts by name, tensors of one shape, ``[clip, class]`` or, summed over clips, ``[class]``."""


class CertificationError(RuntimeError):
    """Our counts and an outside tool's differ: a defect of this package, never of the input."""


@dataclass(frozen=True)
class Score:
    """The score of summed counts.

    Attributes:
        macro: mean over the classes whose score is defined, 0 where none is.
        micro: score of the counts summed over all classes, 0 where it is not defined.
        by_class: score of each class, NaN where it is not defined, float64 ``[class]``.
    """

    macro: float
    micro: float
    by_class: torch.Tensor


class Intervals(NamedTuple):
    """Where along the threshold a count changes.

    Row ``i`` adds ``weight[i]`` to the count of a filtered track at every threshold ``θ`` with
    ``low[i] <= θ < high[i]``: a frame is active where its value is above the threshold.

    Attributes:
        track: index of the filtered track, int64 ``[row]``.
        low: ``[row]`` in the dtype of the values.
        high: ``[row]``.
        weight: int16 ``[row]``.
    """

    track: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    weight: torch.Tensor


class PreparedMetric(ABC):
    """The fast path of a metric: all thresholds at once, with everything computed that follows from the references."""

    fixed: Counts
    """Columns that no decision changes, such as the number of references, int64 ``[clip, class]``."""
    columns: tuple[str, ...]
    """Names of the other columns, in the order of `intervals`."""
    peaks_only: bool = False
    """Whether the counts of a track change only where its highest value is."""
    judges_events: bool = False
    """Whether `matches` tells of a single event whether it is right."""

    @abstractmethod
    def intervals(
        self, values: torch.Tensor, clips: slice, tracks: torch.Tensor | None = None
    ) -> tuple[Intervals, ...]:
        """Counts filtered tracks at every threshold at once.

        Args:
            values: ``[filter, frame, track]`` non-negative values of the clips' tracks (clip-major, then class): a
                frame is active at threshold ``θ >= 0`` where its value is above ``θ``.
            clips: the consecutive clips that the tracks belong to.
            tracks: which of the clips' tracks these are, int64 ``[track]``, not falling; a track may be there several
                times. All, once each, when None. Those that are missing are 0 throughout.

        Returns:
            Intervals of each of `columns`; their ``track`` is ``filter * tracks + track``.
        """

    def matches(self, track: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Returns which single events are right: some reference would match them, bool ``[event]``.

        Args:
            track: track of each event (clip-major, then class), int64 ``[event]``.
            first: its first active frame, int64 ``[event]``.
            last: its last active frame, int64 ``[event]``.
        """
        raise NotImplementedError("only where judges_events")


class Metric(Registered, ABC):
    """A rule that gives additive counts per clip and class, and a score of their sums.

    Required are `columns`, `count` and `score`. `certify` has an outside tool confirm the figures. `prepare` is an optional
    fast path that counts all thresholds at once; without it everything works, only slower.
    """

    noun: ClassVar[str] = "metric"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.metrics",)

    metric: str
    columns: ClassVar[tuple[str, ...]]
    """Names of the counts."""
    score_name: ClassVar[str] = "f1"
    """What the score is called in results, as in ``macro_f1``."""
    most_certified: ClassVar[int | None] = None
    """The `work` that the outside tool takes in good time; of more, a sample of clips is certified."""

    @classmethod
    def make(cls, settings: str | dict[str, Any], where: str = "") -> Self:
        """Builds a metric, see `Registered.make`; of a ranking, which has no counts, it says so."""
        try:
            return super().make(settings, where)
        except UnknownNameError:
            from rl_postproc.metrics.ranking.base import RankingMetric

            name = settings.get(cls.noun) if isinstance(settings, dict) else settings
            if not isinstance(name, str) or name not in RankingMetric.types():
                raise
            place = f"{where}: " if where else ""
            raise UserError(
                f"{place}'{name}' judges a ranking and has no counts, so that nothing is tuned for it; choose a metric with "
                f"counts, and see this one with `rl-postproc evaluate --metric {name}`."
            ) from None

    @abstractmethod
    def count(self, references: Events, estimates: Events) -> Counts:
        """Counts an event list.

        Args:
            references: reference events.
            estimates: detected events over the same clips and classes.

        Returns:
            Each of `columns`, int64 ``[clip, class]``. What silence counts must be 0 in each column that does not
            follow from the references alone.
        """

    @abstractmethod
    def score(self, counts: Counts) -> torch.Tensor:
        """Scores summed counts, the more the better (differentiable).

        Args:
            counts: each of `columns`, floating point ``[..., class]``.

        Returns:
            ``[..., class]`` in the same dtype, NaN where a class has no score and is left out of the mean.
        """

    def output(self, counts: Counts) -> torch.Tensor:
        """Returns how much has been detected, ``[..., class]``: of two settings of a class without score, less is better."""
        total = sum(counts[name] for name in self.columns)
        assert isinstance(total, torch.Tensor)
        return total

    def right(self, references: Events, estimates: Events) -> torch.Tensor | None:
        """Returns which events are right, bool ``[event]``, by which confidences are checked; None where none is by itself.

        Args:
            references: reference events.
            estimates: detected events over the same clips and classes.
        """
        return None

    def level_intervals(
        self, references: Events, estimates: Events, levels: torch.Tensor
    ) -> Mapping[str, Intervals] | None:
        """Counts events that are kept up to a level each, at every level at once; None where there is no such fast path.

        Args:
            references: reference events, of one class in each clip.
            estimates: detected events over the same clips and classes; those of one clip never overlap.
            levels: each is there at the levels below its own, int64 ``[event]`` of at least 1.

        Returns:
            Intervals of levels for each column that estimates change, in which ``track`` is the clip.
        """
        return None

    def certify(self, references: Events, estimates: Events, counts: Counts) -> str:
        """Has an outside tool confirm counts and scores.

        Args:
            references: reference events.
            estimates: detected events.
            counts: what `count` found, summed over clips, int64 ``[class]``.

        Returns:
            Name and version of the tool that found the same, or "none: " and why there is none.

        Raises:
            CertificationError: the tool found something else.
        """
        return f"none: the metric '{self.name}' names no outside tool"

    def work(self, references: Events, estimates: Events) -> torch.Tensor:
        """Returns how much the outside tool has to look at in each clip, references and estimates, int64 ``[clip]``."""
        return (references.counts() + estimates.counts()).sum(1)

    def prepare(self, scores: ScoreSet) -> PreparedMetric | None:
        """Computes what follows from the references and the frame grid alone; None where there is no fast path."""
        return None

    def rates(self, counts: Counts) -> dict[str, torch.Tensor]:
        """Returns what else of summed counts results show beside the score, such as precision and recall.

        Args:
            counts: each of `columns`, floating point ``[..., class]``.

        Returns:
            ``[..., class]`` in the same dtype by name, NaN where it is not defined.
        """
        return {}

    def overall(self, references: Events, estimates: Events) -> Mapping[str, float]:
        """Returns figures of all classes together that do not follow from the counts of each, such as substitutions.

        One that is called like a rate takes the place of the rate's micro average.

        Args:
            references: reference events.
            estimates: detected events over the same clips and classes.
        """
        return {}

    def summarise(self, counts: Counts) -> Score:
        """Scores counts that have been summed over clips, int64 ``[class]``."""
        return _averaged(self.score(floating(counts)), self.score(self._pooled(counts)))

    def summarise_rates(self, counts: Counts) -> dict[str, Score]:
        """Returns `rates` of counts that have been summed over clips, int64 ``[class]``, averaged as the score is."""
        pooled = self.rates(self._pooled(counts))
        return {name: _averaged(rate, pooled[name]) for name, rate in self.rates(floating(counts)).items()}

    def _pooled(self, counts: Counts) -> dict[str, torch.Tensor]:
        return floating({name: counts[name].sum(-1, keepdim=True) for name in self.columns})


def _averaged(by_class: torch.Tensor, pooled: torch.Tensor) -> Score:
    """Returns the mean over classes that have a value, and that of all classes together, ``[1]``."""
    known = ~by_class.isnan()
    macro = float(by_class[known].mean()) if bool(known.any()) else 0.0
    return Score(macro, float(pooled.nan_to_num(0.0)[0]), by_class)


def floating(counts: Counts) -> dict[str, torch.Tensor]:
    """Returns whole numbers as float64, and floating-point counts as they are."""
    return {name: column if column.is_floating_point() else column.double() for name, column in counts.items()}


def total_counts(counts: Counts) -> dict[str, torch.Tensor]:
    """Sums counts ``[clip, class]`` over clips, int64 ``[class]``."""
    return {name: column.sum(0) for name, column in counts.items()}
