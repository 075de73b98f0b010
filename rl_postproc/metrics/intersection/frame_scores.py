"""Frame scores as events of all thresholds."""

from __future__ import annotations

import torch

from rl_postproc.counts.all_thresholds import ranks_of
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.intersection.ranked_counts import Stretches
from rl_postproc.utils.level_runs import level_runs

_CELLS = 1 << 22
"""Scores that are worked on at once."""


def stretches_of_scores(scores: ScoreSet) -> Stretches:
    """Returns every event that some threshold decodes from scores, with the thresholds at which it is there.

    O(frames log frames) time a track; there are at most as many events as frames.
    """
    step = max(1, _CELLS // (scores.n_classes * scores.width))
    parts = [_of_clips(scores, slice(i, min(i + step, scores.n_clips))) for i in range(0, scores.n_clips, step)]
    return Stretches(*(torch.cat([getattr(p, name) for p in parts]) for name in Stretches.__dataclass_fields__))


def _of_clips(scores: ScoreSet, clips: slice) -> Stretches:
    ranks, value = ranks_of(scores.scores[clips].flatten(0, 1))
    runs, frames = level_runs(ranks.T.contiguous()[None]), scores.frames_of(clips)
    low = torch.where(runs.low > 0, value[runs.track, runs.low], -1.0)
    onset, offset = frames.onset_times(runs.track, runs.first), frames.offset_times(runs.track, runs.last)
    clip, label = runs.track // scores.n_classes + clips.start, runs.track % scores.n_classes
    whole = Stretches(clip, label, onset, offset, low, value[runs.track, runs.high])
    return whole.select(offset > onset)
