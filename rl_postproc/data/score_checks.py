"""What looks wrong in scores beside their references, in sentences that count, name the first and tell the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from rl_postproc.utils.errors import quoted

if TYPE_CHECKING:
    from rl_postproc.data.scores import ScoreSet

FEW = 5
"""References that a class must have before its scores are compared with them."""
_MOST = 1 << 24
"""Scores that are looked at: those of the first clips."""


def class_problems(score_set: ScoreSet) -> list[str]:
    """Returns what looks wrong in the scores of classes, one sentence each; empty if nothing does.

    Looked for are classes with one score throughout, and classes whose scores are no higher inside their references than
    elsewhere, as where columns and class names are in different orders. Of large sets the first clips tell.
    """
    n_clips = max(1, _MOST // (score_set.n_classes * score_set.width))
    some = score_set if n_clips >= score_set.n_clips else score_set.select(torch.arange(n_clips))
    valid = some.valid[:, None]
    most = torch.where(valid, some.scores, 0.0).amax((0, 2))
    least = torch.where(valid, some.scores, 1.0).amin((0, 2))
    flat = most == least
    problems = flat_classes(least, most, some.classes)
    blind = _no_higher_inside(some) & ~flat
    if bool(blind.any()):
        problems.append(f"{_classes(blind, some.classes)} scores that are no higher inside the references than elsewhere; "
                        "check the order of the classes, the clips' names and the hop.")  # fmt: skip
    return problems


def flat_classes(least: torch.Tensor, most: torch.Tensor, classes: tuple[str, ...]) -> list[str]:
    """Says which classes have one score throughout, from their lowest and highest score, ``[class]`` each."""
    flat = most == least
    if not bool(flat.any()):
        return []
    return [f"{_classes(flat, classes)} one score throughout (the first: {float(most[flat][0]):g}), which no "
            "post-processing can improve; check the detector's output."]  # fmt: skip


def _no_higher_inside(score_set: ScoreSet) -> torch.Tensor:
    """Returns the classes with references whose mean score inside these is not above that elsewhere, bool ``[class]``."""
    events, n_classes = score_set.references, score_set.n_classes
    if events is None or not len(events):
        return torch.zeros(n_classes, dtype=torch.bool, device=score_set.device)
    centres = (score_set.edges[:, :-1] + score_set.edges[:, 1:]) / 2
    # Rows of centres laid one after another, each beyond the one before, so that one search serves all clips.
    row = events.clip if len(centres) > 1 else torch.zeros_like(events.clip)
    span = float(torch.maximum(centres.max(), events.offset.max())) + 1
    line = (centres + span * torch.arange(len(centres), device=centres.device)[:, None]).flatten()
    first, after = (torch.searchsorted(line, time + span * row) - row * centres.shape[1] for time in
                    (events.onset, events.offset))  # fmt: skip
    change = torch.zeros(score_set.n_clips, n_classes, score_set.width + 1, dtype=torch.int32, device=line.device)
    for frames, step in ((first, 1), (after, -1)):
        place = events.clip, events.label, frames.clamp(max=score_set.width)
        change.index_put_(place, change.new_tensor(step), accumulate=True)
    inside = (change.cumsum(2)[..., :-1] > 0) & score_set.valid[:, None]
    n_inside, n = inside.sum((0, 2)), score_set.n_frames.sum()
    sum_inside = torch.where(inside, score_set.scores, 0.0).sum((0, 2), dtype=torch.float64)
    sum_elsewhere = score_set.scores.sum((0, 2), dtype=torch.float64) - sum_inside
    no_higher = sum_inside * (n - n_inside) <= sum_elsewhere * n_inside
    return no_higher & (n_inside > 0) & (n_inside < n) & (events.counts().sum(0) >= FEW)


def _classes(found: torch.Tensor, classes: tuple[str, ...]) -> str:
    names = [classes[k] for k in found.nonzero()[:, 0].tolist()]
    return f"{len(names)} of {len(classes)} classes ({quoted(names)}) {'has' if len(names) == 1 else 'have'}"


def scores_cut(
    scores: torch.Tensor, given: torch.Tensor, kept: torch.Tensor, clip_ids: tuple[str, ...], durations: torch.Tensor
) -> str:
    """Says which frames beyond their clips' ends hold scores that are cut, or nothing.

    Args:
        scores: ``[clip, class, frame]``.
        given: frames of each clip as they were given, int64 ``[clip]``.
        kept: frames that begin before the clip's end, int64 ``[clip]``.
        clip_ids: one name a clip.
        durations: clip lengths in seconds, float64 ``[clip]``.
    """
    clips = (kept < given).nonzero()[:, 0]
    if not len(clips):
        return ""
    start = int(kept[clips].min())
    frame = torch.arange(start, scores.shape[2])
    cut = (scores[..., start:][clips] != 0).any(1) & (frame >= kept[clips, None]) & (frame < given[clips, None])
    lost = torch.zeros_like(given).index_copy(0, clips, cut.sum(1))
    return frames_cut(lost, given, clip_ids, durations)


def frames_cut(lost: torch.Tensor, given: torch.Tensor, clip_ids: Sequence[str], durations: torch.Tensor) -> str:
    """Says how many frames with scores are cut, or nothing where none are.

    Args:
        lost: frames of each clip that are cut, int64 ``[clip]``.
        given: frames of each clip, int64 ``[clip]``.
        clip_ids: one name a clip.
        durations: clip lengths in seconds, float64 ``[clip]``.
    """
    clips = (lost > 0).nonzero()[:, 0]
    if not len(clips):
        return ""
    first = int(clips[0])
    return (f"{int(lost.sum())} frames of {len(clips)} of {len(clip_ids)} clips begin after their clip's end and are cut "
            f"(the first: {int(lost[first])} of {int(given[first])} frames of '{clip_ids[first]}', which ends at "
            f"{float(durations[first]):g} s); check durations and hop if these should count.")  # fmt: skip
