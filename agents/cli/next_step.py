"""The commands that come next, as they can be typed in the working folder."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl_postproc.config import DataConfig, TaskConfig


def apply_command(run: Path, config: TaskConfig) -> str:
    """Returns the command that applies a run to the scores it was tuned on, with every option that reading them took.

    Args:
        run: the run folder.
        config: its config; where it has simulated data, the scores are left to be filled in.
    """
    data = config.data
    if data is None or data.scores is None:
        return f"rl-postproc apply {shlex.quote(str(run))} SCORES --out events.tsv"
    files = data.files(config.base)
    words = ["rl-postproc", "apply", str(run), _shown(files["scores"])]
    if "durations" in files:
        words += ["--durations", _shown(files["durations"])]
    words += reading_options(data)
    for plugin in config.plugins:
        words += ["--plugin", plugin]
    return shlex.join([*words, "--out", "events.tsv"])


def tune_command(scores: Path, references: Path | None, durations: Path | None, data: DataConfig, metric: str) -> str:
    """Returns the command that tunes a post-processor for scores.

    Args:
        scores: where they lie.
        references: their references, None where the scores bring them along.
        durations: their durations, if any.
        data: how the scores are read.
        metric: what is counted.
    """
    words = ["rl-postproc", "train", "--scores", _shown(scores)]
    words += [] if references is None else ["--references", _shown(references)]
    words += [] if durations is None else ["--durations", _shown(durations)]
    words += reading_options(data)
    agent = ["--agent", "event_value"] if metric == "event_based" else ["--agent", "sgl_thresh", "--metric", metric]
    return shlex.join([*words, *agent, "--out", "runs/tuned"])


def universal_command(scores: Path, durations: Path | None, data: DataConfig) -> str:
    """Returns the command that makes events of scores without any references."""
    words = ["rl-postproc", "apply", "universal", _shown(scores)]
    words += [] if durations is None else ["--durations", _shown(durations)]
    return shlex.join([*words, *reading_options(data), "--out", "events.tsv"])


def reading_options(data: DataConfig) -> list[str]:
    """Returns the options of a command line that say how scores are read."""
    words = []
    format = {"format": data.format} if isinstance(data.format, str) else dict(data.format)
    name = format.pop("format", "auto")
    words += [] if name == "auto" else ["--format", str(name)]
    for key, value in format.items():
        words += ["--format-option", f"{key}={_yaml(value)}"]
    words += [] if data.hop is None else ["--hop", repr(data.hop)]
    words += [] if data.classes is None else ["--classes", _row(data.classes)]
    return [*words, *(["--subset"] if data.subset else [])]


def _shown(path: Path) -> str:
    """Returns a path from the working folder, if it lies below, else its full path; a name of the catalogue as it is."""
    from rl_postproc import catalogue

    if catalogue.is_named(path):
        return str(path)
    path, here = Path(os.path.abspath(path)), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _row(names: list[str]) -> str:
    """Returns names between commas; those that hold commas or quotation marks are quoted."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()


def _yaml(value: Any) -> str:
    """Returns text that YAML reads as a value."""
    import yaml

    from rl_postproc.utils.plain_values import parse_yaml

    try:
        return value if parse_yaml(value) == value else json.dumps(value)
    except (AttributeError, yaml.YAMLError):  # no text, or text that YAML takes for something else
        return json.dumps(value)
