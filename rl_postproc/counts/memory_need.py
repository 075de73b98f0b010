"""How much memory sums over clips that are read in parts take, by arithmetic, and how small the parts must be for less."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rl_postproc.data.streamed import PART_BYTES, StreamedScores
from rl_postproc.pipeline.stack import Stack
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.memory import shown

WORKING = 40
"""Working memory of a thread in bytes for each filtered level, as `rl_postproc.counts.grid` has it."""
_GROUPS = 6
"""Sums that are held at a time: of five inner folds, and of all clips."""
_STEP = 72
"""Bytes of a step of a count, merged and looked up."""


@dataclass(frozen=True)
class MemoryNeed:
    """What a search over parts takes.

    Attributes:
        held: bytes that the process holds already, references and names of the clips included.
        sums: bytes of the sums over clips.
        by_byte: bytes of working memory for each byte of a part's scores, all threads together.
        clip: bytes of the scores of one clip, the smallest part.
    """

    held: float
    sums: float
    by_byte: float
    clip: int

    def of(self, part_bytes: int) -> float:
        """Returns the bytes that parts of such a size take at the most."""
        return self.held + self.sums + self.by_byte * max(part_bytes, self.clip)

    def part_bytes(self, limit: float) -> int:
        """Returns the size of parts that stays within a limit, at most the usual one.

        Raises:
            UserError: no size does.
        """
        if self.of(self.clip) > limit:
            raise UserError(f"--memory {shown(limit)} is too little: clip by clip this takes {shown(self.of(self.clip))}, of "
                            f"which {shown(self.held)} are held before a score is read; allow more, take fewer candidates or "
                            "fewer threads, or draw a sample with 'few_clips'.")  # fmt: skip
        return min(PART_BYTES, int((limit - self.held - self.sums) / self.by_byte))


def memory_need(scores: StreamedScores, stack: Stack, n_levels: int | None = None) -> MemoryNeed:
    """Returns what a search for constants of the scores takes.

    Args:
        scores: the clips.
        stack: the stages with their candidates.
        n_levels: levels of the threshold that are counted in place of its candidates, if any.
    """
    n_filters, n_candidates = stack.n_filter_settings, stack.space.n_candidates
    if n_levels is not None:
        n_candidates = n_filters * n_levels
    columns = n_candidates * scores.n_classes
    sums = 2 * 8 * columns * (_GROUPS if n_levels is None else 1) + (_STEP * columns if n_levels is not None else 0)
    # The scores of a part, once read and once in the making; and the levels of the tracks that are kept.
    by_byte = torch.get_num_threads() * (2 + WORKING * n_filters * scores.density / 4)
    return MemoryNeed(resident(), sums, by_byte, 4 * scores.n_classes * scores.width)


def within(scores: StreamedScores, part_bytes: int) -> StreamedScores:
    """Returns the scores, read in parts of such a size."""
    return replace(scores, part_bytes=part_bytes)


def resident() -> float:
    """Returns the bytes of memory that this process holds, the most so far where the system tells no more."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)
