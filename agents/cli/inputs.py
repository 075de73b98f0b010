"""What the commands read: configs, plug-ins, scores and saved post-processors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_postproc.utils.errors import UserError, warn

if TYPE_CHECKING:
    from rl_postproc.data.scores import ScoreSet
    from rl_postproc.pipeline.apply_files import ScoreFiles

    from ..benchmark.config import BenchmarkConfig

COMMAND_LINE = "the command line"


@dataclass(frozen=True)
class DataOptions:
    """The options that describe scores, as they were given."""

    scores: Path | None
    references: Path | None = None
    durations: Path | None = None
    format: str = "auto"
    format_options: list[str] | None = None
    hop: float | None = None
    classes: str | None = None
    subset: bool = False

    def section(self) -> dict[str, Any]:
        """Returns the data section of a config that the options stand for, empty without --scores.

        Raises:
            UserError: options that describe scores, without scores.
        """
        if self.scores is None:
            if self.references or self.durations:
                raise UserError("--references and --durations describe the clips of --scores; give --scores too.")
            given = self.hop is not None or self.classes is not None or self.subset
            if given or self.format_options or self.format != "auto":
                raise UserError("--format, --format-option, --hop, --classes and --subset describe --scores; give "
                                "--scores too, or put them into the config's data.")  # fmt: skip
            return {}
        files = {"scores": self.scores, "references": self.references, "durations": self.durations}
        data: dict[str, Any] = {key: full_path(path) for key, path in files.items() if path is not None}
        if self.classes is not None:
            data["classes"] = class_names(self.classes)
        if self.hop is not None:
            data["hop"] = self.hop
        if self.subset:
            data["subset"] = True
        if self.format_options:
            data["format"] = {"format": self.format, **assignments(self.format_options, "--format-option")}
        elif self.format != "auto":
            data["format"] = self.format
        return data

    def read(self) -> ScoreSet:
        """Reads the scores.

        Raises:
            UserError: the scores cannot be used.
        """
        from rl_postproc.config import TaskConfig
        from rl_postproc.utils.checked import build

        data = {"data": self.section()}
        return build(TaskConfig, data, COMMAND_LINE, options=given_options(data)).load_data()

    def score_files(self) -> ScoreFiles:
        """Returns the scores as files that are yet to be read.

        Raises:
            UserError: an option makes no sense.
        """
        from rl_postproc import catalogue
        from rl_postproc.config import TaskConfig
        from rl_postproc.pipeline.apply_files import ScoreFiles
        from rl_postproc.utils.checked import build

        section = {"data": self.section()}
        data = build(TaskConfig, section, COMMAND_LINE, options=given_options(section)).data
        assert data is not None and data.scores is not None
        given = data.model_dump(exclude={"simulated", "scores", "root"})
        return ScoreFiles(*catalogue.complete(data.scores, given))


def full_path(path: Path) -> str:
    """Returns a path from the root of the file system; a name of the catalogue stays."""
    from rl_postproc import catalogue

    # Not resolved, because the links behind which a shell keeps its streams (/dev/fd/63) lead nowhere.
    return str(path) if catalogue.is_named(path) else os.path.abspath(path)


def benchmark_config(
    name: str, settings: list[str] | None, plugins: list[str] | None, extra: dict[str, Any] | None = None
) -> BenchmarkConfig:
    """Reads the config of a benchmark from a file, or one that comes with the package, with keys replaced."""
    from rl_postproc.config import build_config, read_yaml
    from rl_postproc.utils.override import override

    from ..benchmark.config import BenchmarkConfig

    path = packaged_config(name)
    values = override({**read_yaml(path), **(extra or {})}, settings or [], BenchmarkConfig)
    base, options = path.resolve().parent, given_options(extra or {}, settings)
    return build_config(BenchmarkConfig, with_plugins(values, plugins, base), str(path), base, options)


def packaged_config(name: str, folder: str = "") -> Path:
    """Returns the path of a config: of the file of that name, else of the one that comes with the package.

    Args:
        name: a path, or a name with or without its suffix.
        folder: of the packaged ones, where they have one of their own.
    """
    from importlib.resources import files

    path = Path(name)
    packaged = Path(str(files("rl_postproc.configs"))) / folder / (path.name if path.suffix else f"{path.name}.yaml")
    missing = not path.exists() or path.is_dir()
    return packaged if missing and len(path.parts) == 1 and packaged.exists() else path


def given_options(values: dict[str, Any], settings: list[str] | None = None) -> dict[str, str]:
    """Returns the options of the command line behind values of a config, by dotted key, for messages.

    Args:
        values: those that options of their own gave, such as ``{"folds": 1, "data": {"hop": 0.02}}``.
        settings: ``KEY=VALUE`` of ``--set``.
    """
    from rl_postproc.utils.plain_values import shortened

    found = {key: f"--{key}" for key in values if key != "data"}
    found |= {f"data.{key}": f"--{key}" for key in values.get("data", {})}
    return found | {setting.partition("=")[0]: f"--set {shortened(setting)}" for setting in settings or []}


def with_plugins(values: dict[str, Any], plugins: list[str] | None, base: Path | None) -> dict[str, Any]:
    """Loads the plug-ins of a config and of the command line, ahead of everything that may name what is in them.

    Args:
        values: the config.
        plugins: those of the command line, relative to the working folder.
        base: the config's folder, from which its own start.

    Returns:
        The config with all of them, files by their full paths, so that the resolved config of a run finds them.

    Raises:
        UserError: one of them cannot be imported.
    """
    own = values.get("plugins") or []
    if not isinstance(own, list):
        return values  # refused with the rest of the config
    from rl_postproc.utils.plugins import full_name, load_plugins

    names = [full_name(str(name), base) for name in own] + [full_name(name) for name in plugins or []]
    if not names:
        return values
    load_plugins(names)
    return {**values, "plugins": list(dict.fromkeys(names))}


def use_threads(number: int) -> None:
    """Has torch work on so many threads, at most as many as there are cores to run them."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if number > cores:
        warn(f"--threads {number} is more than the {cores} cores here; {cores} are used.")
    torch.set_num_threads(min(number, cores))


