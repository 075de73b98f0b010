"""The command that says what is in files and folders, and what can be done with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .inputs import DataOptions, with_plugins
from .next_step import tune_command, universal_command
from .options import Classes, Durations, FormatOptions, Hop, Plugins, References, ScoreFormat, Subset
from .output import console, progress

if TYPE_CHECKING:
    from rich.table import Table

    from rl_postproc.config import DataConfig
    from rl_postproc.formats.examine import ScoreSummary, Summary


def check(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders of scores, references, durations, audio, …")],
    references: References = None,
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    plugin: Plugins = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is in files and folders: clips, classes, frames, events, what does not fit, and what can be done with it.

    `rl-postproc check data`

    Folders are searched. Scores are read with the references and durations that lie near them and name their clips, unless
    these are given; what looks wrong in them is told, whether they can be tuned, and by which command.

    The exit code is 1 where something of a known format cannot be read.
    """
    from rl_postproc.formats import Given
    from rl_postproc.formats.examine import ScoreSummary, examine

    with_plugins({}, plugin, None)
    options = DataOptions(Path(), None, None, format, format_option, hop, classes, subset)
    data = _reading(options)
    given = Given(references, durations, data.classes, hop, subset)
    with progress() as show:
        summaries = examine(paths, given, data.format, lambda what, share: show(what, share, {}))
    commands = {id(one): _command(one, data) for one in summaries if isinstance(one, ScoreSummary)}
    if as_json:
        print(json.dumps([_json(one, commands.get(id(one), "")) for one in summaries]))
    else:
        root = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
        console.print(_overview(summaries, root))
        for one in summaries:
            if isinstance(one, ScoreSummary):
                _tell(one, commands[id(one)], root)
    if any(one.problem for one in summaries):
        raise typer.Exit(1)


def _reading(options: DataOptions) -> DataConfig:
    """Returns the options on how scores are read, as a config has them."""
    from rl_postproc.config import DataConfig

    section = options.section()
    return DataConfig.model_validate({**section, "scores": "."})


def _command(one: ScoreSummary, data: DataConfig) -> str:
    """Returns the command that makes most of scores, empty where they cannot be read."""
    if one.report is None:
        return ""
    data = data.model_copy(update={"subset": one.subset})
    if not one.can_be_tuned:
        return "" if not one.report.origin.hop else universal_command(one.found.path, one.durations, data)
    metric = "event_based" if one.report.origin.hop else "tagging"
    return tune_command(one.found.path, one.references, one.durations, data, metric)


def _shown(path: Path, root: Path | None) -> str:
    """Returns a path from the folder that is looked through, if there is one."""
    return str(path if root is None or path == root else path.relative_to(root))


def _overview(summaries: list[Summary], root: Path | None) -> Table:
    """Returns a table of everything that lies there."""
    from rich.table import Table
    from rich.text import Text

    title = "What is there" if root is None else f"What is in {root}"
    table = Table(box=None, padding=(0, 2), title=title, title_justify="left", title_style="bold")
    for name in ("path", "what", "format", "holds"):
        table.add_column(name, overflow="fold")
    for one in summaries:
        holds: Any = _held(one)
        if one.problem:
            holds = Text(one.problem, style="red")
        table.add_row(_shown(one.found.path, root), one.found.kind, " or ".join(one.found.formats), holds)
    return table


def _held(one: Summary) -> str:
    from rl_postproc.formats.examine import ScoreSummary

    if isinstance(one, ScoreSummary) and one.report is not None:
        return f"{one.report.n_clips} clips, {len(one.report.classes)} classes"
    return ", ".join(
        f"{name} {value}" if isinstance(value, str) else f"{value} {name}" for name, value in one.facts.items()
    )


def _tell(one: ScoreSummary, command: str, root: Path | None) -> None:
    """Shows what one set of scores holds, and what comes next."""
    from rl_postproc.results.data_table import data_table

    console.print()
    if one.report is None:
        console.say(f"{_shown(one.found.path, root)} cannot be read: {one.problem}")
        return
    console.print(data_table(one.report, _shown(one.found.path, root)))
    if one.references is not None:
        console.say(f"Its references: {_shown(one.references, root)}")
    for note in one.notes:
        console.say(note, "Note:", "bold yellow")
    if one.can_be_tuned:
        console.say(f"It can be tuned: {command}")
    else:
        why = "it has no reference events" if one.report.references is None else "its references hold no event"
        console.say(f"It cannot be tuned, because {why}." + (f" Without any: {command}" if command else ""))


def _json(one: Summary, command: str) -> dict[str, Any]:
    from rl_postproc.formats.examine import ScoreSummary

    values: dict[str, Any] = {"path": str(one.found.path), "kind": one.found.kind, "formats": list(one.found.formats)}
    values |= {"holds": one.facts, "problem": one.problem}
    if isinstance(one, ScoreSummary):
        values |= {"data": None if one.report is None else one.report.to_json(), "can_be_tuned": one.can_be_tuned}
        values |= {
            "references": one.references and str(one.references),
            "durations": one.durations and str(one.durations),
        }
        values |= {"notes": list(one.notes), "command": command}
    return values
