"""Tasks on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from rl_postproc.utils.code_version import code_version
from rl_postproc.utils.errors import UserError

from .base import ATTEMPTS, Engine, Item, Result, Watch, Worker, unheard

TICK = 0.5
"""Seconds between two reports of a task, and between two looks at them."""
PATIENCE = 10.0
"""Seconds in which the address must answer."""
LOCAL = "local"
_LONGEST = 200
"""Characters of a reason that are shown."""


class RayCluster(Engine):
    """Works on the nodes of a Ray cluster, one task a core.

    What all tasks share lies in Ray's object store, once a node. Ray begins the task of a worker or node that is lost
    again elsewhere.
    """

    is_apart: ClassVar[bool] = True

    def __init__(self, address: str, threads: int = 1):
        """Takes the cluster.

        Args:
            address: ``ray://host:10001`` from outside the cluster, ``host:6379`` on one of its nodes, ``auto`` for the one
                that this machine belongs to, ``local`` for a new one of this machine's cores.
            threads: cores of each task.

        Raises:
            UserError: it is no address.
        """
        if not re.fullmatch(r"local|auto|(ray://)?[^/:\s]+:\d{1,5}", address):
            raise UserError(f"--cluster takes the address of a Ray cluster, ray://host:10001 or host:6379, or auto or local, "
                            f"and not '{address}'.")  # fmt: skip
        self.address, self.threads = address, threads

    def run(
        self, make_worker: Callable[[], Worker[Item, Result]], items: Iterable[Item], watch: Watch[Item] = unheard
    ) -> Iterator[tuple[Item, Result]]:
        """See `Engine.run`."""
        with connected(self.address) as ray:
            shared = ray.put(pickle.dumps(make_worker))
            board = ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
            task = ray.remote(num_cpus=self.threads, max_retries=ATTEMPTS - 1)(_work)
            begun: dict[Any, tuple[int, Item]] = {}
            left, asked = enumerate(items), board.take.remote()
            try:
                while True:
                    # More than it can do at once, so that a cluster that grows with its load does.
                    room = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)) // self.threads)
                    for number, item in _first(left, room - len(begun)):
                        begun[task.remote([shared], number, item, board, code_version())] = number, item
                    if not begun:
                        return
                    done, _ = ray.wait(list(begun), timeout=TICK)
                    for reference in done:
                        _, item = begun.pop(reference)
                        yield item, _result(ray, reference)
                    if ray.wait([asked], timeout=0)[0]:
                        with contextlib.suppress(ray.exceptions.RayError):  # its node is lost, and it begins elsewhere
                            names = dict(begun.values())
                            for number, share, figures in ray.get(asked):
                                if number in names:
                                    watch(names[number], share, figures)
                        asked = board.take.remote()
            finally:
                for reference in begun:
                    ray.cancel(reference, force=True)


def _first(items: Iterator[Any], most: int) -> Iterator[Any]:
    """Yields the next items, as many as there is room for."""
    for _ in range(most):
        try:
            yield next(items)
        except StopIteration:
            return


def _result(ray: Any, reference: Any) -> Any:
    """Returns what a task gave.

    Raises:
        UserError: what it raised, or its workers were lost too often.
    """
    try:
        result = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise  # a mistake, with the traceback of the worker
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0][:_LONGEST].rstrip(".:")
        raise UserError(f"A worker of the cluster was lost {ATTEMPTS} times over the same task ({reason}); give the workers "
                        "more memory, or less data.") from error  # fmt: skip
    if isinstance(result, UserError):
        raise result
    return result


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yields Ray, connected to a cluster until the end of the block; a connection that is there already is used and stays.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UserError(
            "Ray is not installed, which --cluster needs; run `pip install 'rl-postproc[ray]'`, or give --jobs."
        ) from error
    if ray.is_initialized():
        yield ray
        return
    if address not in (LOCAL, "auto"):
        _require_answer(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR,
                 **({"include_dashboard": False} if address == LOCAL else {}))  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, AssertionError) as error:
        reason = (" ".join(str(error).split()) or type(error).__name__)[:_LONGEST].rstrip(".")
        raise UserError(f"There is no Ray cluster to work on at '{address}' ({reason}); start one with `ray start --head`, "
                        "or give --cluster local.") from error  # fmt: skip
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Checks that something listens, for which Ray itself would wait for minutes.

    Raises:
        UserError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"Nothing answers at '{address}' ({reason}); check the address, and that the cluster runs."
        ) from error


class _Board:
    """Where tasks say how far they are; an actor of the cluster."""

    def __init__(self) -> None:
        self._newest: dict[int, tuple[int, float, dict[str, float]]] = {}

    def put(self, number: int, share: float, figures: dict[str, float]) -> None:
        self._newest[number] = number, share, figures

    def take(self) -> list[tuple[int, float, dict[str, float]]]:
        found, self._newest = list(self._newest.values()), {}
        return found


def _work(shared: list[Any], number: int, item: Any, board: Any, version: str) -> Any:
    """Does a task on a node; what a user can mend is returned, since Ray would wrap it."""
    if version != code_version():
        return UserError(f"The cluster's workers run other code of rl-postproc ({code_version()}) than this machine "
                         f"({version}); install the same there.")  # fmt: skip
    last = 0.0

    def report(share: float, figures: dict[str, float]) -> None:
        nonlocal last
        if time.monotonic() - last > TICK:
            last = time.monotonic()
            board.put.remote(number, share, figures)

    report(0.0, {})
    try:
        return _worker_of(shared[0])(item, report)
    except UserError as error:
        return error


_workers: dict[str, Worker[Any, Any]] = {}
"""The worker of this process, by the name of what it was made of."""


def _worker_of(reference: Any) -> Worker[Any, Any]:
    """Returns the worker of this process, made when it gets its first task."""
    import ray

    name = reference.hex()
    if name not in _workers:
        _workers.clear()
        _workers[name] = pickle.loads(ray.get(reference))()
    return _workers[name]
