"""What it means to apply a post-processor to scores of another frame length than it was tuned on."""

from __future__ import annotations

import torch

from rl_postproc.pipeline.policy import Constant, Policy
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError

SAME = 0.01
"""Share by which frame lengths may differ and still be the same."""
COARSEST = 16
"""Frames of the tuning in a single frame from which on a learned policy would see all surroundings of an event as one."""


def other_hop(hop: float, tuned: float, policy: Policy, stack: Stack) -> str:
    """Says what to expect on scores of another frame length, or nothing where it is the same.

    Args:
        hop: seconds per frame of the scores.
        tuned: seconds per frame of the scores that the post-processor was tuned on.
        policy: what chooses the parameters.
        stack: the stages.

    Raises:
        UserError: the policy cannot judge such scores.
    """
    if abs(hop - tuned) <= SAME * tuned:
        return ""
    lengths = f"These scores have frames of {hop:g} s, where the post-processor was tuned on {tuned:g} s"
    coarse = not isinstance(policy, Constant) and hop > COARSEST * tuned
    if policy.frame_bound or coarse:
        reach = "frames of the length it has learned from alone" if policy.frame_bound else "no frames as long as these"
        raise UserError(f"{lengths}, and its policy '{policy.kind}' judges {reach}; tune it on such scores, or resample "
                        "these.")  # fmt: skip
    said = f"{lengths}: its parameters are in seconds and hold for both"
    seconds = _seconds(policy, stack)
    short = int((seconds < 2 * hop).sum())
    if hop > tuned and short:
        said += f", but {short} of {len(seconds)} of them are shorter than two frames and without effect"
    if isinstance(policy, Constant):
        return f"{said}; thresholds may suit other frames less, so evaluate before you rely on them."
    return (
        f"{said}; its policy has learned from frames of {tuned:g} s alone, so evaluate before you rely on its choices."
    )


def _seconds(policy: Policy, stack: Stack) -> torch.Tensor:
    """Returns the lengths above 0 that the policy has set or may choose, in seconds, float32 ``[length]``."""
    units = stack.units
    timed = [i for i, unit in enumerate(units) if unit == "seconds"]
    if isinstance(policy, Constant):
        found = policy.values[:, timed].flatten()
    else:
        found = torch.tensor([value for i in timed for value in stack.space.parameters[i].candidates])
    return found[found > 0]
