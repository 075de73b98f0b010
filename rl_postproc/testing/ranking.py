"""Conformance of a metric of rankings."""

from __future__ import annotations

from dataclasses import replace

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.ranking.base import RankingMetric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.testing.base import NonConformant, require, sample_scores
from rl_postproc.utils.errors import UserError

_BOXES = [{"stage": "boxes", "window": 0.4}, {"stage": "confidence", "threshold": 0.05}]


def check_ranking(metric: RankingMetric, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Checks a metric of rankings on events with confidences and on frame scores.

    Its name is registered and its config builds an equal one. It gives each class a value, or NaN; the order of the clips,
    and maps of the scores that keep their order, change nothing. Its certificate agrees. What it does not rank, it refuses
    with a `UserError`.

    Args:
        metric: the metric.
        seeds: of the score sets it is tried on.

    Raises:
        NonConformant: one of these does not hold.
    """
    name = f"ranking '{metric.name}'"
    known = RankingMetric.types().get(metric.name) is type(metric)
    require(known, f"{name} is not found by its name; import its module first")
    again = type(metric).model_validate(metric.model_dump(mode="json"))
    require(again == metric, f"{name}: its config builds another one")
    stack, ranked = Stack.from_config(_BOXES), 0
    for seed in seeds:
        scores = sample_scores(seed)
        for estimates in (scores, stack.events(scores, stack.space.values[0])):
            try:
                _check(f"{name} of {type(estimates).__name__}", metric, scores, estimates)
                ranked += 1
            except UserError:
                continue
    require(ranked > 0, f"{name} ranks neither frame scores nor events")


def _check(where: str, metric: RankingMetric, scores: ScoreSet, estimates: Events | ScoreSet) -> None:
    references, durations = scores.require_references(), scores.durations
    value = metric.value(references, estimates, durations)
    shape = tuple(value.by_class.shape)
    require(shape == (scores.n_classes,), f"{where}: the value of classes is {list(shape)}, not [class]")
    for rate, column in value.rates.items():
        require(column.shape == value.by_class.shape, f"{where}: {rate} has another shape than the value")
    order = torch.arange(scores.n_clips).flip(0)
    turned = metric.value(references.select(order), estimates.select(order), durations[order])
    squeezed = metric.value(references, _squeezed(estimates), durations)
    for other, what in ((turned, "depends on the order of the clips"), (squeezed, "changes where all orders stay")):
        same = torch.allclose(value.values(), other.values(), rtol=1e-9, atol=1e-9, equal_nan=True)
        require(same, f"{where}: the value {what}")
    try:
        said = metric.certify(references, estimates, durations)
    except Exception as error:  # an oracle can raise anything
        raise NonConformant(f"{where}: certify raises {type(error).__name__}: {error}") from error
    require(isinstance(said, str) and bool(said), f"{where}: certify names neither a tool nor why there is none")


def _squeezed(estimates: Events | ScoreSet) -> Events | ScoreSet:
    """Returns the same in the same order, with other scores; 0 stays."""
    if isinstance(estimates, ScoreSet):
        shape = estimates.scores.double().square().float()
        return ScoreSet.build(
            shape, estimates.edges, estimates.clip_ids, estimates.classes, estimates.n_frames, estimates.durations,
            estimates.references,
        )  # fmt: skip
    return replace(estimates, confidence=estimates.confidence.double().square().float())
