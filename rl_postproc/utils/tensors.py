"""Operations on tensors that several rooms share.

Where NumPy is several times as fast as torch on a CPU it does the work; nothing is copied, tensor and array share their
memory. On other devices the operations are torch's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def has_numpy(x: torch.Tensor) -> bool:
    """Returns whether NumPy can work in the memory of a tensor."""
    return x.device.type == "cpu"


def flatnonzero(mask: torch.Tensor) -> torch.Tensor:
    """Returns the indices of the true elements of a mask of any shape, as it lies in memory, int64 ``[element]``."""
    if not has_numpy(mask):
        return mask.flatten().nonzero()[:, 0]
    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def argsort(x: torch.Tensor) -> torch.Tensor:
    """Returns an order of the last dimension that is ascending, not necessarily stable, int64 ``[..., element]``."""
    return x.argsort(-1) if not has_numpy(x) else torch.from_numpy(x.numpy().argsort(-1))


def divide(x: torch.Tensor, by: int) -> torch.Tensor:
    """Returns the whole quotients of integers that are not negative."""
    return x // by if not has_numpy(x) else torch.from_numpy(x.numpy() // by)


def take_columns(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Returns the elements of the last dimension at indices int64 ``[element]``."""
    if not has_numpy(x):
        return x[..., index]
    return torch.from_numpy(
        x.numpy().take(index.numpy(), axis=-1, mode="clip")
    )  # the other modes check every index first


def decimals(x: torch.Tensor) -> Any:
    """Returns the numbers of a tensor of any shape for JSON, nested as its dimensions are.

    Of float32 the shortest decimals that become the same float32 again: 0.81, where the float64 nearest to it would be
    0.8100000023841858.
    """
    array = x.detach().cpu().numpy()
    return (array.astype(str).astype(np.float64) if array.dtype == np.float32 else array).tolist()


def ragged_ranges(first: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Writes ranges of whole numbers one after another.

    Args:
        first: where each range begins, int64 ``[range]``.
        size: how many numbers it has, int64 ``[range]``.

    Returns:
        Which range each number belongs to, and the number, int64 ``[number]`` each.
    """
    owner = torch.arange(len(size), device=size.device).repeat_interleave(size)
    shift = first - (size.cumsum(0) - size)
    return owner, torch.arange(len(owner), device=size.device) + shift[owner]


def first_of_equals(x: torch.Tensor) -> torch.Tensor:
    """Returns for each element of a list the index of the first in its stretch of equals, int64 ``[element]``."""
    index = torch.arange(len(x), device=x.device)
    if not len(x):
        return index
    starts = torch.nn.functional.pad(x[1:] != x[:-1], (1, 0), value=True)
    return torch.where(starts, index, 0).cummax(0).values
