"""The commands that show and download public data and checkpoints."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_postproc.utils.interrupts import if_interrupted

from .output import console, progress

if TYPE_CHECKING:
    from rl_postproc.catalogue import Entry


def datasets(
    name: Annotated[str | None, typer.Argument(help="Entry to show in full; all in a table when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List public data and checkpoints that can be downloaded, and where those lie that are here.

    `rl-postproc datasets`

    `rl-postproc datasets desed-baseline-2021`

    The name of an entry stands wherever a path to scores, references, durations or a checkpoint can: `--scores
    desed-baseline-2021`, `data.scores: desed-baseline-2021` in a config, `NAME/file` for one of its files. Entries of your
    own stand in a YAML file that the environment variable RL_POSTPROC_CATALOGUE names.
    """
    from rl_postproc.catalogue import entries, find_entry

    found = list(entries().values()) if name is None else [find_entry(name)]
    if as_json:
        print(json.dumps({entry.name: _described(entry) for entry in found}))
    elif name is None:
        console.print(_table(found))
        console.say("Download one with: rl-postproc download NAME")
    else:
        _show(found[0])


def download(
    names: Annotated[
        list[str], typer.Argument(help="Entries of the catalogue, see `rl-postproc datasets`.", metavar="NAME…")
    ],
    to: Annotated[
        Path | None,
        typer.Option(help="Folder of data in which each makes its own, in place of the cache.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Download public data or checkpoints into a cache, once; then their names stand for them.

    `rl-postproc download desed-baseline-2021`

    Every file is checked, and nothing is seen in its place before all of it is there. After Ctrl-C the same command goes on
    where it stopped. The cache is the system's, or the folder that the environment variable RL_POSTPROC_CACHE names; a
    folder given with --to is found where RL_POSTPROC_DATA names it.
    """
    from rl_postproc.catalogue import fetch, find_entry

    chosen = [find_entry(name) for name in dict.fromkeys(names)]
    if_interrupted("what was downloaded is kept. Go on from there with:")
    for entry in chosen:
        with progress() as show:
            folder = fetch(entry, to, lambda what, fraction, show=show: show(what, fraction, {}))
        console.say(f"{entry.name} is in '{folder}': {_amount(entry)}. {_checked(entry)}")
        console.say(f"Licence: {entry.licence}.")
        console.say(f"Cite: {entry.citation}.")
        before = "" if to is None or not entry.use.scores else f"RL_POSTPROC_DATA={shlex.quote(str(to.absolute()))} "
        if entry.next:
            console.say("Next:\n" + "\n".join(before + command for command in entry.next))


def _described(entry: Entry) -> dict[str, Any]:
    """Returns all about an entry for programs."""
    from rl_postproc.catalogue import find_entry_folder

    folder = find_entry_folder(entry)
    files = [
        {"path": file.path, "url": entry.address(file), "size": file.size, "checksum": file.checksum}
        for file in entry.files
    ]
    told = entry.model_dump(mode="json", exclude={"files", "base", "name"}, exclude_none=True)
    return {**told, "size": entry.size, "here": None if folder is None else str(folder), "files": files}


def _table(found: list[Entry]) -> Any:
    from rich.box import HORIZONTALS
    from rich.table import Table

    from rl_postproc.catalogue import find_entry_folder

    table = Table(title="datasets", title_justify="left", box=HORIZONTALS, show_lines=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is", ratio=3)
    table.add_column("size", no_wrap=True)
    table.add_column("licence", ratio=2)
    table.add_column("here")
    for entry in found:
        here = "no" if find_entry_folder(entry) is None else "yes"
        table.add_row(entry.name, f"{entry.title}: {entry.about}", _megabytes(entry.size), entry.licence, here)
    return table


def _show(entry: Entry) -> None:
    """Prints all about an entry, its files last."""
    from rl_postproc.catalogue import find_entry_folder

    folder = find_entry_folder(entry)
    console.say(f"{entry.name}: {entry.title}", style="bold")
    console.say(f"What it is: {entry.about}.")
    console.say(f"Licence: {entry.licence}.")
    console.say(f"Cite: {entry.citation}.")
    console.say(f"Source: {entry.source}")
    console.say(f"Checksums: {entry.checksums}. {_checked(entry)}")
    console.say(f"Here: {'no' if folder is None else folder}")
    stands = ", ".join(f"{role} ({path})" for role, path in entry.use.paths.items())
    console.say(f"Its name stands for: {stands}.")
    commands = ([] if folder else [f"rl-postproc download {entry.name}"]) + entry.next
    console.say("Next:\n" + "\n".join(commands))
    console.say(f"Files: {_amount(entry)}")
    for file in entry.files:
        console.say(
            f"  {file.path}  {'? bytes' if file.size is None else f'{file.size} bytes'}  {file.checksum or 'no checksum'}"
        )


def _checked(entry: Entry) -> str:
    """Says how it is known that the files are the right ones."""
    n, total = entry.n_unchecked, len(entry.files)
    if not n:
        return "Every file is held against its checksum." if total > 1 else "The file is held against its checksum."
    which = "No file has a checksum" if n == total else f"{n} of {total} files have no checksum"
    return f"{which} in the catalogue, so that what comes first is not checked; later downloads are held against it."


def _amount(entry: Entry) -> str:
    n = len(entry.files)
    return f"{n} file{'' if n == 1 else 's'}, {_megabytes(entry.size)}"


def _megabytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 1e6:.1f} MB"
