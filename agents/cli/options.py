"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

References = Annotated[
    Path | None,
    typer.Option(help="Table of reference events: filename, onset, offset, event_label; or a name of the catalogue."),
]
Durations = Annotated[Path | None, typer.Option(help="Table of clip lengths: filename, duration in seconds.")]
Scores = Annotated[
    Path | None,
    typer.Option(
        help="Folder (for some formats: file) of scores, or a name of `rl-postproc datasets`; in place of the config's data."
    ),
]
ScoreFormat = Annotated[
    str, typer.Option("--format", help="Format of the scores, see `rl-postproc list formats`; auto tells it itself.")
]
FormatOptions = Annotated[
    list[str] | None,
    typer.Option("--format-option", help="Option of the format: KEY=VALUE. May be repeated.", metavar="KEY=VALUE"),
]
Hop = Annotated[float | None, typer.Option(help="Seconds per frame, where the score files do not say.")]
Classes = Annotated[
    str | None,
    typer.Option(
        help="Class names, where the files do not say: a text file with one name a line, or names separated by commas.",
        metavar="FILE_OR_NAMES",
    ),
]
Subset = Annotated[bool, typer.Option(help="Ignore references and durations of further clips, which have no scores.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a config value: key.subkey=value. May be repeated.", metavar="KEY=VALUE"),
]
Threads = Annotated[
    int, typer.Option(min=1, help="Threads. Small models gain little from more than one, and stall on busy cores.")
]
Jobs = Annotated[
    int, typer.Option(min=1, max=256, help="Processes; the results are the same. A core each, with --threads 1.")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster to work on: ray://host:10001, host:6379, auto or local; the results are the same. Needs the extra "
        "`ray`.",
        metavar="ADDRESS",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="Bound of the memory, such as 4GiB; with --cluster, for one worker. Parts and chunks are made smaller to stay "
        "within it, and what would take more is refused.",
        metavar="SIZE",
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Python file or module with stages, metrics, objectives, formats, agents, rewards or observations of your "
        "own. May be repeated.",
        metavar="FILE_OR_MODULE",
    ),
]
