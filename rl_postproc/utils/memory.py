"""How much memory there is, and what does not fit into it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from rl_postproc.utils.errors import UserError

SHARE = 0.5
"""Share of the memory that scores may take, so that as much is left for the work on them."""
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files in which Linux tells the limit of a container."""


@lru_cache
def memory() -> float:
    """Returns the bytes of memory of this machine or of the container on it; infinity where nothing tells them."""
    return min([*_physical(), *_limits()], default=float("inf"))


def require_memory(n_bytes: float, what: str, remedy: str) -> None:
    """Refuses what would take more than half the memory.

    Args:
        n_bytes: what it would take.
        what: what it is, as the subject of a sentence.
        remedy: what to do.

    Raises:
        UserError: it would take more.
    """
    if n_bytes > SHARE * memory():
        raise UserError(f"{what} would take {shown(n_bytes)}, more than half of the {shown(memory())} of memory here; "
                        f"{remedy}.")  # fmt: skip


def shown(n_bytes: float) -> str:
    """Returns a number of bytes as people write it, such as ``3.7 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if n_bytes >= 100 else f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.4g} TiB"


def _physical() -> Iterable[float]:
    try:
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return


def _limits() -> Iterable[float]:
    for path in LIMITS:
        try:
            yield float(path.read_text())
        except (OSError, ValueError):  # absent, or "max"
            continue
