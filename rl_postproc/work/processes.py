"""Tasks in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar

from rl_postproc.utils.errors import UserError

from .base import ATTEMPTS, Engine, Item, Result, Watch, Worker, unheard

TICK = 0.2
"""Seconds between two looks at how far the tasks are."""


@dataclass
class _Begun:
    """A task that a process has got, and how often it was begun."""

    item: Any
    slot: int = 0
    attempt: int = 0


_NONE: Any = object()


class Processes(Engine):
    """Works in processes that begin anew and import what they need; an interrupt, or the end of this one, ends them at once.

    Each is a pool of its own, so that the death of one loses its own task alone. The task is begun again, in a new process.
    """

    is_apart: ClassVar[bool] = True

    def __init__(self, n: int):
        """Takes the number of processes."""
        self.n = n

    def run(
        self, make_worker: Callable[[], Worker[Item, Result]], items: Iterable[Item], watch: Watch[Item] = unheard
    ) -> Iterator[tuple[Item, Result]]:
        """See `Engine.run`."""
        context = multiprocessing.get_context("spawn")
        shared, shares = pickle.dumps(make_worker), context.RawArray("d", self.n)
        pools: list[ProcessPoolExecutor | None] = [None] * self.n
        begun: dict[Future[Result], _Begun] = {}
        lost: deque[_Begun] = deque()
        left, free = iter(items), deque(range(self.n))

        def submitted(task: _Begun) -> Future[Result]:
            pool = pools[task.slot]
            if pool is not None:
                with suppress(BrokenProcessPool):  # its process was killed between two tasks
                    return pool.submit(_work, task.item)
            pool = pools[task.slot] = ProcessPoolExecutor(1, context, _begin, (shared, shares, task.slot))
            return pool.submit(_work, task.item)

        def begin_more() -> None:
            while free:
                task = lost.popleft() if lost else _Begun(next(left, _NONE))
                if task.item is _NONE:
                    return
                slot = free.popleft()
                task.slot, task.attempt, shares[slot] = slot, task.attempt + 1, 0.0
                with _interrupts_held():  # the process begins with its first task
                    begun[submitted(task)] = task

        try:
            begin_more()
            while begun:
                done, _ = wait(begun, TICK, FIRST_COMPLETED)
                finished = []
                for future in done:
                    task = begun.pop(future)
                    try:
                        finished.append((task.item, future.result()))
                    except BrokenProcessPool as error:
                        pools[task.slot] = None
                        if task.attempt == ATTEMPTS:
                            raise UserError(f"A process was killed {ATTEMPTS} times over the same task, perhaps for want of "
                                            "memory; give a smaller --jobs, or less data.") from error  # fmt: skip
                        lost.append(task)
                    free.append(task.slot)
                begin_more()  # ahead of what is done with the results
                yield from finished
                for task in begun.values():
                    watch(task.item, shares[task.slot], {})
        finally:
            # Not waited for where something failed: what they are at is of no use any more.
            left_over = [pool for pool in pools if pool is not None]
            for pool in left_over:
                for process in list((pool._processes or {}).values()):
                    process.terminate()
            for pool in left_over:
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


_worker: Worker[Any, Any] | bytes = b""
"""Of this process: pickled until the first task needs it, so that what it raises is told like all else."""
_report: Callable[..., None] = unheard


def _begin(shared: bytes, shares: Any, slot: int) -> None:
    global _worker, _report
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = shared

    def report(share: float, figures: dict[str, float]) -> None:
        shares[slot] = share

    _report = report


def _end_with_parent() -> None:
    """Ends this process with the one that began it, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(item: Any) -> Any:
    global _worker
    if isinstance(_worker, bytes):
        _worker = pickle.loads(_worker)()
    assert callable(_worker)
    return _worker(item, _report)
