"""Scores are probabilities: what is outside [0, 1] by rounding is clipped and counted, everything else is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from rl_postproc.utils.errors import UserError, warn

SLACK = 1e-4
"""How far outside [0, 1] a score may lie by rounding, as of half precision or of averages; it is clipped."""


def checked_scores(
    scores: torch.Tensor, valid: torch.Tensor, clip_ids: Sequence[str], classes: Sequence[str]
) -> torch.Tensor:
    """Returns the scores as probabilities in [0, 1], 0 beyond a clip's last frame.

    Args:
        scores: floating point ``[clip, class, frame]``; what is not valid may be anything, NaN too.
        valid: frames that exist, bool ``[clip, frame]``.
        clip_ids: one name a clip.
        classes: one name a class.

    Warns:
        DataWarning: how many scores lay up to 1e-4 outside, and were clipped.

    Raises:
        UserError: a score lies farther outside, or is not finite.
    """
    # torch.where, not a product: what lies beyond the clip's end may be NaN.
    scores = torch.where(valid[:, None], scores, scores.new_zeros(()))
    outside = ~((scores >= 0) & (scores <= 1))
    if not bool(outside.any()):
        return scores
    far = ~((scores >= -SLACK) & (scores <= 1 + SLACK))
    n_far = int(far.sum())
    c, k, t = (far if n_far else outside).nonzero()[0].tolist()
    first = f"lip '{clip_ids[c]}', class '{classes[k]}', frame {t}: the score {scores[c, k, t].item()}"
    if n_far:
        finite = scores[scores.isfinite()]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        raise UserError(f"C{first} is not a probability in [0, 1]; {remedy(float(scores[c, k, t]), low, high)}.")
    warn(scores_clipped(int(outside.sum()), f"c{first}"))
    return scores.clamp(0, 1)


def scores_clipped(number: int, first: str) -> str:
    """Says that so many scores are clipped, and what the first of them is."""
    return (f"{number} scores lie up to {SLACK:g} outside [0, 1], as by rounding, and are clipped to it "
            f"(the first: {first}); clip them where they are made if that is right, and look there if not.")  # fmt: skip


def remedy(score: float, low: float, high: float) -> str:
    """Returns what to do about a score outside [0, 1], by the range of all of them.

    Args:
        score: the score that was found.
        low: the lowest of all finite scores.
        high: the highest of them.
    """
    if not math.isfinite(score):
        return "find out why the detector gave it, and remove NaN and infinity first"
    if low < -0.05:
        return f"scores from {low:.4g} to {high:.4g} look like logits: apply a sigmoid first"
    if high <= 1.05:
        return "that is more than rounding explains: find out where it comes from, or clip the scores first"
    if 2 < high <= 100:
        return f"scores from {low:.4g} to {high:.4g} look like percent: divide them by 100 first"
    return f"scores from {low:.4g} to {high:.4g} must be scaled to [0, 1] first (by a sigmoid where they are logits)"
