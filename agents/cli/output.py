"""Where results and notes go, and how progress is shown: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rl_postproc.data.report import DataReport

    from ..benchmark.run import BenchmarkProgress

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class PlainConsole(Console):
    """Prints names, paths and figures as they are, in sentences and in tables alike.

    Nothing in them is taken for markup or for an emoji, and control characters, which could steer a terminal, are shown
    as ``\ufffd``.
    """

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """See `Console.render_str`; whatever is printed as a string passes here, cells and titles of tables too."""
        return super().render_str(printable(text), **options)

    def say(self, sentence: str, label: str = "", style: str = "") -> None:
        """Prints a sentence, behind a label in a style, in one line however wide: paths are not broken."""
        text = self.render_str(sentence)
        self.print(Text.assemble((label, style), " ", text) if label else text, soft_wrap=True)


def printable(text: str) -> str:
    """Returns a text with ``\ufffd`` for control characters, but for tabs and ends of lines, and for undecodable bytes."""
    return _UNPRINTABLE.sub("\ufffd", text)


console = PlainConsole(width=None if sys.stdout.isatty() else 120)
"""Results."""
notes = PlainConsole(stderr=True)
"""Progress and errors."""

FIRST_LINE, NEXT_LINE = 1.0, 10.0
"""Seconds of work before the first line of progress where there is no terminal, and between two of them."""


@contextlib.contextmanager
def progress() -> Iterator[BenchmarkProgress]:
    """Shows what is being done, how much of it is, and the newest figures: counts as they are, shares in percent."""
    with _bar() if notes.is_terminal else _lines() as show:
        yield show


@contextlib.contextmanager
def _bar() -> Iterator[BenchmarkProgress]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    description = TextColumn("{task.description}", markup=False)
    with Progress(
        description, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=notes, transient=True
    ) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(what: str, fraction: float, figures: dict[str, float]) -> None:
            bar.update(task, description=printable("  ".join((what, *_shown(figures)))), completed=fraction)

        yield show


@contextlib.contextmanager
def _lines() -> Iterator[BenchmarkProgress]:
    """Prints the newest state from time to time, whether or not there is news, so that a log shows that work goes on."""
    begin, done = time.monotonic(), threading.Event()
    newest: list[tuple[str, float, dict[str, float]]] = [("starting", 0.0, {})]

    def show(what: str, fraction: float, figures: dict[str, float]) -> None:
        newest[0] = what, fraction, figures

    def tell() -> None:
        wait = FIRST_LINE
        while not done.wait(wait):
            (what, fraction, figures), minutes = newest[0], divmod(int(time.monotonic() - begin), 60)
            parts = (f"{what}: {100 * fraction:.0f} %", *_shown(figures))
            with contextlib.suppress(OSError):  # nobody reads on
                notes.say(f"[{minutes[0]}:{minutes[1]:02d}] {', '.join(parts)}")
            wait = NEXT_LINE

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield show
    finally:
        done.set()
        teller.join()


def output_file(out: Path) -> tuple[Path, PlainConsole]:
    """Returns what an option for a file to write stands for, and where to say that it was written.

    ``-`` is the standard output, which then holds nothing but the file.
    """
    from rl_postproc.utils.files import STANDARD_OUTPUT, is_standard_output

    path = STANDARD_OUTPUT if str(out) == "-" else out
    return path, notes if is_standard_output(path) else console


def _shown(figures: dict[str, float]) -> list[str]:
    """Returns figures for people: integers are counts, other numbers shares of one."""
    return [
        f"{name.replace('_', ' ')} {f'{value:,}' if isinstance(value, int) else f'{100 * value:.2f} %'}"
        for name, value in figures.items()
    ]


def tell_data(report: DataReport) -> None:
    """Shows what the data hold, beside the results."""
    from rl_postproc.results.data_table import data_table

    notes.print(data_table(report))


def certificate(certified_by: str) -> str:
    """Says which tool confirms a figure, or why none does."""
    reason = certified_by.removeprefix("none: ")
    return f"certified by {certified_by}" if reason == certified_by else f"not certified: {reason}"


def certificates(rows: Sequence[Mapping[str, Any]]) -> str:
    """Says which tool confirms the figures of result rows; where it differs, of which agents."""
    agents: dict[str, dict[str, None]] = {}
    for row in rows:
        agents.setdefault(certificate(row["certified_by"]), {})[row["agent"]] = None
    named = [f"{said} ({', '.join(own)})" if len(agents) > 1 else said for said, own in agents.items()]
    text = "; ".join(named)
    return text[:1].upper() + text[1:]
