"""Pseudo-detectors: one detector's scores changed in the ways in which detectors differ.

Detectors differ in calibration, smoothing, quantisation, noise, frame length and clip length. Each function returns a new
score set whose references are still right, and `pseudo_detector` draws a chain of them.
"""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import even_edges
from rl_postproc.data.scores import ScoreSet

_SHORTEST_EVENT = 0.05
"""Seconds of an event that must lie inside a cut clip for the clip to keep it."""

_EXTREME = 1e-4
"""Scores are kept this far from 0 and 1 where they become logits."""


def pseudo_detector(scores: ScoreSet, seed: int) -> ScoreSet:
    """Returns what another detector might have made of the same clips, or of parts or sequences of them.

    Args:
        scores: with references, on evenly spaced frames.
        seed: of what is drawn.
    """
    rng = np.random.default_rng(seed)
    length = rng.random()
    if length < 0.2:
        scores = cut(scores, float(np.exp(rng.uniform(np.log(1), np.log(6)))), rng)
    elif length < 0.4:
        scores = joined(scores, int(rng.integers(2, 11)))
    if rng.random() < 0.35:
        scores = resampled(scores, float(np.exp(rng.uniform(np.log(0.01), np.log(0.32)))))
    if rng.random() < 0.4:
        scores = smoothed(scores, float(rng.uniform(0.1, 0.8)), median=bool(rng.random() < 0.5))
    if rng.random() < 0.25:
        scores = noisy(scores, float(rng.uniform(0.1, 0.8)), rng)
    if rng.random() < 0.5:
        scores = recalibrated(scores, rng)
    if rng.random() < 0.3:
        scores = quantised(scores, int(rng.choice([5, 10, 20, 50])))
    return scores


def recalibrated(scores: ScoreSet, rng: np.random.Generator) -> ScoreSet:
    """Shifts and stretches the logits, in part alike for all classes and in part for each class by itself."""
    shift = rng.normal(0, 1.3) + rng.normal(0, 0.65, scores.n_classes)
    gain = np.exp(rng.normal(0, 0.4) + rng.normal(0, 0.2, scores.n_classes))
    logits = torch.logit(scores.scores, _EXTREME)
    return _changed(scores, torch.sigmoid(logits * _column(gain) + _column(shift)))


def smoothed(scores: ScoreSet, seconds: float, median: bool = False) -> ScoreSet:
    """Takes the mean or median over a window around each frame."""
    side = max(1, round(seconds / scores.hop / 2))
    windows = torch.nn.functional.pad(scores.scores, (side, side), mode="replicate").unfold(2, 2 * side + 1, 1)
    return _changed(scores, windows.median(-1).values if median else windows.mean(-1))


def noisy(scores: ScoreSet, deviation: float, rng: np.random.Generator) -> ScoreSet:
    """Adds white noise to the logits."""
    noise = torch.from_numpy(rng.standard_normal(scores.scores.shape, dtype=np.float32))
    return _changed(scores, torch.sigmoid(torch.logit(scores.scores, 10 * _EXTREME) + deviation * noise))


def quantised(scores: ScoreSet, levels: int) -> ScoreSet:
    """Rounds to a number of levels above 0."""
    return _changed(scores, (scores.scores * levels).round() / levels)


def resampled(scores: ScoreSet, hop: float) -> ScoreSet:
    """Returns the scores on frames of another length: between old frames they are interpolated, over several averaged."""
    width = max(1, int(np.ceil(scores.width * scores.hop / hop - 1e-6)))
    if hop < scores.hop:
        position = ((torch.arange(width) + 0.5) * (hop / scores.hop) - 0.5).clamp(0, scores.width - 1)
        below = position.floor().long()
        share, above = position - below, (below + 1).clamp(max=scores.width - 1)
        found = scores.scores[..., below] * (1 - share) + scores.scores[..., above] * share
    else:
        running = torch.nn.functional.pad(scores.scores.double().cumsum(2), (1, 0))
        edge = (torch.arange(width + 1, dtype=torch.float64) * (hop / scores.hop)).clamp(max=scores.width)
        below = edge.floor().long()
        share, above = edge - below, (below + 1).clamp(max=scores.width)
        found = (running[..., below] * (1 - share) + running[..., above] * share).diff() / edge.diff().clamp(min=1e-9)
    n_frames = (scores.durations / hop - 1e-6).ceil().long().clamp(1, width)
    return ScoreSet.build(found.float().clamp(0, 1), even_edges(hop, width), scores.clip_ids, scores.classes, n_frames,
                          scores.durations, scores.references)  # fmt: skip


def cut(scores: ScoreSet, seconds: float, rng: np.random.Generator) -> ScoreSet:
    """Cuts a stretch of each clip from where chance begins it, at most as long as the clip."""
    width = min(max(1, round(seconds / scores.hop)), scores.width)
    begin = torch.from_numpy(rng.integers(0, (scores.n_frames - width).clamp(min=0).numpy() + 1))
    frames = (begin[:, None] + torch.arange(width)).clamp(max=scores.width - 1)
    found = scores.scores.gather(2, frames[:, None].expand(-1, scores.n_classes, -1))
    durations = (scores.durations - begin * scores.hop).clamp(max=width * scores.hop)
    own = scores.require_references()
    start = (begin * scores.hop)[own.clip]
    onset, offset = (own.onset - start).clamp(min=0), torch.minimum(own.offset - start, durations[own.clip])
    kept = offset - onset >= _SHORTEST_EVENT
    references = Events.from_tensors(
        own.clip_ids, own.classes, own.clip[kept], own.label[kept], onset[kept], offset[kept]
    )
    n_frames = (scores.n_frames - begin).clamp(1, width)
    return ScoreSet.build(
        found, even_edges(scores.hop, width), scores.clip_ids, scores.classes, n_frames, durations, references
    )


def joined(scores: ScoreSet, n: int) -> ScoreSet:
    """Puts ``n`` clips at a time one after another; clips that are left over are left out."""
    n = min(n, scores.n_clips)
    n_clips = scores.n_clips // n
    used = scores.select(range(n_clips * n))
    frames = used.n_frames.reshape(n_clips, n)
    begin = frames.cumsum(1) - frames
    width = int(frames.sum(1).max())
    found = torch.zeros(n_clips, used.n_classes, width)
    for i in range(n):
        place = begin[:, i, None] + torch.arange(used.width)
        valid = torch.arange(used.width) < frames[:, i, None]
        clip, frame = valid.nonzero().unbind(1)
        found[clip, :, place[clip, frame]] = used.scores[clip * n + i, :, frame]
    own = used.require_references()
    start = (begin.flatten() * used.hop)[own.clip]
    names = tuple(used.clip_ids[i] for i in range(0, used.n_clips, n))
    references = Events.from_tensors(
        names, used.classes, own.clip // n, own.label, own.onset + start, own.offset + start
    )
    n_frames = frames.sum(1)
    return ScoreSet.build(found, even_edges(used.hop, width), names, used.classes, n_frames, n_frames * used.hop,
                          references)  # fmt: skip


def _changed(scores: ScoreSet, values: torch.Tensor) -> ScoreSet:
    """Returns the set with other scores ``[clip, class, frame]`` on the same frames."""
    return ScoreSet.build(values.clamp(0, 1), scores.edges, scores.clip_ids, scores.classes, scores.n_frames,
                          scores.durations, scores.references)  # fmt: skip


def _column(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).float()[:, None]
