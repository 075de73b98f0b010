"""Work on parts of the data in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[tuple[Item, Result]]:
    """Applies a function to every item, on as many threads as torch may use, and yields the results in order.

    Each thread does its torch operations alone. Operations on a few hundred kilobytes that are split over threads meet
    at a barrier every few microseconds, and wait there for whole time slices when another process holds a core.

    Args:
        work: a function that leaves shared tensors alone, or writes to parts that belong to its item.
        items: what to work on; taken one by one, so that few results wait.
        device: where the work is done; a GPU gets it from this thread alone.
    """
    n_threads = torch.get_num_threads()
    if device.type != "cpu" or n_threads == 1:
        yield from ((item, work(item)) for item in items)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    torch.set_num_threads(1)  # what the new threads start with
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="rl_postproc")
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > n_threads:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)
