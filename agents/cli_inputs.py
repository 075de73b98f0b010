"""What the commands take: options they share, and the config sections that the options stand for."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from rl_postproc.config import build, load_config, override, read_yaml
from rl_postproc.errors import UserError

from .benchmark import BenchmarkConfig

References = Annotated[Path | None, typer.Option(help="TSV of reference events: filename, onset, offset, event_label.")]
Durations = Annotated[Path | None, typer.Option(help="TSV of clip lengths: filename, duration in seconds.")]
Scores = Annotated[Path | None, typer.Option(help="Folder of score files, in place of the config's data.")]
Format = Annotated[
    str, typer.Option(help="Format of the scores: auto, operating_points, sed_scores, npy, shards or tags.")
]
Hop = Annotated[float | None, typer.Option(help="Seconds per frame, where the score files do not say.")]
Classes = Annotated[str | None, typer.Option(help="Class names separated by commas, where the files do not say.")]
Subset = Annotated[bool, typer.Option(help="Ignore references and durations of clips without scores.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Override a config value: key.subkey=value. May be repeated.")
]
Threads = Annotated[
    int, typer.Option(min=1, help="Threads. Small models gain little from more than one, and stall on busy cores.")
]


def benchmark_config(name: str, settings: list[str] | None, extra: dict[str, Any] | None = None) -> BenchmarkConfig:
    """Reads the config of a benchmark from a file, or one that comes with the package, with keys replaced."""
    path = Path(name)
    if not path.exists():
        packaged = Path(str(files("rl_postproc.configs"))) / (path.name if path.suffix else f"{path.name}.yaml")
        path = packaged if len(path.parts) == 1 and packaged.exists() else path
    if not extra:
        return load_config(BenchmarkConfig, path, settings)
    values = override({**read_yaml(path), **extra}, settings or [])
    config = build(BenchmarkConfig, values, str(path))
    config._base = path.resolve().parent
    return config


def data_overrides(
    scores: Path | None,
    references: Path | None,
    durations: Path | None,
    format: str,
    hop: float | None,
    classes: str | None,
    subset: bool,
) -> dict[str, Any]:
    """Returns the data section that the command line describes, empty without --scores."""
    if scores is None:
        if references or durations:
            raise UserError("--references and --durations describe the clips of --scores; give --scores too.")
        return {}
    found = {"scores": scores, "references": references, "durations": durations}
    data: dict[str, Any] = {key: str(path.resolve()) for key, path in found.items() if path is not None}
    if classes:
        data["classes"] = [name.strip() for name in classes.split(",")]
    if hop is not None:
        data["hop"] = hop
    return {**data, "format": format, "subset": subset}


def data_of_run(run: Path, scores: str) -> dict[str, Any]:
    """Returns how a run read these very scores (durations, hop, classes), empty where it was trained on others."""
    path = (run if run.is_dir() else run.parent) / "config.yaml"
    data = read_yaml(path).get("data", {}) if path.is_file() else {}
    if not isinstance(data, dict) or data.get("root") or data.get("scores") != scores:
        return {}
    return {key: data[key] for key in ("durations", "hop", "classes") if data.get(key) is not None}


def integers(text: str, option: str) -> list[int]:
    """Returns the numbers that an option lists."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"{option} takes whole numbers separated by commas, not '{text}'.") from error
