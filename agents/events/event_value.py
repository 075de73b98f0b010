"""The value agent: P(event matches a reference), learned; everything else in closed form.

For a clip and class, ``Q(candidate) = Σ over its events of (2·p(event) − λ_c) − λ_c · references``. p comes from inner
held-out predictions, without which it is far too sure of itself; λ_c is the F1 that the argmax of Q reaches with it on
the training clips, found by fixed point (Dinkelbach). The policy is the argmax of Q.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import Agent, FitResult, ProgressCallback, fit_best_constants, require_own_parameters, silent
from .network import EventNetwork
from .policy import EventAdditive, best_candidates
from .silent_classes import keep_silent
from .value_functions import BoostedValues, EventValueFunction, NetworkValues, require_lightgbm, with_class_column


class EventValue(Agent):
    """The value of every decoded event, learned; each clip and class takes the candidate with the best events."""

    agent: Literal["event_value"] = "event_value"
    model: Literal["boosted", "network"] = "boosted"
    inner_folds: int = Field(default=4, ge=2)
    rounds: int = Field(default=150, ge=1, description="boosting rounds, or epochs of the network")
    learning_rate: float = Field(default=0.05, gt=0)
    leaves: int = Field(default=31, ge=2)
    hidden: int = Field(default=64, ge=1)
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")

    def check(self, task: TuningTask) -> None:
        """Needs a metric of events, frames, and no parameter that all classes share."""
        check_events(self, task)

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Learns p on inner folds, finds λ, and checks against the best constants on the inner held-out clips."""
        task = task.to("cpu")
        value = fit_value(task, self, seed, report)
        curve = [{"inner_macro_f1": value.inner_macro_f1, "inner_constants_macro_f1": value.constants_macro_f1}]
        if self.fallback and value.constants_win:
            return fit_best_constants(task, curve=curve)
        return event_additive_fit(task, value.value_function, curve=curve)


def event_additive_fit(
    task: TuningTask, values: EventValueFunction, evaluations: int | None = None, curve: list | None = None
) -> FitResult:
    """Wraps event values into a fit: the argmax policy over the candidates of the task, classes without references silent."""
    policy = keep_silent(EventAdditive(values, FeatureGrid(task.scores.hop)), task)
    processor = PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop)
    searched = task.stack.space.n_candidates * task.scores.n_clips
    return FitResult(processor, searched if evaluations is None else evaluations, curve or [])


@dataclass(frozen=True)
class Value:
    """A learned value function.

    Attributes:
        value_function: gives any event its value, averaged over the inner models.
        held_out: P(match) of the task's own events by the inner model that has not seen their clip, ``[event]``.
        lam: λ of each class, ``[class]``.
        inner_macro_f1: macro F1 of the argmax on inner held-out clips.
        constants_macro_f1: macro F1 of the per-class search on the same inner held-out clips.
    """

    value_function: EventValueFunction
    held_out: torch.Tensor
    lam: torch.Tensor
    inner_macro_f1: float
    constants_macro_f1: float

    @property
    def constants_win(self) -> bool:
        """Whether the best constants beat the argmax on inner held-out clips."""
        return self.inner_macro_f1 < self.constants_macro_f1


def check_events(agent: Agent, task: TuningTask) -> None:
    """Insists that a task is one of events, without decoding any.

    Raises:
        UserError: its metric looks at tags, its clips have one frame, its stack places events off the frames, or a
            parameter is shared by all classes.
    """
    require_own_parameters(agent, task)
    prepared = task.metric.prepare(task.scores.select([0]))
    if prepared is None or not prepared.judges_events or "estimated" not in task.metric.columns:
        raise UserError(f"Event policies judge when events begin and end, which the metric '{task.metric.metric}' does not "
                        "look at; use the metric event_based, or an agent with constant parameters.")  # fmt: skip
    if task.scores.width == 1:
        raise UserError("Event policies judge when events begin and end, but these clips have one frame each; use an agent "
                        "with constant parameters.")  # fmt: skip
    if task.stack.gives != "decisions":
        raise UserError(f"Event policies judge runs of frames, but the stack gives {task.stack.gives}; use a stack that "
                        "ends with decisions, or an agent with constant parameters.")  # fmt: skip


def require_events(agent: Agent, task: TuningTask) -> None:
    """Insists that a task has events that can be judged.

    Raises:
        UserError: as `check_events`, or no candidate decodes anything.
    """
    check_events(agent, task)
    if not len(task.decoded):
        raise UserError("No candidate of the stack decodes any event on these clips, so there is nothing to judge; lower the "
                        "thresholds.")  # fmt: skip


