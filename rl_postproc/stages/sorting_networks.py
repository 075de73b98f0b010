"""Median filters for many kernels at once, by shared sorting networks.

Two neighbouring windows of ``k`` frames share ``k - 1`` of them. The two middle values of the shared frames bound both
medians, and clamping the frame that each window has for itself between them gives its median; so the sorting is done
once for two frames. The shared frames are split into a sorted list of ``p`` (a power of two) and one of the rest.
Sorted lists grow by odd-even merging (Batcher 1968) from shorter ones, at every second frame, and are shared by all
kernels; the middle of two sorted lists needs no further sorting. Every step is one elementwise minimum or maximum over
half of a ``[frame, track]`` tensor. The largest list sets the cost: O(k log² k) steps for the largest kernel, shared by
the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

EdgeMode = Literal["reflect", "zeros", "lowest"]
EDGE_MODES: tuple[str, ...] = get_args(EdgeMode)
TILE_BYTES = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Size of the tensors that a network works on: what fits a core's cache, or fills a GPU."""


def odd_kernel(seconds: float, hop: float) -> int:
    """Returns the odd number of frames nearest to a length in seconds; halfway between two it is the larger."""
    # Rounded first, so that the same length in single and in double precision gives the same kernel.
    return 2 * int(round(seconds / hop, 4) // 2) + 1


def filter_by_sorting(x: torch.Tensor, n_frames: torch.Tensor, kernels: Sequence[int], edge: EdgeMode) -> torch.Tensor:
    """Filters every track with every kernel, see `rl_postproc.stages.median.median_filter`."""
    width, n_tracks = x.shape
    out = x.new_empty(len(kernels), width, n_tracks)
    # One frame more than the widest kernel reaches: frames are worked in pairs that may begin before the first.
    padding = max(kernels) // 2 + 1
    whole = int(n_frames.min()) if n_tracks else width
    beyond = torch.arange(whole, width, device=x.device)[:, None] >= n_frames
    tile = max(1, TILE_BYTES.get(x.device.type, TILE_BYTES["cpu"]) // ((width + 2 * padding) * x.element_size()))
    for first in range(0, n_tracks, tile):
        part = slice(first, first + tile)
        windows = _SortedWindows(pad_edges(x[:, part], n_frames[part], padding, edge), padding)
        for i, kernel in enumerate(kernels):
            windows.median(kernel, out[i, :, part])
        out[:, whole:, part].masked_fill_(beyond[:, part], 0)
    return out


def pad_edges(x: torch.Tensor, n_frames: torch.Tensor, radius: int, edge: EdgeMode) -> torch.Tensor:
    """Extends tracks ``[frame, track]`` by ``radius`` frames on both sides; each track ends at its own last frame."""
    width = x.shape[0]
    if edge not in EDGE_MODES:
        raise ValueError(f"Unknown edge mode '{edge}'; known are {', '.join(EDGE_MODES)}.")
    if edge != "reflect":
        outside = float("-inf") if edge == "lowest" and x.is_floating_point() else 0
        padded = torch.nn.functional.pad(x, (0, 0, radius, radius), value=outside)
        if outside:
            frames = torch.arange(-radius, width + radius, device=x.device)[:, None]
            padded.masked_fill_(frames >= n_frames, outside)
        return padded
    frames = torch.arange(-radius, width + radius, device=x.device)
    padded = x[_reflect(frames, torch.tensor(width, device=x.device))]
    short = (n_frames < width).nonzero()[:, 0]
    if len(short):
        padded[:, short] = x[:, short].gather(0, _reflect(frames[:, None], n_frames[short]))
    return padded


def _reflect(frames: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
    """Maps frames outside [0, n) inside, as d c b a | a b c d | d c b a."""
    inside = frames % (2 * n_frames)
    return torch.minimum(inside, 2 * n_frames - 1 - inside)


class _SortedWindows:
    """Sorted lists of successive frames that begin at every second frame, built once for each even size."""

    def __init__(self, padded: torch.Tensor, padding: int):
        """Takes tracks ``[frame, track]`` that are extended by ``padding`` frames on both sides."""
        self._padded, self._padding = padded, padding
        n = len(padded) // 2
        even, odd = padded[0 : 2 * n : 2], padded[1 : 2 * n : 2]
        self._lists = {2: [torch.minimum(even, odd), torch.maximum(even, odd)]}

    def sorted_list(self, size: int) -> list[torch.Tensor]:
        """Returns ``size`` tensors ``[position, track]``, ascending; position ``i`` begins at padded frame ``2 i``."""
        if size not in self._lists:
            half = power_of_two_below(size)
            n = len(self._lists[2][0]) - size // 2 + 1
            left = [x[:n] for x in self.sorted_list(half)]
            right = [x[half // 2 : half // 2 + n] for x in self.sorted_list(size - half)]
            self._lists[size] = _merge(left, right)
        return self._lists[size]

    def median(self, kernel: int, out: torch.Tensor) -> None:
        """Writes the medians of the windows around each frame to ``[frame, track]``."""
        width, radius = len(out), kernel // 2
        if kernel == 1:
            out.copy_(self._padded[self._padding : self._padding + width])
            return
        # A pair of frames (t, t + 1) shares the frames from t + 1 - radius to t + radius, whose first must be even.
        before = (self._padding - radius) % 2 == 0
        first = self._padding - radius + (not before)
        n = width // 2 + 1 if before else (width + 1) // 2
        low, high = self._middle(2 * radius, first // 2, n)
        for start, own, t in ((int(before), first - 1, -int(before)), (0, first + 2 * radius, 1 - int(before))):
            # `own` is the frame that only this frame's window has, `t` where the first pair's result belongs.
            to = out[t + 2 * start :: 2]
            pairs = slice(start, start + len(to))
            extra = self._padded[own + 2 * start :: 2][: len(to)]
            torch.clamp(extra, low[pairs], high[pairs], out=to)

    def _middle(self, size: int, first: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the two middle values of ``size`` frames, from ``n`` positions on, each ``[position, track]``."""
        if size == 2:
            low, high = self._lists[2]
            return low[first : first + n], high[first : first + n]
        p = power_of_two_below(size)
        left = [x[first : first + n] for x in self.sorted_list(p)]
        right = [x[first + p // 2 : first + p // 2 + n] for x in self.sorted_list(size - p)]
        return _of_rank(left, right, size // 2 - 1), _of_rank(left, right, size // 2)


def _of_rank(left: list[torch.Tensor], right: list[torch.Tensor], rank: int) -> torch.Tensor:
    """Returns the value of a rank (from 0) among two ascending lists.

    It is the least, over all splits of ``rank + 1`` items between the lists, of the larger end.
    """
    result: torch.Tensor | None = None
    for from_right in range(max(0, rank + 1 - len(left)), min(len(right), rank + 1) + 1):
        ends = ([left[rank - from_right]] if from_right <= rank else []) + (
            [right[from_right - 1]] if from_right else []
        )
        larger = ends[0] if len(ends) == 1 else torch.maximum(ends[0], ends[1])
        result = larger if result is None else torch.minimum(result, larger)
    assert result is not None
    return result


def power_of_two_below(size: int) -> int:
    """Returns the largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _merge(a: list[torch.Tensor], b: list[torch.Tensor]) -> list[torch.Tensor]:
    """Merges two ascending lists of tensors elementwise (odd-even merging of any two lengths)."""
    if not a or not b:
        return a or b
    if len(a) == len(b) == 1:
        return [torch.minimum(a[0], b[0]), torch.maximum(a[0], b[0])]
    even, odd = _merge(a[0::2], b[0::2]), _merge(a[1::2], b[1::2])
    merged = [even[0]]
    for low, high in zip(even[1:], odd, strict=False):
        merged += [torch.minimum(low, high), torch.maximum(low, high)]
    n = min(len(even) - 1, len(odd))
    return merged + even[1 + n :] + odd[n:]


def comparisons(kernels: Sequence[int]) -> int:
    """Returns about how many elementwise steps, each over half of the frames, the filters take together."""
    lists = {2}

    def steps_of_list(size: int) -> int:
        if size in lists:
            return 0
        lists.add(size)
        half = power_of_two_below(size)
        return steps_of_list(half) + steps_of_list(size - half) + _steps_of_merge(half, size - half)

    steps = 2
    for kernel in kernels:
        steps += 2
        if kernel > 3:
            half = power_of_two_below(kernel - 1)
            rest = kernel - 1 - half
            steps += steps_of_list(half) + steps_of_list(rest) + 4 * rest
    return steps


def _steps_of_merge(n: int, m: int) -> int:
    """Returns how many minima and maxima `_merge` takes."""
    if not n or not m or n == m == 1:
        return 2 * min(n, m)
    even, odd = (n + 1) // 2 + (m + 1) // 2, n // 2 + m // 2
    return _steps_of_merge((n + 1) // 2, (m + 1) // 2) + _steps_of_merge(n // 2, m // 2) + 2 * min(even - 1, odd)
