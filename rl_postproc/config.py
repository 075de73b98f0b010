"""Typed configs: which data, which stack, which metric. Read from YAML, checked as a whole before any work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rl_postproc import catalogue
from rl_postproc.catalogue.cache import DATA_VARIABLE
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased, Macro, Metric, Objective
from rl_postproc.pipeline.presets import load_preset
from rl_postproc.pipeline.stack import Stack
from rl_postproc.simulation.config import SimulationConfig
from rl_postproc.utils.checked import build
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.override import override
from rl_postproc.utils.plain_values import parse_yaml
from rl_postproc.utils.plugins import load_plugins

SIMULATED = "simulated"
"""What stands for the built-in simulated data set where scores are asked for."""
NO_DATA = ("No data are named. Give scores: --scores on the command line, data.scores in a config, or a ScoreSet; or ask for "
           "the simulated data set: --set data.simulated={}, or scores='simulated'.")  # fmt: skip


class DataConfig(BaseModel):
    """Where the scores come from: files of a known format, or the simulator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    simulated: SimulationConfig | None = Field(None, description="settings of the built-in simulated data set")
    scores: str | None = Field(None, description="folder of score files, or a name of the catalogue")
    format: str | dict[str, Any] = Field(
        "auto", description="format of the score files: a name, or a mapping of format and its options"
    )
    references: str | None = Field(
        None, description="TSV of reference events; those of the catalogue for a name of its scores"
    )
    durations: str | None = Field(None, description="TSV of clip lengths")
    root: str | None = Field(
        None,
        description=f"folder that relative paths start from, relative to the config's, and where data of the "
        f"catalogue may lie already; {DATA_VARIABLE} replaces it",
    )
    hop: float | None = Field(None, gt=0, description="seconds per frame, where the files do not say")
    classes: list[str] | None = Field(None, description="class names, where the files do not say")
    subset: bool = Field(False, description="ignore references of clips without scores")

    @model_validator(mode="after")
    def _one_source(self) -> DataConfig:
        if (self.scores is None) == (self.simulated is None):
            raise ValueError("give either 'scores' (a folder) or 'simulated' (settings)")
        return self

    def load(self, base: Path | None = None, in_parts: bool = False) -> ScoreSet:
        """Reads or simulates the score set.

        Args:
            base: folder of the config file, from which relative paths start; the working folder when None.
            in_parts: whether sparse shards may be left on disk, to be read in parts.

        Raises:
            UserError: the files are missing or cannot be used.
        """
        if self.simulated is not None:
            from rl_postproc.simulation.data_set import simulate

            return simulate(self.simulated)
        from rl_postproc.formats import read_scores

        assert self.scores is not None
        self.files(base)  # complains of a folder that does not exist
        root, given = self._root(base), self.model_dump(exclude={"simulated", "scores", "root"})
        path, found, taken = catalogue.complete(self.scores, given, root, [root] if self.root else [])
        scores = read_scores(path, **found, in_parts=in_parts)
        return scores.with_origin(notes=(taken, *scores.origin.notes)) if taken else scores

    def files(self, base: Path | None = None) -> dict[str, Path]:
        """Returns where scores, references and durations lie, those that are given; names of the catalogue as they are.

        Args:
            base: folder of the config file, from which relative paths start; the working folder when None.

        Raises:
            UserError: the folder that they start from does not exist.
        """
        root = self._root(base)
        given = {"scores": self.scores, "references": self.references, "durations": self.durations}
        files = {
            name: Path(path) if catalogue.is_named(path, root) else root / path
            for name, path in given.items()
            if path is not None
        }
        if self.root and not root.is_dir() and any(path.is_relative_to(root) for path in files.values()):
            raise UserError(f"The data folder '{root}' does not exist; set {DATA_VARIABLE} to the folder that holds "
                            f"'{self.scores}'.")  # fmt: skip
        return files

    def from_anywhere(self, base: Path | None = None) -> DataConfig:
        """Returns the same data with full paths, for a config that is kept elsewhere.

        Args:
            base: folder of the config file, from which relative paths start; the working folder when None.
        """
        if self.simulated is not None:
            return self
        if self.root:
            return self.model_copy(update={"root": str(self._root(base).resolve())})
        root = self._root(base)
        given = {key: path for key in ("scores", "references", "durations") if (path := getattr(self, key)) is not None}
        full = {
            key: path if catalogue.is_named(path, root) else str((root / path).resolve()) for key, path in given.items()
        }
        return self.model_copy(update=full)

    def _root(self, base: Path | None) -> Path:
        """Returns the folder from which relative paths start."""
        if self.root and os.environ.get(DATA_VARIABLE):
            return Path(os.environ[DATA_VARIABLE])
        return Path(base or ".") / (self.root or ".")


