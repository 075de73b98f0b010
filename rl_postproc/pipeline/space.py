"""The parameter space of a stack: what grids, action spaces and search spaces are derived from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from rl_postproc.stages.base import Parameter, combine


@dataclass(frozen=True)
class ParameterSpace:
    """Every parameter of a stack, and the candidates: all combinations of their values.

    Attributes:
        names: ``stage.parameter`` of each parameter; a stage that is there a second time is called ``stage_2``.
        parameters: candidate values, default and scope of each.
    """

    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of candidate values of each parameter."""
        return tuple(len(p.candidates) for p in self.parameters)

    @property
    def defaults(self) -> torch.Tensor:
        """Default value of each parameter, float32 ``[parameter]``."""
        return torch.tensor([p.default for p in self.parameters])

    @cached_property
    def values(self) -> torch.Tensor:
        """Parameter values of every candidate, float32 ``[candidate, parameter]``, in row-major order."""
        return combine([p.candidates for p in self.parameters])

    @property
    def n_candidates(self) -> int:
        """Number of combinations."""
        return len(self.values)

    @property
    def strides(self) -> tuple[int, ...]:
        """How many candidates further the next value of each parameter stands."""
        return strides_of(self.sizes)

    def candidate(self, index: torch.Tensor) -> torch.Tensor:
        """Returns the candidate of each tuple of value indices, int64 ``[..., parameter]`` → ``[...]``."""
        return (index * torch.tensor(self.strides, device=index.device)).sum(-1)

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


def strides_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """Returns how many combinations further the next value of each parameter stands, the last one changing fastest."""
    return tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))
