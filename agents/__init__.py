"""What learns or searches post-processing, and the command line that runs it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Agent, FitResult, make_agent

_LAZY = {"Agent": "base", "FitResult": "base", "make_agent": "base"}

__all__ = ["Agent", "FitResult", "make_agent"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value
