"""What the saved state of a policy must look like: the one place where values and tensors are checked before use.

Every kind of policy, or of a part of one, declares its JSON values as a `Saved` model, which says as well which tensors go
with such values. A kind without a declaration, such as a plug-in's, checks its state by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import MOST_SECONDS

Shapes = dict[str, tuple[torch.dtype, tuple["int | str", ...]]]
"""Type and shape of each tensor; sizes that are given by a word are the same wherever the word stands."""

Count = Annotated[int, Field(ge=1, le=1 << 20)]
"""A number of units, classes or features."""

Price = Annotated[float, Field(ge=-2, le=2)]
"""λ: what an estimate costs where a true positive is worth 2."""

_RANGES = {
    "probability": ("a probability", 0.0, 1.0),
    "seconds": ("a length in seconds", 0.0, MOST_SECONDS),
    "signed seconds": ("a time in seconds", -MOST_SECONDS, MOST_SECONDS),
    "ratio": ("a ratio", 1.0, float("inf")),
}
"""What values of a unit are called, and where they lie."""


class Saved(BaseModel):
    """The JSON values of one kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())

    def tensors(self, made: MadeFor) -> Shapes | None:
        """Checks what depends on classes and stack, and returns the tensors that belong to these values, None for any.

        Raises:
            ValueError: the values do not fit the classes or the stack.
        """
        return {}


@dataclass(frozen=True)
class MadeFor:
    """What a saved policy was made for.

    Attributes:
        classes: names of the classes; none where it suits any.
        stack: the stages.
        hop: seconds per frame of the scores that it was tuned on; None where it suits any.
        n_features: number of features of an event, for what judges events by them.
    """

    classes: tuple[str, ...]
    stack: Stack
    hop: float | None
    n_features: int | None = None

    def with_features(self, n_features: int) -> MadeFor:
        """Returns the same for a part that judges events by so many features."""
        return replace(self, n_features=n_features)

    def per_class(self, name: str, values: Sequence[Any] | None) -> None:
        """Insists on one value for each class, where there are any.

        Raises:
            ValueError: there are more or fewer.
        """
        if values is not None and len(values) != len(self.classes):
            raise ValueError(f"'{name}' has {len(values)} values for {len(self.classes)} classes")

    def equal(self, **sizes: tuple[Any, Any]) -> None:
        """Insists that pairs of what is saved and what is expected are equal.

        Raises:
            ValueError: they are not.
        """
        for name, (found, expected) in sizes.items():
            if found != expected:
                raise ValueError(f"'{name}' is {found} and should be {expected}")

    def same_hop(self, step: float) -> None:
        """Insists on the frame length that the post-processor was tuned on.

        Raises:
            ValueError: it is another.
        """
        if self.hop is None or abs(step - self.hop) > 1e-6 * self.hop:
            raise ValueError(
                f"'step' is {step:g} s where the post-processor was tuned on frames of {self.hop or 0:g} s"
            )

    def parameter_values(self, rows: Sequence[Sequence[float]]) -> None:
        """Insists on values ``[class, parameter]`` within the range of each parameter's unit.

        Raises:
            ValueError: there are more or fewer, or one lies outside.
        """
        units = self.stack.units
        self.per_class("values", rows)
        for name, row in zip(self.classes, rows, strict=True):
            if len(row) != len(units):
                raise ValueError(f"'{name}' has {len(row)} values for {len(units)} parameters")
            space = self.stack.space
            for parameter, unit, value, known in zip(space.names, units, row, space.parameters, strict=True):
                if unit == "choice" and value not in known.candidates:
                    raise ValueError(f"{parameter} of '{name}' is {value:g}, but there are {len(known.candidates)} stacks, "
                                     "numbered from 0")  # fmt: skip
                what, low, high = _RANGES.get(unit, ("", float("-inf"), float("inf")))
                if not low <= value <= high:
                    raise ValueError(
                        f"{parameter} of '{name}' is {value:g}, but {what} must lie in [{low:g}, {high:g}]"
                    )


def tensors_of(kind: type, values: dict[str, Any], made: MadeFor) -> Shapes | None:
    """Checks saved values of a kind and returns the tensors that belong to them, None where the kind declares nothing.

    Raises:
        ValueError: they do not fit; a `pydantic.ValidationError` is one.
    """
    model: type[Saved] | None = getattr(kind, "saved", None)
    return None if model is None else model.model_validate(values).tensors(made)


def weights_of(build: Callable[[], nn.Module]) -> Shapes:
    """Returns the tensors of a network without making any.

    Raises:
        ValueError: it would be too large for any machine.
    """
    try:
        with torch.device("meta"):
            return {name: (value.dtype, tuple(value.shape)) for name, value in build().state_dict().items()}
    except RuntimeError as error:
        raise ValueError("its network is too large for any machine") from error


def with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Returns the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def prefixed(prefix: str, shapes: Shapes) -> Shapes:
    """Returns tensors under other names, as parts of something larger."""
    return {
        f"{prefix}{name}": (dtype, tuple(f"{prefix}{n}" if isinstance(n, str) else n for n in shape))
        for name, (dtype, shape) in shapes.items()
    }


def check_tensors(tensors: dict[str, torch.Tensor], shapes: Shapes) -> None:
    """Insists that tensors have the names, types and shapes that are declared, and hold finite numbers.

    Raises:
        ValueError: they do not.
    """
    odd = sorted(set(tensors) ^ set(shapes))
    if odd:
        raise ValueError(f"the tensor '{odd[0]}' is {'missing' if odd[0] in shapes else 'not part of such a policy'}")
    sizes: dict[str, int] = {}
    for name, (dtype, shape) in shapes.items():
        tensor = tensors[name]
        same = len(shape) == tensor.ndim and all(
            n == (sizes.setdefault(m, n) if isinstance(m, str) else m) for n, m in zip(tensor.shape, shape, strict=True)
        )
        if tensor.dtype != dtype or not same:
            raise ValueError(f"the tensor '{name}' of {tensor.dtype} and shape {list(tensor.shape)} should be of {dtype} "
                             f"and shape {[sizes.get(str(n), n) for n in shape]}")  # fmt: skip
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"the tensor '{name}' holds numbers that are not finite")
