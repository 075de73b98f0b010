"""The agent of free choice: the best set of events of all candidates, in place of the best candidate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask

from ..base import FitResult, ProgressCallback, fit_best_constants
from ..parts import Parts
from .fit_value import fit_value
from .policy import EventAdditive
from .set_policy import EventSetPolicy
from .silent_classes import without_score
from .value_models import ValueSettings


class EventSet(ValueSettings):
    """The best set of events among all that the candidates decode, by learned values; λ is the one parameter per class.

    ``Q(set) = Σ over its events of (2·p(event) − λ_c)``, maximised over all sets of events that share no frame. p is the
    mean of gradient boosting and a small network, λ_c the F1 that the sets reach with it on inner held-out clips.
    """

    agent: Literal["event_set"] = "event_set"
    model: Literal["boosted", "network", "both"] = Field(
        default="both", description="gradient boosting (LightGBM), a small network, or the mean of the two"
    )
    models: int = Field(default=2, ge=1, description="models of different seeds, averaged")

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Learns p on inner folds, finds λ, and checks against the best constants on the inner held-out clips."""
        task = task.to("cpu").bounded(self.bounds)
        value = fit_value(task, self, seed, report, select="events", parts=parts)
        if self.fallback and value.constants_win:
            return fit_best_constants(task, curve=value.curve)
        judge = EventAdditive(value.value_function, task.grid, task.bounds)
        policy = EventSetPolicy(judge, without_score(task), value.lam)
        processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
        return FitResult(processor, task.stack.space.n_candidates * task.scores.n_clips, value.curve, value.counts)
