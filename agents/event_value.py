"""The value agent: P(event matches a reference), learned; everything else in closed form.

For a clip and class, ``Q(candidate) = Σ over its events of (2·p(event) − λ_c) − λ_c · references``. p comes from inner
held-out predictions, without which it is far too sure of itself; λ_c is the F1 that the argmax of Q reaches with it on
the training clips, found by fixed point (Dinkelbach). The policy is the argmax of Q.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.decoded import DecodedEvents, matches_reference
from rl_postproc.errors import UserError
from rl_postproc.event_features import FeatureGrid
from rl_postproc.metrics import EventBased, f1
from rl_postproc.postprocessor import PostProcessor
from rl_postproc.scores import fold_of_clips

from ..envs import TuningTask
from .base import Agent, Fit, Report, constant_fit, silent
from .event_policy import (
    BoostedJudge,
    EventAdditive,
    EventNetwork,
    Judge,
    NetworkJudge,
    best_candidates,
    require_lightgbm,
    with_class_column,
)


class EventValue(Agent):
    """Learns which events are right, and picks for every clip and class the candidate with the best events."""

    agent: Literal["event_value"] = "event_value"
    model: Literal["boosted", "network"] = "boosted"
    inner_folds: int = Field(default=4, ge=2)
    rounds: int = Field(default=150, ge=1, description="boosting rounds, or epochs of the network")
    learning_rate: float = Field(default=0.05, gt=0)
    leaves: int = Field(default=31, ge=2)
    hidden: int = Field(default=64, ge=1)
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")
    description: ClassVar[str] = "value of every decoded event, learned; the argmax per clip and class"

    def fit(self, task: TuningTask, seed: int, report: Report = silent) -> Fit:
        """Learns p on inner folds, finds λ, and checks against the best constants on the inner held-out clips."""
        task = task.to("cpu")
        value = fit_value(task, self, seed, report)
        grid = FeatureGrid(task.scores.hop)
        evaluations = task.stack.space.n_candidates * task.scores.n_clips
        curve = [{"inner_macro_f1": value.inner_macro_f1, "inner_constants_macro_f1": value.constants_macro_f1}]
        if self.fallback and value.constants_win:
            constants = task.stack.space.values[task.table.best_per_class().cpu()]
            return constant_fit(task, constants, evaluations, curve)
        policy = EventAdditive(value.judge, grid)
        return Fit(PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop), evaluations, curve)


class Value:
    """A learned value function.

    Attributes:
        judge: gives any event its value, averaged over the inner models.
        held_out: P(match) of the task's own events by the inner model that has not seen their clip, ``[event]``.
        lam: λ of each class, ``[class]``.
        inner_macro_f1: macro F1 of the argmax on inner held-out clips.
        constants_macro_f1: macro F1 of the per-class search on the same inner held-out clips.
    """

    def __init__(
        self, judge: Judge, held_out: torch.Tensor, lam: torch.Tensor, inner_macro_f1: float, constants_macro_f1: float
    ):
        self.judge, self.held_out, self.lam = judge, held_out, lam
        self.inner_macro_f1, self.constants_macro_f1 = inner_macro_f1, constants_macro_f1

    @property
    def constants_win(self) -> bool:
        """Whether the best constants beat the argmax on inner held-out clips."""
        return self.inner_macro_f1 < self.constants_macro_f1


def require_events(task: TuningTask) -> None:
    """Insists that a task has events that can be judged.

    Raises:
        UserError: its metric looks at tags, its clips have one frame, or no candidate decodes anything.
    """
    if not isinstance(task.metric, EventBased):
        raise UserError(f"Event policies judge when events begin and end, which the metric '{task.metric.metric}' does not "
                        "look at; use the metric event_based, or an agent with constant parameters.")  # fmt: skip
    if task.scores.width == 1:
        raise UserError("Event policies judge when events begin and end, but these clips have one frame each; use an agent "
                        "with constant parameters.")  # fmt: skip
    if not len(task.decoded):
        raise UserError("No candidate of the stack decodes any event on these clips, so there is nothing to judge; lower the "
                        "thresholds.")  # fmt: skip


def fit_value(task: TuningTask, settings: EventValue, seed: int, report: Report = silent) -> Value:
    """Fits the value function on inner folds of the task's clips.

    Raises:
        UserError: the task has no events to judge, or too few clips with events for inner folds.
    """
    require_events(task)
    assert isinstance(task.metric, EventBased)
    n_folds = min(settings.inner_folds, task.scores.n_clips)
    if n_folds < 2:
        raise UserError("Event policies need at least two clips for their inner held-out predictions.")
    events, features = task.decoded, task.event_features
    label = events.track % task.scores.n_classes
    matches = matches_reference(task.scores, task.metric, events)
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
        judge: Judge = BoostedJudge(models, lam)
    else:
        judge = NetworkJudge(models, lam)
    constants = torch.zeros_like(choice)
    for k in range(n_folds):
        constants[fold == k] = task.table.select((fold != k).nonzero()[:, 0]).best_per_class()
    inner, plain = task.table.score(choice).macro_f1, task.table.score(constants).macro_f1
    report(1.0, {"inner_macro_f1": inner})
    return Value(judge, held_out, lam, inner, plain)


def fixed_point(
    task: TuningTask, events: DecodedEvents, probabilities: torch.Tensor, rounds: int = 20
) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the λ of each class at which the argmax of Q has just that F1.

    Returns:
        λ, float32 ``[class]``, and the chosen candidates, int64 ``[clip, class]``.
    """
    table, n_classes = task.table, task.scores.n_classes
    lam, reference = task.linearisation.lam.clone(), table.reference.sum(0)
    choice = torch.zeros(table.n_clips, n_classes, dtype=torch.int64)
    for _ in range(rounds):
        value = 2 * probabilities - lam[events.track % n_classes]
        choice = best_candidates(events, value).reshape(-1, n_classes)
        counts = (x.sum(0) for x in table.of_choice(choice))
        reached = f1(*counts, reference).nan_to_num(0.0).float()
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
    judge = BoostedJudge([text], torch.zeros(n_classes))
    return text, judge.probabilities


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
