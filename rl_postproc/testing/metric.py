"""Conformance of a metric."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rl_postproc.events import Events
from rl_postproc.metrics import Metric
from rl_postproc.scores import ScoreSet
from rl_postproc.stack import Stack, decode_events
from rl_postproc.sweep import count_decisions, sweep
from rl_postproc.testing.base import require, sample_scores

Oracle = Callable[[Events, Events], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""From reference and estimated events: true positives, estimated and reference counts, ``[clip, class]`` each."""


def check_metric(metric: Metric, oracle: Oracle | None = None, seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """Checks a metric.

    Its config builds an equal one. Counts are whole and bounded (``TP <= estimated``, ``TP <= reference``), silence
    makes no estimates, the sweep over all thresholds gives each threshold the counts of its own decisions, and neither
    chunks of clips nor their order change a clip's counts. With an oracle, the counts of decisions equal the oracle's.

    Args:
        metric: the metric.
        oracle: an outside implementation that counts events.
        seeds: of the score sets it is tried on.

    Raises:
        NonConformant: one of these does not hold.
    """
    name = type(metric).__name__
    require(
        type(metric).model_validate(metric.model_dump(mode="json")) == metric, f"{name}: its config builds another one"
    )
    stack = Stack.from_config([{"stage": "threshold", "threshold": {"low": 0.05, "high": 0.95, "count": 7}}])
    for seed in seeds:
        scores = sample_scores(seed)
        table = sweep(scores, stack, metric)
        by_clip = sweep(scores, stack, metric, chunk_bytes=1)
        require(
            torch.equal(table.true_positives, by_clip.true_positives), f"{name}: true positives depend on the chunks"
        )
        require(torch.equal(table.estimated, by_clip.estimated), f"{name}: estimated counts depend on the chunks")
        require(table.reference.shape == scores.scores.shape[:2], f"{name}: the reference counts are not [clip, class]")
        for i, threshold in enumerate(stack.space.values[:, 0].tolist()):
            decisions = (scores.scores > threshold) & scores.valid[:, None]
            counts = count_decisions(scores, metric, decisions)
            _check_counts(f"{name}, threshold {threshold:.2f}", scores, decisions, counts, table.reference, oracle)
            equal = all(
                torch.equal(part[..., i].long(), count)
                for part, count in zip((table.true_positives, table.estimated), counts, strict=True)
            )
            require(equal, f"{name}: the sweep counts threshold {threshold:.2f} otherwise than its own decisions")
        _check_order(name, scores, stack, metric)
        silent = count_decisions(scores, metric, torch.zeros_like(scores.scores, dtype=torch.bool))
        require(not any(part.any() for part in silent), f"{name}: silence is counted as output")


def _check_counts(
    where: str,
    scores: ScoreSet,
    decisions: torch.Tensor,
    counts: tuple[torch.Tensor, torch.Tensor],
    reference: torch.Tensor,
    oracle: Oracle | None,
) -> None:
    true_positives, estimated = counts
    require(bool((true_positives >= 0).all()), f"{where}: negative true positives")
    require(bool((true_positives <= estimated).all()), f"{where}: more true positives than estimates")
    require(bool((true_positives <= reference).all()), f"{where}: more true positives than references")
    if oracle is not None:
        expected = oracle(scores.require_references(), decode_events(scores, decisions))
        for name, found, right in zip(
            ("true positives", "estimated", "reference"), (*counts, reference), expected, strict=True
        ):
            require(torch.equal(found.long(), right.long()), f"{where}: {name} differ from the oracle's")


def _check_order(name: str, scores: ScoreSet, stack: Stack, metric: Metric) -> None:
    order = torch.arange(scores.n_clips).flip(0)
    straight, turned = sweep(scores, stack, metric), sweep(scores.select(order), stack, metric)
    for part in ("true_positives", "estimated", "reference"):
        equal = torch.equal(getattr(straight, part)[order], getattr(turned, part))
        require(equal, f"{name}: {part} of a clip depend on the order of the clips")
