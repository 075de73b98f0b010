"""Checked models from plain values, and what a rejected value is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rl_postproc.utils.errors import UserError, suggest

Model = TypeVar("Model", bound=BaseModel)


def first_problem(error: ValidationError, model: type) -> str:
    """Says the first problem of a rejected config in one sentence, with the key and a remedy."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, last = problem["loc"]
        known = _fields_at(model, parents)
        return f"unknown key '{key}'{suggest(str(last), known) if known else ''}."
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    found = repr(problem["input"])
    shown = f" is {found}" if len(found) <= 100 else ""
    return f"'{key}'{shown}: {message}." if key else f"{message}."


def _fields_at(model: type, path: Sequence[str | int]) -> list[str]:
    """Returns the keys of the config model that a path of keys leads to, or none where it leads elsewhere."""
    for key in path:
        field = getattr(model, "model_fields", {}).get(key)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), object)
    return list(getattr(model, "model_fields", {}))


def build(
    model: type[Model],
    values: dict[str, Any],
    where: str,
    context: dict[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
) -> Model:
    """Checks values against a config model.

    Args:
        model: the model.
        values: what to check.
        where: the place they came from, such as a config file.
        context: for the model's validators.
        options: by dotted key, the option of the command line that replaced the value there.

    Raises:
        UserError: the first problem, with its key and the place it came from.
    """
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        place = _place(error.errors(include_url=False)[0]["loc"], where, options or {})
        raise UserError(f"{place}: {first_problem(error, model)}") from error


def _place(key: Sequence[str | int], where: str, options: Mapping[str, str]) -> str:
    """Returns the option that gave the value of a key, else where the rest came from, with options that may matter."""
    parts = [str(part) for part in key]
    for option, text in reversed(list(options.items())):
        if parts[: option.count(".") + 1] == option.split("."):
            return text
    # A problem of several keys together has a key above theirs, or none.
    keys = {option: option.split(".") for option in options}
    near = [options[o] for o, key in keys.items() if key[: len(parts)] == parts and (parts or key[0] != "data")]
    return f"{where} with {', '.join(near)}" if near else where