class TaskConfig(BaseModel):
    """What is tuned on what: data, stack and metric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataConfig | None = Field(default=None, description="files of scores, or settings of the simulated data set")
    stack: list[dict[str, Any]] = Field(
        default_factory=lambda: Stack.default().to_config(),
        description="stages, or the name of a stack that comes with the package, or a file beside the config",
    )
    metric: SerializeAsAny[Metric] = Field(default_factory=EventBased)
    objective: SerializeAsAny[Objective] = Field(default_factory=Macro)
    plugins: list[str] = Field(default_factory=list, description="modules, or files beside the config, to import first")
    _base: Path | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _plugins_first(cls, values: Any, info: ValidationInfo) -> Any:
        if isinstance(values, dict) and isinstance(values.get("plugins"), list):
            base = (info.context or {}).get("base")
            _as_value_error(lambda: load_plugins(map(str, values["plugins"]), base))
        return values

    @field_validator("stack", mode="before")
    @classmethod
    def _named_stack(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return _as_value_error(lambda: load_preset(value, (info.context or {}).get("base")).stack)

    @field_validator("stack")
    @classmethod
    def _checked_stack(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return _as_value_error(lambda: Stack.from_config(value).to_config())

    @field_validator("metric", mode="before")
    @classmethod
    def _built_metric(cls, value: Any) -> Any:
        return (
            _as_value_error(lambda: Metric.make({"metric": "event_based", **value}))
            if isinstance(value, dict)
            else value
        )

    @field_validator("objective", mode="before")
    @classmethod
    def _built_objective(cls, value: Any) -> Any:
        return _as_value_error(lambda: Objective.make(value)) if isinstance(value, dict | str) else value

    @property
    def base(self) -> Path | None:
        """Folder of the config file, from which relative paths start; None for the working folder."""
        return self._base

    def load_data(self, in_parts: bool = False) -> ScoreSet:
        """Reads or simulates the score set; sparse shards may be left on disk, to be read in parts.

        Raises:
            UserError: the config names no data, or data that cannot be used.
        """
        if self.data is None:
            raise UserError(NO_DATA)
        return self.data.load(self._base, in_parts)

    def build_stack(self) -> Stack:
        """Returns the stack."""
        return Stack.from_config(self.stack)


Task = TypeVar("Task", bound=TaskConfig)
Value = TypeVar("Value")


def _as_value_error(make: Callable[[], Value]) -> Value:
    """Calls, with errors of the user's in the form that pydantic collects."""
    try:
        return make()
    except UserError as error:
        raise ValueError(str(error)) from error


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        UserError: the file is missing, not YAML, or not a mapping.
    """
    path = Path(path)
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the config '{path}': {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"The config '{path}'{line} is not valid YAML: {getattr(error, 'problem', error)}.") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"The config '{path}' must hold keys and values, but holds a {type(value).__name__}.")
    return value


def load_config(model: type[Task], path: str | Path, settings: list[str] | None = None) -> Task:
    """Reads, overrides and checks a config file; its relative paths start from its own folder."""
    path = Path(path)
    return build_config(model, override(read_yaml(path), settings or [], model), str(path), path.resolve().parent)


def build_config(
    model: type[Task],
    values: dict[str, Any],
    where: str,
    base: Path | None = None,
    options: Mapping[str, str] | None = None,
) -> Task:
    """Checks a config; its relative paths and plug-in files start from the folder ``base``.

    ``options`` are those of the command line that replaced values, by dotted key; errors in these name them.
    """
    config = build(model, values, where, {"base": base}, options)
    config._base = base
    return config
