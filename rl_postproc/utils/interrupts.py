"""Ctrl-C on the command line: noticed wherever it falls, and told with what is kept and how to go on."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CODE = 130
"""Exit code of a program that was interrupted."""

_START = "nothing half-written was left. The same command starts anew:"
_interrupted, _kept, _more = False, _START, ()


@contextmanager
def noticed() -> Iterator[None]:
    """Remembers an interrupt inside, since what it falls into may turn it into another error, as some imports do.

    Where interrupts are ignored, as in the background jobs of a shell, they stay so.
    """
    global _interrupted
    _interrupted = False
    if_interrupted(_START)

    def interrupt(*_: Any) -> None:
        global _interrupted
        _interrupted = True
        raise KeyboardInterrupt

    try:
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted() -> bool:
    """Returns whether there was an interrupt since `noticed` began."""
    return _interrupted


def if_interrupted(kept: str, *more: str) -> None:
    """Sets what an interrupt from now on is told with.

    Args:
        kept: what is kept and how to go on, before the command that does.
        more: options that this command adds to the one running, where they are not there.
    """
    global _kept, _more
    _kept, _more = kept, more


def told() -> str:
    """Returns what an interrupt is told with: a sentence, and the command on a line of its own."""
    given = sys.argv[1:]
    return f"Stopped; {_kept}\n{shlex.join(['rl-postproc', *given, *(x for x in _more if x not in given)])}"
