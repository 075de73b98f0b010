"""What a metric of rankings is: a figure of all thresholds at once, of events with confidences or of frame scores.

Its value is no function of counts that add up over clips, so that nothing is tuned for it: it judges.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.registry import Registered


@dataclass(frozen=True)
class RankedScore:
    """The value of a ranking.

    Attributes:
        overall: of all classes together, NaN where no class has a value.
        by_class: of each class, NaN where it has none, float64 ``[class]``.
        figures: further figures of all classes together, by name.
        rates: further figures of each class by name, ``[class]`` each; whole numbers are counts.
    """

    overall: float
    by_class: torch.Tensor
    figures: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def values(self) -> torch.Tensor:
        """Returns all values in one list, ``[value]``, for comparisons."""
        parts = [self.by_class, *self.rates.values()]
        single = torch.tensor([self.overall, *self.figures.values()], dtype=torch.float64)
        return torch.cat([single, *(part.double() for part in parts)])


class RankingMetric(Registered, ABC):
    """A figure of how well confidences of events, or scores of frames, rank what is there before what is not.

    Required are `value_name` and `value`; `certify` has an outside tool find the same.
    """

    noun: ClassVar[str] = "ranking"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.metrics",)

    ranking: str
    value_name: ClassVar[str]
    """What the overall value is called in results."""
    class_value_name: ClassVar[str]
    """What the value of a class is called in results."""
    needs_durations: ClassVar[bool] = False
    """Whether the value depends on how long the clips are."""
    most_certified: ClassVar[int | None] = None
    """Clips that the outside tool takes in good time; of more, a sample is certified."""

    @abstractmethod
    def value(
        self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None
    ) -> RankedScore:
        """Returns the value of a ranking.

        Args:
            references: reference events.
            estimates: events with confidences, or frame scores, of the same clips and classes.
            durations: length of each clip in seconds, float64 ``[clip]``; may be None unless `needs_durations`.

        Raises:
            UserError: this metric does not rank such estimates.
        """

    def certify(self, references: Events, estimates: Events | ScoreSet, durations: torch.Tensor | None = None) -> str:
        """Has an outside tool confirm the value, see `value`.

        Returns:
            Name and version of the tool that found the same, or "none: " and why there is none.

        Raises:
            CertificationError: the tool found something else.
        """
        return f"none: the ranking '{self.name}' names no outside tool"


def mean_of_known(by_class: torch.Tensor) -> float:
    """Returns the mean over the classes that have a value, NaN where none has."""
    return float(by_class.nanmean())
