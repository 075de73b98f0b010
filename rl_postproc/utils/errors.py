"""The one exception type for everything a user can cause and mend, and the one warning for what they should know."""

from __future__ import annotations

import warnings
from collections.abc import Sequence


class UserError(Exception):
    """Input that cannot be used.

    The message is one sentence that names the place (file and row when it was a file), what was found, and what to
    do. The command line prints it without a traceback and exits with code 2.
    """


class UnknownNameError(UserError):
    """A name that no stage, metric, agent, … here has; a plug-in may have it."""


class DataWarning(UserWarning):
    """Something about the data that was guessed, cut, skipped or looks wrong, said while the work goes on.

    The command line prints it as a note; Python programs filter it like any other warning.
    """


def warn(sentence: str) -> None:
    """Warns with one sentence that counts what was guessed, cut or skipped, and names its place and the remedy."""
    warnings.warn(sentence, DataWarning, stacklevel=3)


def quoted(names: Sequence[str], most: int = 3) -> str:
    """Returns the first names in quotes, ``'a', 'b', 'c', …``."""
    return ", ".join(f"'{name}'" for name in names[:most]) + (", …" if len(names) > most else "")


def suggest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Returns ``"; did you mean 'x'"`` for a misspelt name, or the list of known names."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'" if close else f"; known are {', '.join(known)}"
