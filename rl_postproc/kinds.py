"""Stages, metrics and agents by their names in configs."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

Kind = TypeVar("Kind", bound=BaseModel)


def kinds_by_name(base: type[Kind], key: str) -> dict[str, type[Kind]]:
    """Returns all classes under a base by the default of the field that names them in configs.

    Classes of importing programs are among them, as soon as they are defined. One that keeps the name of the class it
    extends does not take its place.
    """
    pending: list[type[Kind]] = [base]
    found: dict[str, type[Kind]] = {}
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        name = kind.model_fields[key].default
        if isinstance(name, str):
            found.setdefault(name, kind)
    return found
