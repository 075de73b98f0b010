"""One task after another, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from .base import Engine, Item, Result, Watch, Worker, unheard


class Serial(Engine):
    """Works here."""

    is_apart: ClassVar[bool] = False

    def run(
        self, make_worker: Callable[[], Worker[Item, Result]], items: Iterable[Item], watch: Watch[Item] = unheard
    ) -> Iterator[tuple[Item, Result]]:
        """See `Engine.run`."""
        worker: Worker[Item, Result] | None = None
        for item in items:
            worker = worker or make_worker()

            def report(share: float, figures: dict[str, float], item: Item = item) -> None:
                watch(item, share, figures)

            report(0.0, {})
            yield item, worker(item, report)
