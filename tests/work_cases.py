"""Workers for the tests of engines, and a plug-in whose agents wait, die and fail; all found by name in other processes."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from rl_postproc.utils.errors import UserError
from rl_postproc.work import Report


class Worker:
    """Squares numbers, and notes in a folder what it begins."""

    def __init__(self, folder: Path, dies: dict[int, int], seconds: float):
        self._folder, self._dies, self._seconds = folder, dies, seconds

    def __call__(self, item: int, report: Report) -> tuple[int, int]:
        begun = len(list(self._folder.glob(f"{item}_*")))
        (self._folder / f"{item}_{begun}").write_text(str(os.getpid()))
        report(0.5, {})
        time.sleep(self._seconds)
        if item < 0:
            raise UserError(f"{item} is negative.")
        if begun < self._dies.get(item, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return item**2, os.getpid()


def make(folder: Path, dies: dict[int, int] | None = None, seconds: float = 0.0) -> Callable[[], Worker]:
    """Returns what makes workers.

    Args:
        folder: for notes.
        dies: how often the process dies over an item.
        seconds: that each item takes.
    """
    return functools.partial(Worker, folder, dies or {}, seconds)


def begun(folder: Path) -> dict[int, int]:
    """Returns how often each item was begun."""
    items = [int(path.name.split("_")[0]) for path in folder.iterdir()]
    return {item: items.count(item) for item in sorted(set(items))}


PLUGIN = str(Path(__file__).with_name("waiting_agent.py"))
"""A plug-in whose agent notes in a folder what it begins, waits, and dies or fails where a file there says so."""


def notes(folder: Path) -> dict[str, int]:
    """Returns how often each fit of the plug-in was begun."""
    names = [path.name.rpartition("_")[0] for path in folder.glob("*_*_*")]
    return {name: names.count(name) for name in sorted(set(names))}
