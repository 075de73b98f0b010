"""Classes without training references: nothing can be learned about them, so they keep to what decodes the least."""

from __future__ import annotations

from typing import Any

import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import floating
from rl_postproc.pipeline.policy import Policy, check_inner_policy, restore_policy
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.tensors import decimals


def keep_silent(policy: Policy, task: TuningTask) -> Policy:
    """Returns a policy that holds each class without references at the parameters that decode the fewest events.

    Where every class has references, and so a score, that is the policy itself.
    """
    silent = without_score(task)
    if not bool(silent.any()):
        return policy
    return SilentClasses(policy, silent, task.stack.space.values[task.best_constants.cpu()])


def without_score(task: TuningTask) -> torch.Tensor:
    """Returns the classes without a score on the task's clips, since they have no references there, bool ``[class]``."""
    return task.metric.score(floating(task.summed.totals())).isnan().all(0).cpu()


class SavedSilentClasses(Saved):
    """The classes held constant, values of each class and parameter, and the other policy."""

    silent: list[bool]
    values: list[list[float]]
    policy: dict[str, Any]

    def tensors(self, made: MadeFor) -> Shapes | None:
        """See `Saved.tensors`."""
        made.per_class("silent", self.silent)
        made.parameter_values(self.values)
        return check_inner_policy(self.policy, made)


class SilentClasses(Policy):
    """Constant parameters for some classes, another policy's choice for all others."""

    kind = "silent_classes"
    saved = SavedSilentClasses

    def __init__(self, policy: Policy, silent: torch.Tensor, values: torch.Tensor):
        """Takes the other policy, the classes held constant, bool ``[class]``, and values ``[class, parameter]``."""
        self.policy, self.silent, self.values, self.lam = policy, silent, values.float(), policy.lam
        self.frame_bound = policy.frame_bound

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]`` or ``[class, parameter]``."""
        return torch.where(self.silent[:, None], self.values, self.policy.choose(scores, stack))

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the constants and the other policy."""
        values, tensors = self.policy.state()
        own = {"silent": self.silent.tolist(), "values": decimals(self.values)}
        return {**own, "policy": {"kind": self.policy.kind, **values}}, tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> SilentClasses:
        """Restores the policy."""
        inner = dict(values["policy"])
        policy = restore_policy(inner.pop("kind"), inner, tensors)
        return cls(policy, torch.tensor(values["silent"]), torch.tensor(values["values"]))
