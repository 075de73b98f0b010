"""Learning P(event matches a reference) on inner folds, and the λ that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.scheduling import best_sets
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.metrics import total_counts
from rl_postproc.metrics.base import Counts, floating
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import ProgressCallback, silent
from ..parts import Parts
from .checks import require_events
from .held_out import fit_held_out
from .policy import best_candidates
from .value_functions import EventValueFunction
from .value_models import LabelledEvents, ValueSettings

_PRICES = torch.arange(0, 39) / 20
"""Values of λ that are tried under a minimum, 0 to 1.9."""

_SHORTEST_PART = 60.0
"""Seconds that the parts of a single clip have at least which are held out in turn."""

Select = Literal["candidate", "events"]
"""What is chosen on a clip and class: one candidate with all it decodes, or a set of events of any candidates."""


@dataclass(frozen=True)
class Value:
    """A learned value function.

    Attributes:
        value_function: gives any event its value, averaged over the inner models.
        held_out: P(match) of the task's own events by inner models that have not seen their clip, ``[event]``.
        lam: λ of each class, ``[class]``.
        counts: of what is chosen on inner held-out clips, ``[class]``.
        inner: objective of what is chosen on inner held-out clips.
        constants: objective of the per-class search on the same inner held-out clips.
        objective: what results call the objective.
    """

    value_function: EventValueFunction
    held_out: torch.Tensor
    lam: torch.Tensor
    counts: Counts
    inner: float
    constants: float
    objective: str

    @property
    def constants_win(self) -> bool:
        """Whether the best constants beat it on inner held-out clips."""
        return self.inner < self.constants

    @property
    def curve(self) -> list[dict[str, float]]:
        """The two figures, as a fit reports them."""
        return [{f"inner_{self.objective}": self.inner, f"inner_constants_{self.objective}": self.constants}]


def fit_value(
    task: TuningTask,
    settings: ValueSettings,
    seed: int,
    report: ProgressCallback = silent,
    select: Select = "candidate",
    parts: Parts | None = None,
) -> Value:
    """Fits the value function on inner folds of the task's clips, taking up the models in ``parts``.

    Raises:
        UserError: the task has no events to judge, or too few clips with events for inner folds.
    """
    require_events(settings, task)
    parts = Parts() if parts is None else parts
    events, features = task.decoded, task.event_features
    label = events.track % task.scores.n_classes
    prepared = task.metric.prepare(task.scores)
    assert prepared is not None
    matches = prepared.matches(events.track, events.first, events.last)
    fold, fold_of_event = _inner_folds(task, settings.inner_folds)
    n_folds = settings.inner_folds if fold is None else int(fold.max()) + 1
    labelled = LabelledEvents(features, label, matches, task.scores.n_classes)
    learned = fit_held_out(labelled, fold_of_event, n_folds, settings, seed, report, parts)
    held_out = learned.probabilities
    lam, counts = fixed_point(task, events, held_out, select)
    constants = task.best_constants.expand(task.scores.n_clips, -1).clone()
    for k in range(n_folds if fold is not None else 0):
        constants[fold == k] = task.select((fold != k).nonzero()[:, 0]).best_constants
    inner, plain = (objective_of(task, own) for own in (counts, task.table.of_choice(constants)))
    name = task.objective.called(task.metric)
    report(1.0, {f"inner_{name}": inner})
    return Value(learned.value_function(lam), held_out, lam, total_counts(counts), inner, plain, name)


def _inner_folds(task: TuningTask, n_folds: int) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Deals clips into inner folds, or the parts of a single long clip.

    Returns:
        The fold of each clip, int64 ``[clip]``, None for a single clip, whose constants are then those of the clip itself;
        and the fold of each decoded event, int64 ``[event]``.

    Raises:
        UserError: there is one clip, and it is short.
    """
    scores, events = task.scores, task.decoded
    if scores.n_clips > 1:
        fold = fold_of_clips(scores.clip_ids, min(n_folds, scores.n_clips))
        return fold, fold[events.track // scores.n_classes]
    if float(scores.durations[0]) < n_folds * _SHORTEST_PART:
        raise UserError("Event policies need at least two clips for their inner held-out predictions, or one of "
                        f"{n_folds * _SHORTEST_PART / 60:g} minutes.")  # fmt: skip
    return None, (events.first + events.last) * n_folds // (2 * scores.n_frames[0])


def fixed_point(
    task: TuningTask,
    events: DecodedEvents,
    probabilities: torch.Tensor,
    select: Select = "candidate",
    rounds: int = 20,
) -> tuple[torch.Tensor, Counts]:
    """Finds the λ of each class at which what is chosen with it has just that F1, or its like for other objectives.

    Under a minimum (`Objective.constrained`) the λ of each class is the one of a grid whose choice has the highest term: the
    lowest price that reaches the minimum need not be the first, since events are not right as probably as they seem.

    Returns:
        λ, float32 ``[class]``, and the counts of what is chosen, ``[clip, class]`` each.
    """
    if task.objective.constrained:
        return _best_prices(task, events, probabilities, select)
    label = events.track % task.scores.n_classes
    lam = task.linearisation.lam.clone()
    counts: Counts = {}
    for _ in range(rounds):
        counts = counts_of_chosen(task, events, 2 * probabilities - lam[label], select)
        reached = task.objective.linearise(task.metric, total_counts(counts), task.scores.n_clips).lam
        if float((reached - lam).abs().max()) < 1e-4:
            break
        lam = reached
    return lam, counts


def _best_prices(
    task: TuningTask, events: DecodedEvents, probabilities: torch.Tensor, select: Select
) -> tuple[torch.Tensor, Counts]:
    """Does the work of `fixed_point` under a minimum: classes do not meet, so that each has its own best price."""
    label, n_classes = events.track % task.scores.n_classes, task.scores.n_classes
    lam, best = torch.zeros(n_classes), torch.full((n_classes,), -torch.inf, dtype=torch.float64)
    for price in _PRICES.tolist():
        counts = counts_of_chosen(task, events, 2 * probabilities - price, select)
        terms = task.objective.class_terms(task.metric, floating(total_counts(counts)))
        assert terms is not None
        better = terms > best
        lam[better], best = price, torch.where(better, terms, best)
    return lam, counts_of_chosen(task, events, 2 * probabilities - lam[label], select)


def objective_of(task: TuningTask, counts: Counts) -> float:
    """Returns the objective of counts ``[clip, class]``."""
    return float(task.objective.value(task.metric, floating(total_counts(counts))))


def counts_of_chosen(task: TuningTask, events: DecodedEvents, values: torch.Tensor, select: Select) -> Counts:
    """Returns the counts ``[clip, class]`` of what values of events ``[event]`` choose on a task."""
    if select == "candidate":
        return task.table.of_choice(best_candidates(events, values).reshape(-1, task.scores.n_classes))
    chosen = events.timed(best_sets(events, values), task.scores.frames)
    found = chosen.to_events(task.scores.clip_ids, task.scores.classes)
    return task.metric.count(task.scores.require_references(), found)