def fit_value(task: TuningTask, settings: EventValue, seed: int, report: ProgressCallback = silent) -> Value:
    """Fits the value function on inner folds of the task's clips.

    Raises:
        UserError: the task has no events to judge, or too few clips with events for inner folds.
    """
    require_events(settings, task)
    n_folds = min(settings.inner_folds, task.scores.n_clips)
    if n_folds < 2:
        raise UserError("Event policies need at least two clips for their inner held-out predictions.")
    events, features = task.decoded, task.event_features
    label = events.track % task.scores.n_classes
    prepared = task.metric.prepare(task.scores)
    assert prepared is not None
    matches = prepared.matches(events.track, events.first, events.last)
    fold = fold_of_clips(task.scores.clip_ids, n_folds)
    fold_of_event = fold[events.track // task.scores.n_classes]
    held_out = torch.zeros(len(events))
    models = []
    for k in range(n_folds):
        own, rest = fold_of_event == k, fold_of_event != k
        if not bool(rest.any()):
            raise UserError("All decoded events lie in clips of one inner fold, so none are held out; use more clips.")
        fit = _fit_boosted if settings.model == "boosted" else _fit_network
        model, predict = fit(features[rest], label[rest], matches[rest], settings, seed + k, task.scores.n_classes)
        models.append(model)
        held_out[own] = predict(features[own], label[own])
        report((k + 1) / (n_folds + 1), {})
    lam, choice = fixed_point(task, events, held_out)
    if settings.model == "boosted":
        value_function: EventValueFunction = BoostedValues(models, lam)
    else:
        value_function = NetworkValues(models, lam)
    constants = torch.zeros_like(choice)
    for k in range(n_folds):
        constants[fold == k] = task.select((fold != k).nonzero()[:, 0]).best_constants
    inner, plain = task.table.score(choice).macro, task.table.score(constants).macro
    report(1.0, {"inner_macro_f1": inner})
    return Value(value_function, held_out, lam, inner, plain)


def fixed_point(
    task: TuningTask, events: DecodedEvents, probabilities: torch.Tensor, rounds: int = 20
) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the λ of each class at which the argmax of Q has just that F1.

    Returns:
        λ, float32 ``[class]``, and the chosen candidates, int64 ``[clip, class]``.
    """
    table, n_classes = task.table, task.scores.n_classes
    lam = task.linearisation.lam.clone()
    choice = torch.zeros(table.n_clips, n_classes, dtype=torch.int64)
    for _ in range(rounds):
        value = 2 * probabilities - lam[events.track % n_classes]
        choice = best_candidates(events, value).reshape(-1, n_classes)
        reached = table.linearise(task.objective, choice).lam
        if float((reached - lam).abs().max()) < 1e-4:
            break
        lam = reached
    return lam, choice


Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _fit_boosted(
    features: torch.Tensor, label: torch.Tensor, matches: torch.Tensor, settings: EventValue, seed: int, n_classes: int
) -> tuple[str, Predict]:
    """Fits LightGBM to P(match) and returns its text form."""
    lightgbm = require_lightgbm()
    parameters = {
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": 50,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": torch.get_num_threads(),
        "verbose": -1,
    }
    rows = with_class_column(features, label)
    data = lightgbm.Dataset(rows, matches.numpy().astype(int), categorical_feature=[rows.shape[1] - 1])
    text = lightgbm.train(parameters, data, settings.rounds).model_to_string()
    values = BoostedValues([text], torch.zeros(n_classes))
    return text, values.probabilities


def _fit_network(
    features: torch.Tensor, label: torch.Tensor, matches: torch.Tensor, settings: EventValue, seed: int, n_classes: int
) -> tuple[EventNetwork, Predict]:
    """Fits a small network to P(match)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = EventNetwork(features.shape[1], n_classes, settings.hidden, dropout=0.2)
        network.standardise(features)
        optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
        epochs = max(1, settings.rounds // 15)
        batches = max(1, len(features) // 1024)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=epochs * batches)
        for _ in range(epochs):
            order = torch.randperm(len(features), generator=generator)
            for part in order.tensor_split(batches):
                loss = nn_loss(network(features[part], label[part]), matches[part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    network.eval().requires_grad_(False)
    return network, lambda x, k: network(x, k).sigmoid()


def nn_loss(logits: torch.Tensor, matches: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of P(match)."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, matches.float())
