"""Learning P(event matches a reference) on inner folds, and the λ that goes with it."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field

from rl_postproc.candidates.events import DecodedEvents
from rl_postproc.candidates.scheduling import best_sets
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.metrics import total_counts
from rl_postproc.metrics.base import Counts
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import Agent, ProgressCallback, silent
from .checks import check_events, require_events
from .network import EventNetwork
from .policy import best_candidates
from .set_policy import decoded_events
from .value_functions import (
    BoostedValues,
    EventValueFunction,
    MeanValues,
    NetworkValues,
    require_lightgbm,
    with_class_column,
)

Select = Literal["candidate", "events"]
"""What is chosen on a clip and class: one candidate with all it decodes, or a set of events of any candidates."""


class ValueSettings(Agent, ABC):
    """Settings of agents that learn the value of decoded events from match labels."""

    model: Literal["boosted", "network", "both"] = Field(
        default="boosted", description="gradient boosting (LightGBM), a small network, or the mean of the two"
    )
    models: int = Field(default=1, ge=1, description="models of different seeds, averaged")
    inner_folds: int = Field(default=4, ge=2, description="parts of the clips, each judged by models of the others")
    rounds: int = Field(default=150, ge=1, description="boosting rounds; the network takes a fifteenth of it as epochs")
    learning_rate: float = Field(default=0.05, gt=0, description="of boosting")
    leaves: int = Field(default=31, ge=2, description="of a tree")
    hidden: int = Field(default=64, ge=1, description="units of a hidden layer of the network")
    fallback: bool = Field(default=True, description="keep the best constants where inner validation prefers them")

    def check(self, task: TuningTask) -> None:
        """Needs a metric of events, frames, and no parameter that all classes share."""
        check_events(self, task)


@dataclass(frozen=True)
class Value:
    """A learned value function.

    Attributes:
        value_function: gives any event its value, averaged over the inner models.
        held_out: P(match) of the task's own events by inner models that have not seen their clip, ``[event]``.
        lam: λ of each class, ``[class]``.
        inner_macro: macro score of what is chosen on inner held-out clips.
        constants_macro: macro score of the per-class search on the same inner held-out clips.
        score_name: what the metric calls its score.
    """

    value_function: EventValueFunction
    held_out: torch.Tensor
    lam: torch.Tensor
    inner_macro: float
    constants_macro: float
    score_name: str

    @property
    def constants_win(self) -> bool:
        """Whether the best constants beat it on inner held-out clips."""
        return self.inner_macro < self.constants_macro

    @property
    def curve(self) -> list[dict[str, float]]:
        """The two figures, as a fit reports them."""
        name = self.score_name
        return [{f"inner_macro_{name}": self.inner_macro, f"inner_constants_macro_{name}": self.constants_macro}]


def fit_value(
    task: TuningTask,
    settings: ValueSettings,
    seed: int,
    report: ProgressCallback = silent,
    select: Select = "candidate",
) -> Value:
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
    kinds = [kind for kind in ("boosted", "network") if settings.model in (kind, "both")]
    models: dict[str, list] = {kind: [] for kind in kinds}
    held_out, done = torch.zeros(len(events)), 0
    for k in range(n_folds):
        own, rest = fold_of_event == k, fold_of_event != k
        if not bool(rest.any()):
            raise UserError("All decoded events lie in clips of one inner fold, so none are held out; use more clips.")
        for kind in kinds:
            for number in range(settings.models):
                fit = _fit_boosted if kind == "boosted" else _fit_network
                own_seed = seed + k + 1000 * number
                model, predict = fit(
                    features[rest], label[rest], matches[rest], settings, own_seed, task.scores.n_classes
                )
                models[kind].append(model)
                held_out[own] += predict(features[own], label[own]) / (len(kinds) * settings.models)
                done += 1
                report(done / (n_folds * len(kinds) * settings.models + 1), {})
    lam, counts = fixed_point(task, events, held_out, select)
    parts: list[EventValueFunction] = []
    if "boosted" in models:
        parts.append(BoostedValues(models["boosted"], lam))
    if "network" in models:
        parts.append(NetworkValues(models["network"], lam))
    constants = torch.zeros(task.scores.n_clips, task.scores.n_classes, dtype=torch.int64)
    for k in range(n_folds):
        constants[fold == k] = task.select((fold != k).nonzero()[:, 0]).best_constants
    inner, plain = task.metric.summarise(total_counts(counts)).macro, task.table.score(constants).macro
    name = task.metric.score_name
    report(1.0, {f"inner_macro_{name}": inner})
    return Value(parts[0] if len(parts) == 1 else MeanValues(parts), held_out, lam, inner, plain, name)


def fixed_point(
    task: TuningTask,
    events: DecodedEvents,
    probabilities: torch.Tensor,
    select: Select = "candidate",
    rounds: int = 20,
) -> tuple[torch.Tensor, Counts]:
    """Finds the λ of each class at which what is chosen with it has just that F1.

    Returns:
        λ, float32 ``[class]``, and the counts of what is chosen, ``[clip, class]`` each.
    """
    n_classes = task.scores.n_classes
    lam = task.linearisation.lam.clone()
    counts: Counts = {}
    for _ in range(rounds):
        counts = counts_of_chosen(task, events, 2 * probabilities - lam[events.track % n_classes], select)
        reached = task.objective.linearise(task.metric, total_counts(counts), task.scores.n_clips).lam
        if float((reached - lam).abs().max()) < 1e-4:
            break
        lam = reached
    return lam, counts


def counts_of_chosen(task: TuningTask, events: DecodedEvents, values: torch.Tensor, select: Select) -> Counts:
    """Returns the counts ``[clip, class]`` of what values of events ``[event]`` choose on a task."""
    if select == "candidate":
        return task.table.of_choice(best_candidates(events, values).reshape(-1, task.scores.n_classes))
    chosen = decoded_events(task.scores, events, best_sets(events, values))
    found = chosen.to_events(task.scores.clip_ids, task.scores.classes)
    return task.metric.count(task.scores.require_references(), found)


Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _fit_boosted(
    features: torch.Tensor,
    label: torch.Tensor,
    matches: torch.Tensor,
    settings: ValueSettings,
    seed: int,
    n_classes: int,
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
    features: torch.Tensor,
    label: torch.Tensor,
    matches: torch.Tensor,
    settings: ValueSettings,
    seed: int,
    n_classes: int,
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
