"""Adapters to other reinforcement-learning libraries, one module each; each library is an extra of this package."""

from __future__ import annotations

from rl_postproc.utils.errors import UserError


def missing(library: str, extra: str) -> UserError:
    """Returns the error for a library that is not installed, naming the extra that brings it."""
    return UserError(f"This adapter needs {library}, which is not installed; run: pip install 'rl-postproc[{extra}]'.")
