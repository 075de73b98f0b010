"""Minima or maxima over any range of frames, from a pyramid of those over 1, 2, 4, … frames."""

from __future__ import annotations

from collections.abc import Callable

import torch


class RangePyramid:
    """Extremes over ranges of frames: O(frames log longest) to build, two look-ups a range.

    Attributes:
        levels: ``[row, level, frame, column]``; level ``l`` holds the extreme over ``2 ** l`` frames from a frame on, and 0
            where these would reach beyond the last.
    """

    def __init__(self, values: torch.Tensor, pick: Callable[..., torch.Tensor], longest: int | None = None):
        """Builds the pyramid over ``[row, frame, column]`` with ``torch.minimum`` or ``torch.maximum``.

        Args:
            values: ``[row, frame, column]``.
            pick: what takes the extreme of two.
            longest: number of frames of the longest range that will be asked for, any when None.
        """
        n_rows, width, n_columns = values.shape
        self._pick, n_levels = pick, min(width, width if longest is None else max(1, longest)).bit_length()
        self.levels = values.new_empty(n_rows, n_levels, width, n_columns)
        self.levels[:, 0] = values
        for level in range(1, n_levels):
            below, step, n = self.levels[:, level - 1], 1 << (level - 1), width + 1 - (1 << level)
            pick(below[:, :n], below[:, step : step + n], out=self.levels[:, level, :n])
            self.levels[:, level, n:] = 0

    def of_columns(self, first: torch.Tensor, last: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Returns the extremes over frames ``first`` to ``last`` (inclusive) of columns, ``[row, query]``."""
        left, right = self._places(first, last, column)
        flat = self.levels.reshape(len(self.levels), -1)
        return self._pick(flat[:, left], flat[:, right])

    def of_rows(self, row: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Returns the extremes over frames ``first`` to ``last`` (inclusive) of rows with one column, ``[query]``."""
        left, right = self._places(first, last, torch.zeros_like(row))
        begin = row * self.levels[0].numel()
        flat = self.levels.reshape(-1)
        return self._pick(flat[begin + left], flat[begin + right])

    def _places(
        self, first: torch.Tensor, last: torch.Tensor, column: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns where in a row the two halves of each range stand that may overlap, int64 ``[query]`` each."""
        _, _, width, n_columns = self.levels.shape
        level = torch.frexp((last - first + 1).clamp(min=1).double())[1].long() - 1
        base = level * (width * n_columns) + column
        return base + first * n_columns, base + (last + 1 - (1 << level)) * n_columns
