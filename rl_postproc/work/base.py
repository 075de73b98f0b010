"""What works on tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Report = Callable[[float, dict[str, float]], None]
"""Called by a task with the share of its work that is done, and figures."""
Worker = Callable[[Item, Report], Result]
"""Does a task. What it is and does follows from the task alone, so that it makes no difference which worker gets it."""
Watch = Callable[[Item, float, dict[str, float]], None]
"""Told how far a task is."""

ATTEMPTS = 3
"""How often a task is begun before its workers' deaths end all work."""


def unheard(*_: Any) -> None:
    """Tells nobody."""


class Engine(ABC):
    """Where tasks are worked on."""

    is_apart: ClassVar[bool]
    """Whether workers are other processes than this one."""

    @abstractmethod
    def run(
        self, make_worker: Callable[[], Worker[Item, Result]], items: Iterable[Item], watch: Watch[Item] = unheard
    ) -> Iterator[tuple[Item, Result]]:
        """Works on every item, and yields each with its result as they finish.

        Items are begun in their order, and taken when there is room for them. Whatever ends the loop ends the workers.

        Args:
            make_worker: makes the worker, once in each process. Where workers are apart it is pickled, and takes along
                what all tasks share.
            items: what to work on; pickled with their results.
            watch: told how far each item is that is being worked on.

        Raises:
            UserError: what the worker raised, or workers were lost with the same item `ATTEMPTS` times.
        """


def in_order(
    engine: Engine, make_worker: Callable[[], Worker[Item, Result]], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Works on every item, and yields each with its result in the order of the items."""
    waiting: dict[int, tuple[Item, Result]] = {}
    n = 0
    for (number, item), result in engine.run(_Numbered(make_worker), enumerate(items)):
        waiting[number] = item, result
        while n in waiting:
            yield waiting.pop(n)
            n += 1


class _Numbered:
    """Makes a worker whose items are numbered."""

    def __init__(self, make_worker: Callable[[], Worker]):
        self._make_worker = make_worker

    def __call__(self) -> Worker:
        worker = self._make_worker()
        return lambda numbered, report: worker(numbered[1], report)
