"""The value agent: P(event matches a reference), learned; everything else in closed form.

For a clip and class, ``Q(candidate) = Σ over its events of (2·p(event) − λ_c) − λ_c · references``. p comes from inner
held-out predictions, without which it is far too sure of itself; λ_c is the F1 that the argmax of Q reaches with it on
the training clips, found by fixed point (Dinkelbach). The policy is the argmax of Q.
"""

from __future__ import annotations

from typing import Literal

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask

from ..base import FitResult, ProgressCallback, fit_best_constants
from ..parts import Parts
from .fit_value import fit_value
from .policy import EventAdditive
from .silent_classes import keep_silent
from .value_functions import EventValueFunction
from .value_models import ValueSettings


class EventValue(ValueSettings):
    """The value of every decoded event, learned; each clip and class takes the candidate with the best events."""

    agent: Literal["event_value"] = "event_value"

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Learns p on inner folds, finds λ, and checks against the best constants on the inner held-out clips."""
        task = task.to("cpu").bounded(self.bounds)
        value = fit_value(task, self, seed, report, parts=parts)
        if self.fallback and value.constants_win:
            return fit_best_constants(task, curve=value.curve)
        fit = event_additive_fit(task, value.value_function, curve=value.curve)
        fit.held_out = value.counts
        return fit


def event_additive_fit(
    task: TuningTask, values: EventValueFunction, evaluations: int | None = None, curve: list | None = None
) -> FitResult:
    """Wraps event values into a fit: the argmax policy over the candidates of the task, classes without references silent."""
    policy = keep_silent(EventAdditive(values, task.grid, task.bounds), task)
    processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
    searched = task.stack.space.n_candidates * task.scores.n_clips
    return FitResult(processor, searched if evaluations is None else evaluations, curve or [])
