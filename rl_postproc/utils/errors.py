"""The one exception type for everything a user can cause and mend, and the one warning for what they should know."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar


class UserError(Exception):
    """Input that cannot be used.

    The message is one sentence that names the place (file and row when it was a file), what was found, and what to
    do. The command line prints it without a traceback and exits with code 2. It stays one line whatever names it quotes.

    Example:
        >>> from rl_postproc import Stack, UserError
        >>> try:
        ...     Stack.from_config([{"stage": "treshold"}])
        ... except UserError as problem:
        ...     print(problem)
        stack[0]: unknown stage 'treshold'; did you mean 'threshold'.
    """

    def __init__(self, sentence: object = ""):
        super().__init__(" ".join(str(sentence).splitlines()))


class UnknownNameError(UserError):
    """A name that no stage, metric, agent, … here has; a plug-in may have it."""


class DataWarning(UserWarning):
    """Something about the data that was guessed, cut, skipped or looks wrong, said while the work goes on.

    The command line prints it as a note; Python programs filter it like any other warning.
    """


_HEARD: ContextVar[list[str] | None] = ContextVar("heard", default=None)


def warn(sentence: str) -> None:
    """Warns with one sentence that counts what was guessed, cut or skipped, and names its place and the remedy."""
    if (heard := _HEARD.get()) is not None:
        heard.append(sentence)
    warnings.warn(sentence, DataWarning, stacklevel=3)


@contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """Yields a list to which the sentences of `warn` are added, beside being warned of."""
    outer, heard = _HEARD.get(), []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)
        if outer is not None:
            outer += heard


@contextmanager
def unwarned() -> Iterator[None]:
    """Keeps data warnings back, for work whose data report says the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


FEW = 20
"""As many known names are listed; of more, only the nearest."""


def quoted(names: Sequence[str], most: int = 3) -> str:
    """Returns the first names in quotes, ``'a', 'b', 'c', …``."""
    return ", ".join(f"'{name}'" for name in names[:most]) + (", …" if len(names) > most else "")


def suggest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Returns ``"; did you mean 'x'"`` for a misspelt name, else the known names, or the nearest of many."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'"
    if len(known) <= FEW:
        return f"; known are {_joined(known)}"
    nearest = _joined(difflib.get_close_matches(name, known, n=3, cutoff=0.0))
    return f"; {len(known)} are known, the nearest of them {nearest}"


def _joined(names: list[str] | tuple[str, ...]) -> str:
    """Returns names between commas; those that hold commas themselves stand in quotation marks."""
    return ", ".join(f"'{name}'" if "," in name else name for name in names)
