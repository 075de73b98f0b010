"""Plug-ins: modules of other packages and files of the user's own, imported so that their classes are known.

Only what the user names is run: a plug-in is named on the command line, in a config, or by the entry point of a package
that is installed. Files that come from others, such as a saved post-processor, never name one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from rl_postproc.utils.errors import UserError

GROUP = "rl_postproc.plugins"
"""Group of the entry points of installed packages; each names a module."""

_installed_loaded = False


def load_installed() -> None:
    """Imports the modules that installed packages offer, once; one that fails is left out with a warning."""
    global _installed_loaded
    if _installed_loaded:
        return
    _installed_loaded = True
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # a plug-in can raise anything, and must not take the rest along
            package = point.dist.name if point.dist else "an installed package"
            warnings.warn(
                f"The plug-in '{point.name}' of {package} is left out: importing '{point.value}' failed "
                f"({type(error).__name__}: {error}); mend it or uninstall {package}.",
                RuntimeWarning,
                stacklevel=2,
            )


def load_plugins(names: Iterable[str], base: Path | None = None) -> None:
    """Imports plug-ins by module name or file.

    Args:
        names: modules such as ``my_package.stages``, or Python files such as ``my_stage.py``.
        base: folder from which files are looked for, and modules first; the working folder when None.

    Raises:
        UserError: one of them is not found or fails to import.
    """
    for name in (full_name(name, base) for name in names):
        try:
            import_named(name)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"The plug-in '{name}' cannot be imported ({type(error).__name__}: {error}); mend it or leave it out."
            ) from error


def full_name(name: str, base: Path | None = None) -> str:
    """Returns the full path of a plug-in that is a file, given with or without its suffix, and a module's name as it is."""
    path = Path(base or ".") / (name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
    return str(path.resolve()) if name.endswith(".py") or path.is_file() else name


def import_named(name: str) -> ModuleType:
    """Imports a module by its name or, under a name of its own and once, a Python file by its full path.

    Raises:
        UserError: there is no such file.
        Exception: whatever importing it raises.
    """
    return _import_file(Path(name)) if Path(name).is_absolute() else importlib.import_module(name)


def _import_file(file: Path) -> ModuleType:
    """Imports a file under a name of its own, once."""
    if not file.is_file():
        raise UserError(f"There is no Python file '{file}'; give its path, or the name of a module.")
    name = f"rl_postproc_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
