"""What chooses the parameters: constants, or a policy that looks at each clip."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.pipeline.saved import MadeFor, Saved, Shapes, tensors_of
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UnknownNameError, UserError
from rl_postproc.utils.tensors import decimals


class Policy(ABC):
    """Chooses the parameter values of every clip and class. Subclasses are found by their ``kind``."""

    kind: ClassVar[str]
    saved: ClassVar[type[Saved] | None] = None
    """What its `state` looks like, by which files are checked before use; None where `from_state` checks it."""
    lam: torch.Tensor | None = None
    """λ of each class, ``[class]``, where the policy lets fewer events pass the higher it is; else None."""
    frame_bound: bool = False
    """Whether it takes frames as they come, and so judges scores of the frame length alone that it has learned from."""

    def gives_confidence(self, stack: Stack) -> bool:
        """Returns whether the events of `apply` say how sure they are; those that decisions alone make do not."""
        return stack.gives_confidence

    @abstractmethod
    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values, float32 ``[clip, class, parameter]`` or ``[class, parameter]``."""

    def apply(self, scores: ScoreSet, stack: Stack) -> Events:
        """Returns the events: those of the stack with the chosen parameters, unless a policy chooses events itself."""
        return stack.events(scores, self.choose(scores, stack))

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns what must be saved, as JSON values and as tensors."""

    @classmethod
    @abstractmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Policy:
        """Restores a policy from `state`."""


class ChoosesEvents(Policy):
    """A policy that chooses events in place of parameter values."""

    def gives_confidence(self, stack: Stack) -> bool:
        """See `Policy.gives_confidence`; whoever judges how sure events are says so."""
        return False

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Refuses: events that come of several candidates have no parameter values.

        Raises:
            UserError: always.
        """
        raise UserError("This post-processor chooses events, not parameter values; use apply.")

    @abstractmethod
    def apply(self, scores: ScoreSet, stack: Stack) -> Events:
        """Returns the chosen events."""


class SavedConstant(Saved):
    """Values by class and parameter."""

    values: dict[str, dict[str, float]]

    def tensors(self, made: MadeFor) -> Shapes:
        """See `Saved.tensors`."""
        names = made.stack.space.names
        if sorted(self.values) != sorted(made.classes) or any(sorted(r) != sorted(names) for r in self.values.values()):
            raise ValueError("the values do not cover each class and parameter once")
        made.parameter_values([[self.values[name][parameter] for parameter in names] for name in made.classes])
        return {}


class Constant(Policy):
    """The same parameter values for every clip."""

    kind = "constant"
    saved = SavedConstant

    def __init__(self, values: torch.Tensor, classes: tuple[str, ...], names: tuple[str, ...]):
        """Holds values ``[class, parameter]``."""
        self.values, self.classes, self.names = values.float(), classes, names

    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns the values ``[class, parameter]``."""
        return self.values

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns a table of values by class and parameter, for people to read."""
        rows = [dict(zip(self.names, row, strict=True)) for row in decimals(self.values)]
        return {"values": dict(zip(self.classes, rows, strict=True))}, {}

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Constant:
        """Restores the values."""
        table = values["values"]
        names = tuple(next(iter(table.values())))
        return cls(torch.tensor([[row[n] for n in names] for row in table.values()]), tuple(table), names)

    def of(self, classes: tuple[str, ...], names: tuple[str, ...]) -> Constant:
        """Returns the values of these classes and parameters, in this order: a person may have edited the table.

        Raises:
            ValueError: one of them is missing, or there are others.
        """
        if sorted(classes) != sorted(self.classes) or sorted(names) != sorted(self.names):
            raise ValueError("the values do not cover each class and parameter once")
        rows, columns = [self.classes.index(c) for c in classes], [self.names.index(n) for n in names]
        return Constant(self.values[rows][:, columns], classes, names)


_ROOMS = (
    "rl_postproc.agents.universal.policy",
    "rl_postproc.agents.events.policy",
    "rl_postproc.agents.events.ranking_policy",
    "rl_postproc.agents.events.set_policy",
    "rl_postproc.agents.events.silent_classes",
    "rl_postproc.agents.rl.learned_events",
    "rl_postproc.agents.rl.observed_policy",
    "rl_postproc.agents.rl.sb3_policy",
    "rl_postproc.agents.rl.track_policy",
    "rl_postproc.agents.rl.vpg_paper",
    "rl_postproc.agents.universal.class_groups",
)
"""Modules with policies that the core does not import, but looks into for the kind of a saved one. The first has the one that
comes trained, for which no other need be imported."""


def find_policy(kind: str) -> type[Policy] | None:
    """Returns the policy class of a kind, those of plug-ins included, or None where there is none."""
    for room in ("", *_ROOMS):
        if room:
            importlib.import_module(room)
        pending: list[type[Policy]] = [Policy]
        while pending:
            subclasses = pending.pop().__subclasses__()
            pending += subclasses
            found = next((policy for policy in subclasses if getattr(policy, "kind", None) == kind), None)
            if found is not None:
                return found
    return None


def check_policy(kind: Any, values: dict[str, Any], made: MadeFor) -> Shapes | None:
    """Checks the saved values of a policy of any kind, and returns the tensors that belong to them, None for any.

    Raises:
        UnknownNameError: there is no such kind.
        ValueError: the values do not fit.
    """
    return tensors_of(_policy_of(kind), values, made)


def check_inner_policy(values: dict[str, Any], made: MadeFor) -> Shapes | None:
    """Checks a policy that is part of another, as `check_policy`; its kind stands beside its values."""
    return check_policy(values.get("kind"), {name: value for name, value in values.items() if name != "kind"}, made)


def restore_policy(kind: str, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Policy:
    """Restores a policy of any kind from its `Policy.state`.

    Raises:
        UnknownNameError: there is no such kind.
    """
    return _policy_of(kind).from_state(values, tensors)


def _policy_of(kind: Any) -> type[Policy]:
    known = find_policy(kind) if isinstance(kind, str) else None
    if known is None:
        raise UnknownNameError(f"unknown policy '{kind}'")
    return known
