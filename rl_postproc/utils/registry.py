"""The one registry: everything that configs name, by class.

Stages, metrics, objectives, formats, agents, rewards and observations are classes under a base that derives from
`Registered`. A class is known by the value of its key field (``stage``, ``metric``, …) as soon as its module is imported;
its settings are its other fields. The modules are those of the base's own rooms, those of installed packages with an
entry point in the group ``rl_postproc.plugins``, and the plug-ins that a config or the command line names
(`rl_postproc.utils.plugins`).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from typing_extensions import Self

from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UnknownNameError, UserError, suggest
from rl_postproc.utils.plugins import load_installed


class Registered(BaseModel):
    """Base of what configs name. A subclass that is a noun sets `noun` and `rooms`; its own subclasses set the key field.

    Example:
        ``class Threshold(Stage): stage: Literal["threshold"] = "threshold"`` is known as ``{"stage": "threshold"}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    noun: ClassVar[str]
    """What these classes are, and the key by which configs name one."""
    rooms: ClassVar[tuple[str, ...]]
    """Packages whose modules hold them; every module there is imported."""

    @property
    def name(self) -> str:
        """The name by which configs know this class."""
        return str(getattr(self, self.noun))

    @classmethod
    def types(cls) -> dict[str, type[Self]]:
        """Returns every class of this noun by name, in alphabetical order, plug-ins included.

        A class that keeps the name of the class it extends does not take its place.

        Raises:
            UserError: two classes, neither of which extends the other, have the same name.
        """
        for room in cls.rooms:
            _import_room(room)
        load_installed()
        if cls not in _known:
            _known[cls] = cls._find()
        return dict(_known[cls])

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Has the classes of all nouns looked for anew, since there is one more."""
        super().__pydantic_init_subclass__(**kwargs)
        _known.clear()

    @classmethod
    def _find(cls) -> dict[str, type[Self]]:
        """Looks for the classes that `types` returns."""
        found: dict[str, type[Self]] = {}
        pending: list[type[Self]] = [cls]
        while pending:
            kind = pending.pop(0)
            pending += kind.__subclasses__()
            field = kind.model_fields.get(cls.noun)
            name = field.default if field else None
            if not isinstance(name, str) or inspect.isabstract(kind):
                continue
            other = found.setdefault(name, kind)
            if not issubclass(kind, other) and _place(kind) != _place(other):
                raise UserError(f"Two {cls.noun}s are called '{name}', {_place(other)} and {_place(kind)}; "
                                "rename one of them.")  # fmt: skip
            if not issubclass(kind, other):
                found[name] = kind  # its module has been imported anew
        return dict(sorted(found.items()))

    @classmethod
    def make(cls, settings: str | dict[str, Any], where: str = "") -> Self:
        """Builds one from its name, or from a mapping with its name and its settings.

        Args:
            settings: such as ``"grid_search"`` or ``{"agent": "grid_search", "scope": "global"}``.
            where: the place to name in messages.

        Raises:
            UserError: an unknown name or setting.
        """
        values = settings if isinstance(settings, dict) else {cls.noun: settings}
        name, kinds, place = values.get(cls.noun), cls.types(), f"{where}: " if where else ""
        if not isinstance(name, str) or name not in kinds:
            raise UnknownNameError(f"{place}unknown {cls.noun} '{name}'{suggest(str(name), list(kinds))}.")
        return build(kinds[name], values, f"{place}{cls.noun} '{name}'")

    @classmethod
    def summary(cls) -> str:
        """Returns the first sentence of the class's docstring."""
        text = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
        return re.split(r"(?<!et al)\. ", text)[0].rstrip(".")


_imported: set[str] = set()
_known: dict[type[Registered], dict[str, Any]] = {}
"""The classes of each noun by name, until another class comes."""


def _import_room(room: str) -> None:
    """Imports every module of a package, or the one module of that name."""
    if room in _imported:
        return
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{room}."):
        importlib.import_module(module.name)
    _imported.add(room)


def _place(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
