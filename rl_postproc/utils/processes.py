"""Work in processes: the same results in the same order, however many there are."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from rl_postproc.utils.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_worker: Callable[[Any], Any] | None = None


def in_processes(
    make_worker: Callable[[], Callable[[Item], Result]], items: Sequence[Item], n_processes: int
) -> Iterator[Result]:
    """Applies a function to every item and yields the results in order.

    Processes begin anew, and import what they need; an interrupt ends them at once.

    Args:
        make_worker: makes the function, once in each process; it must be found by name in its module.
        items: what to work on.
        n_processes: number of processes; with one, or for one item, all is done in this one.

    Raises:
        UserError: what the function raised, or a process was killed.
    """
    n_processes = min(n_processes, len(items))
    if n_processes <= 1:
        if items:
            yield from map(make_worker(), items)
        return
    pool = ProcessPoolExecutor(n_processes, multiprocessing.get_context("spawn"), _begin, (make_worker,))
    try:
        yield from pool.map(_work, items)
    except BrokenProcessPool as error:
        raise UserError(f"One of {n_processes} processes was killed, perhaps for want of memory; use fewer.") from error
    finally:
        # Not waited for where something failed: what they are at is of no use any more.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)


def _begin(make_worker: Callable[[], Callable[[Any], Any]]) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process notices, and ends the others
    _worker = make_worker()


def _work(item: Any) -> Any:
    assert _worker is not None
    return _worker(item)
