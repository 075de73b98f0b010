"""Where results and notes go, and the bar that shows progress."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from ..benchmark.run import BenchmarkProgress

console = Console(width=None if sys.stdout.isatty() else 120)
"""Results."""
notes = Console(stderr=True)
"""Progress and errors."""


@contextlib.contextmanager
def progress() -> Iterator[BenchmarkProgress]:
    """Shows one bar with what is being done and the newest figures."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(what: str, fraction: float, figures: dict[str, float]) -> None:
            shown = "".join(f"  {name.replace('_', ' ')} {_short(value)}" for name, value in figures.items())
            bar.update(task, description=what + shown, completed=fraction)

        yield show


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{100 * value:.2f} %"


def certificate(certified_by: str) -> str:
    """Says which tool confirms a figure, or why none does."""
    reason = certified_by.removeprefix("none: ")
    return f"certified by {certified_by}" if reason == certified_by else f"not certified: {reason}"
