"""Settings of objectives that may differ from class to class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field, PrivateAttr
from typing_extensions import Self

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import Metric
from rl_postproc.metrics.objectives.base import Objective
from rl_postproc.utils.errors import UserError, suggest

Share = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e9)]


class OfClasses(Objective):
    """An objective with settings that are one number, or numbers by class name.

    What it knows of the clips (`Objective.on`) is no setting: neither its config nor its digest has it.
    """

    _classes: tuple[str, ...] | None = PrivateAttr(None)
    _labels: torch.Tensor | None = PrivateAttr(None)

    def by_name(self) -> list[Mapping[str, float]]:
        """Returns the settings that are numbers by class name."""
        values = [getattr(self, name) for name in type(self).model_fields]
        return [value for value in values if isinstance(value, dict)]

    def check(self, metric: Metric, classes: Sequence[str]) -> None:
        """See `Objective.check`."""
        super().check(metric, classes)
        for name in (name for value in self.by_name() for name in value if name not in classes):
            raise UserError(f"The objective '{self.name}' has a number for the class '{name}', which is not among those "
                            f"of the scores{suggest(name, list(classes))}.")  # fmt: skip

    def on(self, scores: ScoreSet) -> Self:
        """Returns a copy that knows the names of the classes."""
        if not self.by_name():
            return self
        copy = self.model_copy()
        copy._classes, copy._labels = tuple(scores.classes), None
        return copy

    def at(self, labels: torch.Tensor) -> Self:
        """See `Objective.at`."""
        if self._classes is None:
            return self
        copy = self.model_copy()
        copy._labels = labels
        return copy

    def numbers(self, value: float | Mapping[str, float], other: float, like: torch.Tensor) -> torch.Tensor | float:
        """Returns a setting's number, or those of all classes, ``[class]``.

        Args:
            value: the setting.
            other: the number of classes that the setting does not name.
            like: counts, whose dtype and device they get.

        Raises:
            UserError: it names classes, and the objective does not know those of the clips.
        """
        if not isinstance(value, Mapping):
            return value
        if self._classes is None:
            raise UserError(f"The objective '{self.name}' has numbers of single classes and must know the classes of the "
                            "scores; take that of a TuningTask, or objective.on(scores).")  # fmt: skip
        found = torch.tensor([value.get(name, other) for name in self._classes], dtype=like.dtype, device=like.device)
        return found if self._labels is None else found[self._labels]
