"""PSDS of frame scores, at no more thresholds than can matter.

At most thresholds there are far more false positives than any scenario looks at. Where a class has no references in a clip
every event is one, and how many there are at a threshold follows from the rises of the scores alone. Scores between two
neighbouring thresholds that are out of bounds by those already are set to the upper one, so that hardly any events are left
to be found and judged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.intersection.psds import HOUR, Scenario

_SHIFT = 16
"""Bits of a score that are left away to number a range of scores; 128 ranges double the score."""
_RANGES = (np.float32(1).view(np.int32) >> _SHIFT) + 1
_CELLS = 1 << 22
"""Scores that are worked on at once."""


def without_lost_thresholds(
    scores: ScoreSet, references: Events, durations: torch.Tensor, scenario: Scenario
) -> ScoreSet:
    """Returns scores with the same PSDS that have few distinct ones among those that only decode too many events.

    A threshold inside a range of scores that is lost decodes from them what the lower end of the range does.

    Args:
        scores: frame scores.
        references: of its clips.
        durations: length of each clip in seconds, float64 ``[clip]``.
        scenario: what is right, and up to how many false positives an hour it counts.
    """
    absent = references.counts() == 0
    n_classes, change = scores.n_classes, np.zeros((2, scores.n_classes * _RANGES))
    step = max(1, _CELLS // (n_classes * scores.width))
    for clips in torch.arange(scores.n_clips).split(step):
        clip, label = absent[clips].nonzero().unbind(1)
        x = scores.scores[clips][clip, label].numpy()
        row, frame = np.nonzero(x[:, 1:] > x[:, :-1])
        row, frame = (
            np.append(row, np.flatnonzero(x[:, 0] > 0)),
            np.append(frame + 1, np.zeros((x[:, 0] > 0).sum(), int)),
        )
        own = label.numpy()[row] * _RANGES
        change[0] += np.bincount(own + _range_of(x[row, frame]), minlength=change.shape[1])
        rises = frame > 0
        change[1] += np.bincount((own + _range_of(x[row, frame - 1]))[rises], minlength=change.shape[1])
    # Range 0 is silence: what begins there has not been an event before, and ends none.
    begun, ended = change.reshape(2, n_classes, _RANGES)
    ended[:, 0] = 0
    net = begun - ended
    above = net[:, ::-1].cumsum(1)[:, ::-1] - net
    lost = (above - ended) / (float(durations.sum()) / HOUR) > scenario.max_efpr * (1 + 1e-9)
    # The highest score of the highest range of a run of lost ones.
    highest = (np.arange(1, _RANGES + 1, dtype=np.int32) << _SHIFT) - 1
    last = np.where(np.append(lost[:, 1:], np.zeros((n_classes, 1), bool), 1), _RANGES, np.arange(_RANGES))
    last = np.minimum.accumulate(last[:, ::-1], 1)[:, ::-1]
    raised = np.minimum(highest.view(np.float32)[last], np.float32(1))
    raised[~lost] = 0
    table, found = torch.from_numpy(raised), torch.empty_like(scores.scores)
    for clips in torch.arange(scores.n_clips).split(step):
        x = scores.scores[clips]
        number = torch.from_numpy(_range_of(x.numpy())).long() + torch.arange(n_classes)[:, None] * _RANGES
        found[clips] = torch.where(x > 0, torch.maximum(x, table.flatten()[number]), x)
    return replace(scores, scores=found)


def _range_of(x: np.ndarray) -> np.ndarray:
    return np.maximum(np.ascontiguousarray(x).view(np.int32), 0) >> _SHIFT  # −0 is 0