def size_in_bytes(text: str | None) -> int | None:
    """Returns the bytes that --memory allows, such as ``4GiB`` or ``500MB``; None where it is not given.

    Raises:
        UserError: it is no size.
    """
    if text is None:
        return None
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError as error:
        raise UserError(f"--memory takes a size such as 4GiB or 500MB, not '{text}'.") from error


def assignments(texts: list[str], option: str) -> dict[str, Any]:
    """Returns the values of ``KEY=VALUE`` options, as YAML reads them."""
    import yaml

    from rl_postproc.utils.plain_values import parse_yaml, shortened

    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"{option} takes KEY=VALUE, but got '{text}'.")
        try:
            found[key] = parse_yaml(value)
        except yaml.YAMLError as error:
            raise UserError(f"{option} {key}: '{shortened(value)}' is not a YAML value.") from error
    return found


def names_in(text: str, option: str) -> list[str]:
    """Returns the names that an option lists, separated by commas.

    Raises:
        UserError: one is empty.
    """
    names = [name.strip() for name in text.split(",")]
    if "" in names:
        raise UserError(f"{option} lists names separated by commas, and one of them is empty in '{text}'.")
    return names


def class_names(text: str) -> list[str]:
    """Returns the classes that --classes names: those of a text file with one name a line, or names between commas.

    A name that holds commas itself stands in a file, or in double quotes: ``"Male speech, man speaking",Dog``.

    Raises:
        UserError: there is no such file, or a name is empty or occurs twice.
    """
    import csv

    from rl_postproc.formats.folder import read_classes

    if os.path.exists(text) and not os.path.isdir(text):  # unlike Path.exists, false for a list too long to be a path
        return read_classes(text) or []
    names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [""])]
    if len(names) == 1 and Path(text).suffix.lower() in (".txt", ".csv", ".tsv"):
        raise UserError(f"--classes: there is no file '{text}'; give a text file with one name a line, or names "
                        "separated by commas.")  # fmt: skip
    if "" in names:
        raise UserError(f"--classes lists names separated by commas, and one of them is empty in '{text}'.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"--classes: the class '{twice}' occurs twice; name each once, and write names that hold commas "
                        "into a file, one a line, or in double quotes.")  # fmt: skip
    return names


def integers(text: str, option: str) -> list[int]:
    """Returns the numbers that an option lists, separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"{option} takes whole numbers separated by commas, not '{text}'.") from error
