"""Adapting the trained post-processor to labels: calibration, values of one's own, and λ, all held near what was trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import BaseModel, Field

from rl_postproc.candidates.features import FeatureGrid
from rl_postproc.data.folds import fold_of_clips
from rl_postproc.pipeline.policy import Policy
from rl_postproc.task import TuningTask

from ..base import ProgressCallback
from ..events.event_value import EventValue
from ..events.fit_value import fixed_point
from ..events.held_out import HELD_OUT
from ..events.policy import EventAdditive
from ..events.set_policy import EventSetPolicy
from ..events.trees import Trees
from ..events.value_models import LabelledEvents, fit_boosted
from ..parts import Parts
from .adapted_values import AdaptedValues, logit
from .calibration import calibrate, track_weights
from .operating_point import Wish
from .policy import BOUNDS, UniversalPolicy

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the values fitted to the labels that are tried."""

_FEWEST_EVENTS = 100
"""Events that trees need for a split."""


class Adapting(BaseModel):
    """How much labels change."""

    own_values_from: int = Field(
        default=5, ge=2, description="clips from which on values are fitted to the labels, too"
    )
    inner_folds: int = Field(default=4, ge=2, description="parts of the clips, each judged by models of the others")
    references_for_lam: float = Field(
        default=30.0, gt=0, description="references of a class at which λ follows labels and expectation alike"
    )


@dataclass(frozen=True)
class Adapted:
    """What labels make of trained values.

    Attributes:
        values: of any event.
        probability: P(match) of the task's own events, by models that have not seen their clip, ``[event]``.
        lam: λ of each class, ``[class]``.
        share: of the values fitted to the labels.
        grid: where features are sampled.
    """

    values: AdaptedValues
    probability: torch.Tensor
    lam: torch.Tensor
    share: float
    grid: FeatureGrid

    def policy(self) -> Policy:
        """Returns the policy that chooses the best set of events."""
        judge = EventAdditive(self.values, self.grid, BOUNDS)
        return EventSetPolicy(judge, torch.zeros(len(self.lam), dtype=torch.bool), self.lam)

    @property
    def figures(self) -> dict[str, float]:
        """How much labels have changed."""
        return {"gain": self.values.gain, "share_of_own_values": self.share}


def on_start(task: TuningTask, start: UniversalPolicy) -> TuningTask:
    """Returns the task with events and features as a trained policy knows them."""
    return task.bounded(BOUNDS).on_grid(start.grid)


def adapted(
    start: UniversalPolicy,
    task: TuningTask,
    settings: Adapting,
    with_labels: bool,
    seed: int,
    report: ProgressCallback,
    parts: Parts,
) -> Adapted:
    """Adapts a trained policy.

    Args:
        start: the trained policy.
        task: the clips with labels.
        settings: how much labels change.
        with_labels: whether references are looked at; otherwise λ alone is found, and on the scores.
        seed: of the values fitted to labels.
        report: takes progress.
        parts: where models are kept.
    """
    task, n_classes = on_start(task, start), task.scores.n_classes
    events, features = task.decoded, task.event_features
    label = events.track % n_classes
    logits = logit(start.probabilities(features))
    gain, shift, own, share = 1.0, torch.zeros(n_classes, dtype=torch.float64), None, 0.0
    mixed = logits
    if with_labels:
        prepared = task.metric.prepare(task.scores)
        assert prepared is not None
        matches = prepared.matches(events.track, events.first, events.last)
        gain, shift = calibrate(logits, label, matches, events.track, n_classes)
        mixed = gain * logits + shift[label]
        n_folds = min(settings.inner_folds, task.scores.n_clips)
        fold = _inner_folds(task, n_folds) if task.scores.n_clips >= settings.own_values_from else None
        if fold is not None:
            labelled = LabelledEvents(features, label, matches, n_classes)
            own, held_out = _own_values(fold, n_folds, labelled, seed, report, parts)
            share = _best_share(mixed, logit(held_out), matches, events.track)
            mixed = (1 - share) * mixed + share * logit(held_out)
    probability = mixed.sigmoid().float()
    hours = float(task.scores.durations.sum()) / 3600
    lam = start.point.lam(events, probability, n_classes, hours, Wish()).float()
    if with_labels:
        reached, counts = fixed_point(task, events, probability, "events")
        n = counts["reference"].sum(0).float()
        trust = n / (n + settings.references_for_lam)
        lam = trust * reached + (1 - trust) * lam
    values = AdaptedValues(start.trees, gain, shift, own if share else None, share, lam, features.shape[1])
    report(1.0, {})
    return Adapted(values, probability, lam, share, start.grid)


def _inner_folds(task: TuningTask, n_folds: int) -> torch.Tensor | None:
    """Returns the inner fold of each decoded event, None where a fold leaves too few events to learn from."""
    of_event = fold_of_clips(task.scores.clip_ids, n_folds)[task.decoded.track // task.scores.n_classes]
    n_rest = len(of_event) - int(torch.bincount(of_event, minlength=1).max())
    return of_event if n_rest >= _FEWEST_EVENTS else None


def _own_values(
    fold: torch.Tensor, n_folds: int, labelled: LabelledEvents, seed: int, report: ProgressCallback, parts: Parts
) -> tuple[Trees, torch.Tensor]:
    """Returns the trees of all inner folds, and P(match) of the events by those that have not seen their clip."""
    models, held_out = [], torch.zeros(len(fold))
    for k in range(n_folds):
        rest = fold != k
        if (kept := parts.get(f"fold_{k}")) is None:
            model, predict = fit_boosted(labelled.select(rest), EventValue(), seed + k)
            found = predict(labelled.features[~rest], labelled.label[~rest])
            parts.put(f"fold_{k}", {}, {**model.to_tensors(), HELD_OUT: found})
        else:
            found = kept[1].pop(HELD_OUT)
            model = Trees.from_tensors(kept[1])
        models.append(model)
        held_out[~rest] = found
        report((k + 1) / (n_folds + 1), {})
    return Trees.join(models), held_out


def _best_share(trained: torch.Tensor, own: torch.Tensor, matches: torch.Tensor, track: torch.Tensor) -> float:
    """Returns the share of own logits at which held-out probabilities say most of the labels, the least share of equals.

    Events of one clip and class count as one together.
    """
    weight, losses = track_weights(track), []
    for share in _SHARES:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            (1 - share) * trained + share * own, matches.double(), weight=weight, reduction="sum"
        )
        losses.append(float(loss))
    return _SHARES[losses.index(min(losses))]
