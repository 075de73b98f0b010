"""Exact search over all combinations of candidate values."""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.metrics.base import Counts, floating, total_counts
from rl_postproc.metrics.objectives import Constrained
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds
from rl_postproc.utils.errors import UserError

from ..base import Agent, FitResult, ProgressCallback, constant_fit, require_classes_apart, silent
from .inner_folds import FOLDS, best_width
from .inner_margin import best_margins

Selection = Literal["maximum", "smoothed", "inner_folds"]

Fraction = Annotated[float, Field(gt=0, le=100)]


class GridSearch(Agent):
    """The best constant parameters of the grid, read off the count table, each class by itself or one setting for all.

    Macro F1 of constant parameters splits by class, as most objectives do, so that with ``selection: maximum`` the per-class
    search is the true optimum on its data: no other constant parameters from the grid score higher there. So it is for micro
    F1, class by class at each value that is reached. On other clips a broad hill is
    worth more than a sharp peak: with ``smoothed`` each class's scores are smoothed over neighbouring candidates before
    the best is taken, which holds out better by half a point on average where events are scored, and worse by as much where
    tags are. With ``inner_folds`` the clips say how strongly: by the width, unless none, half of it or twice it holds out
    clearly better on five inner folds; and under a minimum, by how much it must be exceeded in each class.
    """

    streams: ClassVar[bool] = True
    holds: ClassVar[Holds] = "sums"

    agent: Literal["grid_search"] = "grid_search"
    scope: Literal["class", "global"] = Field(default="class", description="one setting a class, or one for all")
    selection: Selection = Field(
        default="inner_folds",
        description="maximum: the best candidate; smoothed: the best after smoothing over its neighbours; inner_folds: "
        "as strongly as holds out best",
    )
    smoothing: float = Field(
        default=0.08, gt=0, le=1, description="width as a fraction of each parameter's number of values"
    )

    fractions: dict[str, list[Fraction]] = Field(
        default={},
        description="parameters in seconds that are, in each class, the candidate nearest to a fraction of the median length "
        "of its references; the best of the fractions is taken for all classes, such as {median.kernel: [0.2, 0.33, 0.5]}",
    )

    @model_validator(mode="after")
    def _fractions_are_of_classes(self) -> GridSearch:
        if self.fractions and self.scope == "global":
            raise ValueError("'fractions' of each class's lengths make no setting for all classes; leave out 'scope'")
        return self

    def check(self, task: TuningTask) -> None:
        """Needs an objective that splits by class, unless one setting is sought for all; and the parameters that it names."""
        names, units = task.stack.space.names, task.stack.units
        for name in self.fractions:
            if name not in names or units[names.index(name)] != "seconds":
                timed = [own for own, unit in zip(names, units, strict=True) if unit == "seconds"]
                raise UserError(f"The agent 'grid_search' is to set '{name}' by lengths of events, but the stack has no such "
                                f"parameter in seconds (it has {', '.join(timed) or 'none'}).")  # fmt: skip
        if self.scope == "class":
            require_classes_apart(self, task, "set scope: global", ratio=True)

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Returns the best candidate of each class, or of all classes together."""
        space, evaluations = task.stack.space, task.stack.space.n_candidates * task.scores.n_clips
        width = {"maximum": 0.0, "smoothed": 1.0}.get(self.selection)
        if width is None and isinstance(task.objective, Constrained) and self.scope == "class" and not self.fractions:
            found, held_out = best_margins(task, task.objective, self.smoothing)
            fit = constant_fit(task, space.values[found.cpu()], evaluations * (1 + FOLDS))
            fit.held_out = held_out
            return fit
        if width is None:
            width = best_width(task, self._counts)
            evaluations *= 1 + FOLDS
        return constant_fit(task, space.values[self._best(task, width).cpu()], evaluations)

    def _best(self, task: TuningTask, width: float) -> torch.Tensor:
        """Returns the best candidate of each class, int64 ``[class]``, smoothed by so many times the usual width."""
        table, smoothing = task.summed, width * self.smoothing
        if self.scope == "global":
            return torch.full((table.n_classes,), table.best_global(task.objective, smoothing))
        if not self.fractions:
            return table.best_per_class(task.objective, smoothing) if smoothing else task.best_constants
        best, best_value = None, -torch.inf
        for chosen in itertools.product(*self.fractions.values()):
            found = table.best_per_class(task.objective, smoothing, self._allowed(task, chosen))
            counts = floating(total_counts(table.of_choice(found)))
            value = float(task.objective.value(task.metric, counts))
            if best is None or value > best_value:
                best, best_value = found, value
        assert best is not None
        return best

    def _allowed(self, task: TuningTask, fractions: tuple[float, ...]) -> torch.Tensor:
        """Returns which candidates have the lengths nearest to fractions of each class's, bool ``[class, candidate]``."""
        references, space = task.scores.require_references(), task.stack.space
        length = references.offset - references.onset
        allowed = torch.ones(task.scores.n_classes, space.n_candidates, dtype=torch.bool)
        for name, fraction in zip(self.fractions, fractions, strict=True):
            place = space.names.index(name)
            grid = torch.tensor(space.parameters[place].candidates)
            for label in range(task.scores.n_classes):
                own = length[references.label == label]
                # A class without references is free.
                if len(own):
                    nearest = grid[(grid - fraction * float(own.median())).abs().argmin()]
                    allowed[label] &= space.values[:, place] == nearest
        return allowed.to(task.device)

    def _counts(self, train: TuningTask, held: TuningTask, width: float) -> Counts:
        """Returns what the best candidates of one task count on another, ``[class]``."""
        return total_counts(held.summed.of_choice(self._best(train, width)))
