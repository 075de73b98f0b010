"""Plain values (mappings, lists, numbers, texts) from the YAML and JSON of users and of others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

_MOST_LEVELS = 64
"""Levels of lists and mappings within each other that any file of ours may have."""


_MOST_VALUES = 1_000_000
"""Values that a YAML text may stand for, those behind references counted wherever they are referred to."""


def parse_yaml(text: str) -> Any:
    """Returns the values of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML, has a number or date that cannot be, lists within lists without an end, or
            references to references that stand for more values than any file of ours has.
    """
    try:
        value = yaml.safe_load(text)
    except (RecursionError, ValueError) as error:
        raise yaml.YAMLError(_reason(error)) from error
    if _is_nested_too_deeply(value):
        raise yaml.YAMLError(_reason(RecursionError()))
    if _n_values(value, {}) > _MOST_VALUES:
        raise yaml.YAMLError(f"its references stand for more than {_MOST_VALUES} values")
    return value


def parse_json(text: str) -> Any:
    """Returns the values of a JSON text.

    Raises:
        ValueError: it is not JSON, has a number that cannot be, or lists within lists without an end.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(_reason(error)) from error
    if _is_nested_too_deeply(value):
        raise ValueError(_reason(RecursionError()))
    return value


def shortened(text: str) -> str:
    """Returns as much of a text as fits into a sentence."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _is_nested_too_deeply(value: Any) -> bool:
    """Returns whether a value has too many levels; one that holds itself, as YAML's references allow, has no last one."""
    level = _containers([value])
    for _ in range(_MOST_LEVELS):
        level = _containers(item for one in level for item in (one.values() if isinstance(one, dict) else one))
        if not level:
            return False
    return True


def _n_values(value: Any, known: dict[int, int]) -> int:
    """Returns how many values there are, written out; ``known`` keeps the numbers of lists and mappings by their ids."""
    if not isinstance(value, list | dict):
        return 1
    if id(value) not in known:
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_n_values(item, known) for item in items)
    return known[id(value)]


def _containers(items: Iterable[Any]) -> list[Any]:
    """Returns the lists and mappings among values; what several references share is there once."""
    return list({id(item): item for item in items if isinstance(item, list | dict)}.values())
