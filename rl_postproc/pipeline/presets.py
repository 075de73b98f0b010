"""Stacks by name: those that come with the package, in ``configs/stacks``, and those of YAML files like them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.plain_values import parse_yaml


class StackPreset(BaseModel):
    """A stack with its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field("", description="what it is")
    source: str = Field("", description="where its values come from")
    stack: list[dict[str, Any]] = Field(min_length=1, description="its stages")


def preset_names() -> list[str]:
    """Returns the names of the stacks that come with the package, in alphabetical order."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_preset(name: str, base: Path | None = None) -> StackPreset:
    """Reads a stack that comes with the package, or a YAML file with the key ``stack``.

    Args:
        name: name of a packaged one, or a path that ends in ``.yaml``.
        base: folder from which a relative path starts; the working folder when None.

    Raises:
        UserError: there is none of that name, or the file holds no stack.
    """
    is_file = name.endswith((".yaml", ".yml"))
    path = (base or Path()) / name if is_file else _folder() / f"{name}.yaml"
    if not is_file and name not in preset_names():
        raise UserError(f"There is no stack '{name}'{suggest(name, preset_names())}; a file of your own ends in .yaml.")
    try:
        found = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the stack '{path}': {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"The stack '{path}' is not valid YAML: {getattr(error, 'problem', error)}.") from error
    if isinstance(found, list):
        found = {"stack": found}
    return build(StackPreset, found if isinstance(found, dict) else {}, str(path))


def _folder() -> Path:
    return Path(str(files("rl_postproc.configs"))) / "stacks"
