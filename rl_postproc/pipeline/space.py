"""The parameter space of a stack: what grids, action spaces and search spaces are derived from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from rl_postproc.stages.base import Parameter, combine
from rl_postproc.utils.errors import UserError


@dataclass(frozen=True)
class ParameterSpace:
    """Every parameter of a stack, and the candidates: all combinations of their values.

    Attributes:
        names: ``stage.parameter`` of each parameter; a stage that is there a second time is called ``stage_2``.
        parameters: candidate values, default and scope of each.
        parts: of a choice of several stacks the space of each. The first parameter then is the number of the stack in use,
            the others are those of all stacks, and the candidates those of one stack after another's.
    """

    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    parts: tuple[ParameterSpace, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of candidate values of each parameter."""
        return tuple(len(p.candidates) for p in self.parameters)

    @property
    def defaults(self) -> torch.Tensor:
        """Default value of each parameter, float32 ``[parameter]``."""
        return torch.tensor([p.default for p in self.parameters])

    @cached_property
    def grids(self) -> tuple[tuple[int, ...], ...]:
        """The candidates as grids that follow one another: the numbers of values along each grid's parameters."""
        return tuple(part.sizes for part in self.parts) if self.parts else (self.sizes,)

    @cached_property
    def values(self) -> torch.Tensor:
        """Parameter values of every candidate, float32 ``[candidate, parameter]``, in row-major order."""
        if not self.parts:
            return combine([p.candidates for p in self.parameters])
        found, first = [], 1
        for number, part in enumerate(self.parts):
            own = self.defaults.repeat(part.n_candidates, 1)
            own[:, 0] = number
            own[:, first : first + len(part.names)] = part.values
            found.append(own)
            first += len(part.names)
        return torch.cat(found)

    @cached_property
    def n_candidates(self) -> int:
        """Number of combinations."""
        return sum(math.prod(sizes) for sizes in self.grids)

    def candidate(self, index: torch.Tensor) -> torch.Tensor:
        """Returns the candidate of each tuple of value indices, int64 ``[..., parameter]`` → ``[...]``."""
        if not self.parts:
            return (index * torch.tensor(strides_of(self.sizes), device=index.device)).sum(-1)
        found, first, before = torch.zeros_like(index[..., 0]), 1, 0
        for number, part in enumerate(self.parts):
            own = before + part.candidate(index[..., first : first + len(part.names)])
            found = torch.where(index[..., 0] == number, own, found)
            first, before = first + len(part.names), before + part.n_candidates
        return found

    def active(self, values: torch.Tensor) -> torch.Tensor:
        """Returns which of the parameter values have an effect, bool of the shape of ``[..., parameter]``."""
        found = torch.ones_like(values, dtype=torch.bool)
        first = 1
        for number, part in enumerate(self.parts):
            found[..., first : first + len(part.names)] = (values[..., 0] == number)[..., None]
            first += len(part.names)
        return found

    @cached_property
    def is_shared(self) -> tuple[bool, ...]:
        """Which parameters have a choice that is one for all classes (global scope)."""
        return tuple(p.scope == "global" and len(p.candidates) > 1 for p in self.parameters)

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the parameters with one choice for all classes."""
        return tuple(name for name, shared in zip(self.names, self.is_shared, strict=True) if shared)

    @property
    def global_group(self) -> torch.Tensor:
        """Group of each candidate by its values of the global parameters, int64 ``[candidate]``."""
        columns = [i for i, shared in enumerate(self.is_shared) if shared]
        if not columns:
            return torch.zeros(self.n_candidates, dtype=torch.int64)
        return torch.unique(self.values[:, columns], dim=0, return_inverse=True)[1]

    def action_sizes(self, n_classes: int | None) -> list[int]:
        """Returns the number of values of every component of an action, which names a value of every parameter.

        Args:
            n_classes: the parameters of class scope for each class in turn, then those of global scope once; all
                parameters of one class when None.

        Raises:
            UserError: one class alone, with a parameter of global scope.
        """
        local = [n for n, shared in zip(self.sizes, self.is_shared, strict=True) if not shared]
        if n_classes is not None:
            return local * n_classes + [n for n, shared in zip(self.sizes, self.is_shared, strict=True) if shared]
        if self.shared:
            raise UserError(
                f"The per-class environment cannot tune '{self.shared[0]}', whose scope is global; use the joint one."
            )
        return local

    def of_actions(self, actions: torch.Tensor, n_classes: int | None) -> torch.Tensor:
        """Returns the candidates that actions stand for, int64 ``[env, action]`` → ``[env, class]`` (or ``[env, 1]``)."""
        n = 1 if n_classes is None else n_classes
        local = [i for i, shared in enumerate(self.is_shared) if not shared]
        common = [i for i, shared in enumerate(self.is_shared) if shared]
        index = torch.empty(len(actions), n, len(self.parameters), dtype=torch.int64, device=actions.device)
        split = n * len(local)
        index[..., local] = actions[:, :split].reshape(len(actions), n, len(local))
        index[..., common] = actions[:, None, split:]
        return self.candidate(index)


def strides_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """Returns how many combinations further the next value of each parameter stands, the last one changing fastest."""
    return tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))
