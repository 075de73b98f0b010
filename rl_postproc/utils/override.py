"""Settings of the command line, ``key.subkey=value``, put into the values of a config."""

from __future__ import annotations

import copy
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.plain_values import parse_yaml, shortened
from rl_postproc.utils.registry import Registered

TOP = "the config"


def override(config: dict[str, Any], settings: list[str], model: type[BaseModel] | None = None) -> dict[str, Any]:
    """Returns the config with ``key.subkey=value`` settings applied; list items are addressed by number, from 0.

    What the config leaves to its defaults is there to be addressed too: lists, the parameters of stages, and settings of
    what the config has by name alone, as in ``agents: [ppo]``.

    Args:
        config: plain values.
        settings: such as ``stack.1.threshold=0.3``; values are YAML.
        model: what the config is going to be, which knows its defaults.

    Raises:
        UserError: a setting without ``=``, a path through a plain value, or an item that does not exist.
    """
    config = copy.deepcopy(config)
    for setting in settings:
        path, equals, text = setting.partition("=")
        *parents, last = path.split(".")
        if not equals or "" in (*parents, last):
            raise UserError(f"--set takes key.subkey=value, but got '{setting}'.")
        try:
            value = parse_yaml(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {path}: '{shortened(text)}' is not a YAML value.") from error
        place = _Place(config, model, TOP, path)
        for key in parents:
            place = place.at(key)
        place.set(last, value)
    return config


class _Place:
    """A list or mapping on the way along a path."""

    def __init__(self, values: Any, model: type | None, name: str, path: str):
        self._values, self._name, self._path = values, name, path
        named = _named_class(values)
        self._model = named if named and issubclass(named, model or named) else model

    def at(self, key: str) -> _Place:
        """Returns the list or mapping at a key, with its default where there is none."""
        value = self._get(key)
        # A list's items are what the list is called after.
        noun = _noun(self._name if isinstance(self._values, list) else key)
        if isinstance(value, str) and noun:
            value = {noun: value}
        if value is None:
            value = _default(self._model, key)
        if not isinstance(value, list | dict):
            raise self._error(f"'{key}' is {value!r} and has no keys")
        self._put(key, value)
        model = self._model if isinstance(self._values, list) else _field_model(self._model, key)
        return _Place(value, model, key if isinstance(self._values, dict) else f"{self._name}.{key}", self._path)

    def set(self, key: str, value: Any) -> None:
        """Puts a value at a key."""
        self._get(key)
        self._put(key, value)

    def _get(self, key: str) -> Any:
        if isinstance(self._values, list):
            return self._values[self._index(key)]
        if not self._values and key.isdecimal() and self._name != TOP:
            raise self._error(f"'{self._name}' is no list yet; give all of it, as in {self._name}=[…]")
        return self._values.get(key)

    def _put(self, key: str, value: Any) -> None:
        self._values[self._index(key) if isinstance(self._values, list) else key] = value

    def _index(self, key: str) -> int:
        n = len(self._values)
        try:
            index = int(key)
            if -n <= index < n:
                return index
        except ValueError:
            pass
        items = f"are numbered 0 to {n - 1}" if n else "are none"
        raise self._error(f"'{self._name}' is a list whose items {items}, and '{key}' is not one of them")

    def _error(self, reason: str) -> UserError:
        return UserError(f"--set {self._path}: there is no such place in the config: {reason}.")


def _default(model: type | None, key: str) -> Any:
    """Returns what a model has at a key by default, as plain values, where that is a list or the settings of something."""
    field = getattr(model, "model_fields", {}).get(key)
    default = None if field is None else field.get_default(call_default_factory=True)
    if default is PydanticUndefined or isinstance(default, Registered) or not isinstance(
        default, list | tuple | dict | BaseModel
    ):  # fmt: skip
        return {}
    return to_jsonable_python(default)


def _field_model(model: type | None, key: str) -> type | None:
    """Returns the class of settings that a model has at a key, if it is one."""
    field = getattr(model, "model_fields", {}).get(key)
    kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if hasattr(kind, "model_fields")), None)


def _noun(name: str) -> str | None:
    """Returns what a key names one or several of: ``agent`` for ``agents``, nothing for ``folds``."""
    nouns = {kind.noun for kind in Registered.__subclasses__()}
    return next((noun for noun in nouns if name in (noun, f"{noun}s")), None)


def _named_class(values: Any) -> type | None:
    """Returns the class of what a mapping names and sets, as in ``{agent: ppo, visits: 8}``."""
    for kind in Registered.__subclasses__():
        name = values.get(kind.noun) if isinstance(values, dict) else None
        if isinstance(name, str):
            return kind.types().get(name)
    return None
