"""The memory that tuning on clips in memory takes, by arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from rl_postproc.candidates.features import feature_names
from rl_postproc.candidates.pool import PoolBounds
from rl_postproc.counts.levels import thresholds_of
from rl_postproc.counts.memory_need import WORKING
from rl_postproc.counts.rows import n_copies
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.streamed import StreamedScores
from rl_postproc.task import LARGE_TABLE, TuningTask

Holds = Literal["nothing", "sums", "thresholds", "table", "events"]
"""What is held of many clips: no counts of the candidates; sums over clips alone; counts at all thresholds; those of each
candidate for each clip; or these, and all decoded events with their features. Of few clips there is a table anyway."""

IMPORTED = 100 << 20
"""Bytes of the libraries that are imported later, for models, certificates and plots."""
_TRACK = 1 << 10
"""Bytes of the events of a clip and class as outside tools take them, which certify the figures."""
_GROUPS = 6
"""Sums that are held at a time: of five inner folds, and of all clips."""
_STEP = 32
"""Bytes of a step of the counts at all thresholds, while they are sorted."""
_EVENT, _COPIES, _MODELS = 100, 1.5, 200 << 20
"""Bytes of a decoded event and its memberships, how often features are held, and bytes of the models that learn of them."""
_PART = 1 << 24
"""Scores that are looked at at a time."""


@dataclass(frozen=True)
class TaskMemory:
    """What tuning on clips takes beside the program and the scores, in bytes.

    Attributes:
        copies: of the scores of folds, and the events that are scored.
        counts: of the counts.
        events: of decoded events, their features and what learns of them.
        by_byte: for each byte of a chunk's filtered levels, all threads together.
        clip: filtered levels of one clip, the smallest chunk.
        clips: those of all clips, the largest one.
    """

    copies: float
    counts: float
    events: float
    by_byte: float
    clip: int
    clips: int

    def of(self, chunk_bytes: int) -> float:
        """Returns the bytes at the most, with chunks of such a size."""
        return self.copies + self.counts + self.events + self.by_byte * max(self.clip, min(chunk_bytes, self.clips))


def task_memory(task: TuningTask, holds: Holds, most_per_minute: float, n_folds: int | None = None) -> TaskMemory:
    """Returns what tuning on a task takes.

    Args:
        task: whose scores are in memory; nothing is counted.
        holds: what is held of its clips.
        most_per_minute: bound of the decoded events, see `PoolBounds`.
        n_folds: of the held-out protocol, in which folds are copies of scores and counts; None tunes on all clips.
    """
    scores, n_candidates = task.scores, task.stack.space.n_candidates
    n_tracks, n_threads = scores.n_clips * scores.n_classes, torch.get_num_threads()
    prepared = task.metric.prepare(scores.select(torch.zeros(1, dtype=torch.int64)))
    n_columns = len(task.metric.columns if prepared is None else prepared.columns)
    # Events are apart by a frame, so that a byte counts those of tracks that are not too long.
    width = 1 if scores.width < 512 else 2
    entries, train_share = n_tracks * n_candidates, 1.0 if n_folds is None else 1 - 1 / n_folds
    has_table = holds in ("table", "events") or entries * train_share <= LARGE_TABLE
    counts, by_byte, copies_of_scores = 0.0, float(n_threads * WORKING), 1
    if has_table or holds != "nothing":
        largest = max(task.stack.branches, key=n_copies)
        copies_of_scores = n_copies(largest)
        if not largest.ends_with_threshold:  # the counts of a chunk are held whole, for each candidate
            by_byte += n_threads * 8 * n_columns * n_candidates / (copies_of_scores * scores.width)
    if has_table:
        # Of the whole, of the clips to tune on, and of their inner folds; a column is widened where silence counts.
        counts = entries * (width * n_columns * (2 if n_folds is None else 3) + (4 if prepared is None else 0))
    elif holds == "sums":
        counts = 8.0 * n_candidates * scores.n_classes * n_columns * 2 * _GROUPS
    if holds == "thresholds":
        counts += _STEP * n_tracks * copies_of_scores * scores.width
    events = 0.0
    if holds == "events":
        per_event = _EVENT + _COPIES * 4 * len(feature_names(task.grid))
        events = _MODELS + per_event * most_events(task, most_per_minute)
    track = copies_of_scores * scores.width
    copies = (1 if n_folds is None else 2) * scores.scores.nbytes + _TRACK * n_tracks
    return TaskMemory(copies, counts, events, by_byte, scores.n_classes * track, n_tracks * track)


def most_events(task: TuningTask, most_per_minute: float) -> int:
    """Returns about how many events the candidates of a task decode at the most.

    An event has a frame where its scores are highest, and frames below the lowest threshold are in none; those that
    filters find beside are mostly the same.
    """
    scores: ScoreSet = task.scores
    most = PoolBounds(most_per_minute=most_per_minute).most_of_tracks(scores).reshape(-1, scores.n_classes)
    if isinstance(scores, StreamedScores):  # unread
        return int(most.clamp(max=scores.width).sum() * scores.density)
    lowest = [
        float(thresholds_of(own.threshold, torch.device("cpu"))[0]) for own in task.stack.branches if own.threshold
    ]
    floor = min(lowest) if len(lowest) == len(task.stack.branches) else -torch.inf
    step, total = max(1, _PART // (scores.n_classes * scores.width)), 0
    for part, bound in zip(scores.scores.split(step), most.split(step), strict=True):
        total += int(torch.minimum((part > floor).sum(-1), bound.to(part.device)).sum())
    return total
