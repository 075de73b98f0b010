"""The 527 classes of AudioSet, and target classes made of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field

from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.plain_values import parse_yaml

SHIPPED = ("desed",)
"""Mappings that come with the package, by name."""

Targets: TypeAlias = "str | Path | Sequence[str] | Mapping[str, Any] | None"
"""How target classes are given: a shipped mapping's name, a YAML file, AudioSet names, a mapping, or None for all 527."""


class TargetClass(BaseModel):
    """What a target class is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: list[str] = Field(min_length=1, description="AudioSet classes")
    by: Literal["maximum", "noisy_or"] = Field(
        "maximum", description="the highest of their probabilities, or that of at least one, were they independent"
    )


@cache
def audioset_classes() -> tuple[str, ...]:
    """Returns the names of AudioSet's classes, in the order of the networks' outputs.

    They are the display names in AudioSet's ``class_labels_indices.csv`` (Gemmeke et al., 2017; CC BY 4.0), which lies beside
    this file as it was published.

    Example:
        >>> names = audioset_classes()
        >>> len(names), names[0], names[74]
        (527, 'Speech', 'Dog')
    """
    text = (files("rl_postproc.sources.panns") / "class_labels_indices.csv").read_text(encoding="utf-8")
    return tuple(row["display_name"] for row in csv.DictReader(text.splitlines()))


def target_classes(targets: Targets) -> dict[str, TargetClass]:
    """Returns what each target class is made of.

    Args:
        targets: the name of a shipped mapping (``desed``); a YAML file, or a mapping, of AudioSet names by target class
            (``Dog: [Dog, Bark]`` or ``Dog: {of: [Dog, Bark], by: noisy_or}``); AudioSet names; or None for all 527.

    Raises:
        UserError: the file cannot be used, or names no AudioSet class.
    """
    where, given = "The mapping of classes", audioset_classes() if targets is None else targets
    if isinstance(given, str | Path):
        path = Path(str(files("rl_postproc.sources.panns"))) / f"{given}.yaml" if given in SHIPPED else Path(given)
        where, given = f"'{path}'", _read(path)
    parts = given if isinstance(given, Mapping) else {name: [name] for name in given}
    found = {str(name): _target(value, str(name), where) for name, value in parts.items()}
    if not found:
        raise UserError(f"{where} names no class; give AudioSet names by target class.")
    for name, target in found.items():
        if not name.strip() or any(c in name for c in "\t\r\n"):
            raise UserError(f"{where}: the target class {name!r} cannot head a column; give it another name.")
        for audioset in target.of:
            if audioset not in audioset_classes():
                raise UserError(f"{where}: '{name}' is made of '{audioset}', which is no AudioSet class"
                                f"{suggest(audioset, audioset_classes())}.")  # fmt: skip
    return found


class Mixer:
    """Makes probabilities of target classes of those of AudioSet's."""

    def __init__(self, targets: Mapping[str, TargetClass], device: torch.device | str = "cpu"):
        index = {name: i for i, name in enumerate(audioset_classes())}
        parts = [[index[name] for name in target.of] for target in targets.values()]
        most = max(map(len, parts))
        padded = [[*own, *[-1] * (most - len(own))] for own in parts]
        self._index = torch.tensor(padded, device=device)
        self._is_noisy_or = torch.tensor([target.by == "noisy_or" for target in targets.values()], device=device)

    def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Returns ``[..., target]`` of ``[..., AudioSet class]``."""
        parts = torch.where(self._index >= 0, probabilities[..., self._index.clamp(min=0)], 0.0)
        return torch.where(self._is_noisy_or, 1 - (1 - parts).prod(-1), parts.amax(-1))


def _target(value: Any, name: str, where: str) -> TargetClass:
    given = {"of": [value]} if isinstance(value, str) else {"of": value} if isinstance(value, list) else value
    if not isinstance(given, dict):
        raise UserError(
            f"{where}: '{name}' must be AudioSet names, as in [Dog, Bark], or a mapping with the keys of and by."
        )
    return build(TargetClass, given, f"{where}, '{name}'")


def _read(path: Path) -> dict[str, Any] | list[str]:
    """Returns the contents of a YAML file: a mapping, or a list of names."""
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        hint = suggest(str(path), SHIPPED) if not path.exists() else ""
        raise UserError(f"Cannot read the mapping of classes '{path}' ({getattr(error, 'strerror', None) or error}){hint}.") \
            from error  # fmt: skip
    except yaml.YAMLError as error:
        raise UserError(f"'{path}' is not YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(values, dict | list) or not all(isinstance(name, str) for name in values):
        raise UserError(f"'{path}' must hold AudioSet names by target class, such as 'Dog: [Dog, Bark]'.")
    return values
