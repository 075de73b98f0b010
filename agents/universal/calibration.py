"""Calibrating trained probabilities on a few labels: one gain for all classes and a shift for each, held near 1 and 0."""

from __future__ import annotations

import torch

_GAIN, _SHIFT, _CLASS_SHIFT = 0.3, 0.5, 0.5
"""Standard deviations of what labels are expected to change: the gain, the shift of all classes, and that of each."""


def track_weights(track: torch.Tensor) -> torch.Tensor:
    """Returns weights by which events of one clip and class, which are much alike, count as one together, ``[event]``."""
    _, which = torch.unique(track, return_inverse=True)
    return (1.0 / torch.bincount(which).double())[which]


def calibrate(
    logits: torch.Tensor, label: torch.Tensor, matches: torch.Tensor, track: torch.Tensor, n_classes: int
) -> tuple[float, torch.Tensor]:
    """Returns the gain, and the shift of each class, float64 ``[class]``, that labels make most likely, with their priors.

    Events of one clip and class are much alike and count as one together.

    Args:
        logits: of the trained probabilities, ``[event]``.
        label: class of each event, int64 ``[event]``.
        matches: whether it matches a reference, bool ``[event]``.
        track: clip and class of each, int64 ``[event]``.
        n_classes: number of classes.
    """
    weight = track_weights(track)
    target, x = matches.double(), logits.double()
    # Gain above 1, shift of all, shift of each class.
    deviation = torch.tensor([_GAIN, _SHIFT] + [_CLASS_SHIFT] * n_classes, dtype=torch.float64)
    theta = torch.zeros(2 + n_classes, dtype=torch.float64)
    for _ in range(50):  # Newton's method on a convex function
        shift = theta[1] + theta[2:]
        p = ((1 + theta[0]) * x + shift[label]).sigmoid()
        slope, curve = weight * (p - target), weight * p * (1 - p)
        per_class = [torch.bincount(label, own, minlength=n_classes) for own in (slope, curve, curve * x)]
        gradient = torch.cat([torch.stack([(slope * x).sum(), slope.sum()]), per_class[0]]) + theta / deviation.square()
        hessian = torch.diag(torch.cat([torch.stack([(curve * x * x).sum(), curve.sum()]), per_class[1]]))
        hessian[0, 1] = hessian[1, 0] = (curve * x).sum()
        hessian[0, 2:] = hessian[2:, 0] = per_class[2]
        hessian[1, 2:] = hessian[2:, 1] = per_class[1]
        step = torch.linalg.solve(hessian + torch.diag(1 / deviation.square()), gradient)
        theta = theta - step
        if float(step.abs().max()) < 1e-9:
            break
    return float(1 + theta[0]), theta[1] + theta[2:]
