"""Applying a post-processor to scores that are read in parts: a few clips at a time, whatever its policy."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.metrics.base import Counts, Metric
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.utils.errors import unwarned, warn


def apply_parts(
    processor: PostProcessor,
    scores: StreamedScores,
    metric: Metric | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Events, Counts]:
    """Turns scores into events, part by part.

    Args:
        processor: whose policy looks at each clip by itself, as all that are trained here do.
        scores: the scores.
        metric: what is counted on the way, where there are references.
        progress: called after each part with the number of clips done, and of all.

    Returns:
        The events of all clips, and the metric's columns summed over clips, int64 ``[class]``; none without a metric.

    Warns:
        DataWarning: the scores have frames of another length than those it was tuned on.
    """
    if said := processor.check(scores):
        warn(said)
    columns: list[tuple[torch.Tensor, ...]] = []
    totals: Counts = {}
    classes, first = processor.classes or scores.classes, 0
    for part in scores.parts():
        with unwarned():  # said above
            found = processor.apply(part)
        columns.append((found.clip + first, found.label, found.onset, found.offset, found.confidence))
        first += part.n_clips
        if metric is not None:
            counted = metric.count(part.require_references().of_classes(classes), found)
            totals = {name: totals.get(name, 0) + column.sum(0) for name, column in counted.items()}
        if progress:
            progress(first, scores.n_clips)
    return Events.from_tensors(scores.clip_ids, classes, *(torch.cat(c) for c in zip(*columns, strict=True))), totals
