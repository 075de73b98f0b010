"""Conformance of a metric."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rl_postproc.counts.grid import count_decisions, sweep
from rl_postproc.counts.rows import no_events
from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.metrics.base import Counts, Metric, total_counts
from rl_postproc.pipeline.stack import Stack
from rl_postproc.testing.base import NonConformant, require, sample_scores

Oracle = Callable[[Events, Events], Counts]
"""From reference and estimated events to the metric's columns, ``[clip, class]`` each."""


def check_metric(metric: Metric, oracle: Oracle | None = None, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Checks a metric.

    Its name is registered and its config builds an equal one. It counts each of its columns for each clip and class,
    whatever the order of the clips; its score has the shape of its counts and a gradient. The sweep over all thresholds
    gives each threshold the counts of its own events, whether by the metric's fast path or without, and chunks of clips
    change nothing. Its certificate agrees. With an oracle, the counts equal the oracle's.

    Args:
        metric: the metric.
        oracle: an outside implementation that counts events.
        seeds: of the score sets it is tried on.

    Raises:
        NonConformant: one of these does not hold.

    Example:
        >>> from rl_postproc.metrics import EventBased
        >>> from rl_postproc.testing import check_metric
        >>> check_metric(EventBased())  # nothing said: all holds
    """
    name = f"metric '{metric.name}'"
    require(
        Metric.types().get(metric.name) is type(metric), f"{name} is not found by its name; import its module first"
    )
    require(
        type(metric).model_validate(metric.model_dump(mode="json")) == metric, f"{name}: its config builds another one"
    )
    stack = Stack.from_config([{"stage": "threshold", "threshold": {"low": 0.05, "high": 0.95, "count": 7}}])
    for seed in seeds:
        scores = sample_scores(seed)
        references = scores.require_references()
        for events in (no_events(references), _events_above(scores, 0.5)):
            _check_counts(name, metric, scores, metric.count(references, events))
        table = sweep(scores, stack, metric)
        by_clip = sweep(scores, stack, metric, chunk_bytes=1)
        for column in metric.columns:
            require(
                torch.equal(table.counts[column], by_clip.counts[column]), f"{name}: {column} depends on the chunks"
            )
        for i, values in enumerate(stack.space.values):
            where = f"{name}, threshold {float(values[0]):.2f}"
            events = stack.events(scores, values)
            counts = metric.count(references, events)
            _check_counts(where, metric, scores, counts)
            _check_score(where, metric, counts)
            tabled = table.of_choice(torch.full((scores.n_classes,), i))
            decided = count_decisions(scores, metric, stack.decide(scores, values))
            expected = counts if oracle is None else oracle(references, events)
            for column in metric.columns:
                require(
                    torch.equal(counts[column], expected[column].long()), f"{where}: {column} differs from the oracle's"
                )
                require(torch.equal(counts[column], tabled[column]), f"{where}: the sweep counts {column} otherwise")
                require(
                    torch.equal(counts[column], decided[column]), f"{where}: the fast path counts {column} otherwise"
                )
            _check_certificate(where, metric, references, events, counts)
        _check_order(name, scores, metric)
        _check_alone(name, scores, metric)


def _check_counts(where: str, metric: Metric, scores: ScoreSet, counts: Counts) -> None:
    missing = [column for column in metric.columns if column not in counts]
    require(not missing, f"{where}: does not count {missing}")
    for column in metric.columns:
        shape = tuple(counts[column].shape)
        require(shape == scores.scores.shape[:2], f"{where}: {column} is {list(shape)}, not [clip, class]")
        require(counts[column].dtype == torch.int64, f"{where}: {column} is {counts[column].dtype}, not int64")


def _check_score(where: str, metric: Metric, counts: Counts) -> None:
    totals = {name: counts[name].sum(0).double().requires_grad_() for name in metric.columns}
    score = metric.score(totals)
    require(score.shape == totals[metric.columns[0]].shape, f"{where}: the score has another shape than its counts")
    known = ~score.isnan()
    if bool(known.any()):
        gradients = torch.autograd.grad(score[known].sum(), list(totals.values()), allow_unused=True)
        finite = all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients)
        require(finite, f"{where}: the gradient of the score is not finite")


def _check_certificate(where: str, metric: Metric, references: Events, events: Events, counts: Counts) -> None:
    try:
        said = metric.certify(references, events, total_counts(counts))
    except Exception as error:  # an oracle can raise anything, and would end a benchmark
        raise NonConformant(f"{where}: certify raises {type(error).__name__}: {error}") from error
    require(isinstance(said, str) and bool(said), f"{where}: certify names neither a tool nor why there is none")


def _check_order(name: str, scores: ScoreSet, metric: Metric) -> None:
    order = torch.arange(scores.n_clips).flip(0)
    events = _events_above(scores, 0.5)
    straight = metric.count(scores.require_references(), events)
    turned = metric.count(scores.require_references().select(order), events.select(order))
    for column in metric.columns:
        equal = torch.equal(straight[column][order], turned[column])
        require(equal, f"{name}: {column} of a clip depends on the order of the clips")


def _check_alone(name: str, scores: ScoreSet, metric: Metric) -> None:
    """The counts of a class must not depend on the events of other classes: tuning treats each by itself."""
    events, references = _events_above(scores, 0.5), scores.require_references()
    together, none = metric.count(references, events), metric.count(references, no_events(references))
    for label in range(scores.n_classes):
        own = events.label == label
        rows = (events.clip[own], events.label[own], events.onset[own], events.offset[own])
        alone = metric.count(references, Events.from_tensors(events.clip_ids, events.classes, *rows))
        for column in metric.columns:
            equal = torch.equal(alone[column][:, label], together[column][:, label])
            require(equal, f"{name}: {column} of a class depends on the events of other classes")
            other = [k for k in range(scores.n_classes) if k != label]
            require(
                torch.equal(alone[column][:, other], none[column][:, other]),
                f"{name}: {column} of a class without events is not that of silence",
            )


def _events_above(scores: ScoreSet, threshold: float) -> Events:
    active = (scores.scores > threshold) & scores.valid[:, None]
    found = TrackEvents.from_decisions(active.flatten(0, 1).T, scores.frames)
    return found.to_events(scores.clip_ids, scores.classes)
