"""Work in processes: the same results in the same order, however many there are."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType
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
        with _interrupts_held():
            results = pool.map(_work, items)  # begins the processes
        yield from results
    except BrokenProcessPool as error:
        raise UserError(f"One of {n_processes} processes was killed, perhaps for want of memory; use fewer.") from error
    finally:
        # Not waited for where something failed: what they are at is of no use any more.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Holds interrupts back, in this process until the end of the block and for good in those that begin inside.

    A terminal interrupts all of them: the first process notices, and ends the others.
    """
    held: list[tuple[int, FrameType | None]] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *given: held.append(given)) if main else None
    # Other threads take a signal that this one blocks, but what begins here blocks it as well.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if main:
            signal.signal(signal.SIGINT, before)
            if held and callable(before):
                before(*held[0])


def _begin(make_worker: Callable[[], Callable[[Any], Any]]) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = make_worker()


def _work(item: Any) -> Any:
    assert _worker is not None
    return _worker(item)
