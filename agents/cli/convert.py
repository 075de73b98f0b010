"""The command that writes scores or events in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_postproc.utils.errors import UserError, suggest, unwarned

from .inputs import DataOptions, assignments, with_plugins
from .options import Classes, Durations, FormatOptions, Hop, Plugins, References, ScoreFormat, Subset
from .output import output_file, progress, tell_data

if TYPE_CHECKING:
    from rl_postproc.data.events import Events

SUFFIXES = {".npz": "arrays", ".h5": "arrays", ".hdf5": "arrays", ".pt": "arrays"}
"""Formats of scores that the name of the file to write tells."""


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Scores or events, in any format that is read.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What to write: a file or, for some formats, a folder.")],
    to: Annotated[
        str | None,
        typer.Option(
            help="Format to write, see `rl-postproc list`; else told by the suffix of OUT where one tells it."
        ),
    ] = None,
    to_option: Annotated[
        list[str] | None,
        typer.Option(
            "--to-option", help="Option of the format to write: KEY=VALUE. May be repeated.", metavar="KEY=VALUE"
        ),
    ] = None,
    floor: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Write sparse shards: tracks (classes of a clip) that never exceed it are left out."
        ),
    ] = None,
    references: References = None,
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    plugin: Plugins = None,
) -> None:
    """Write scores in another format of scores, or events in another format of events.

    `rl-postproc convert operating_points scores --to sed_scores --durations durations.tsv`

    `rl-postproc convert scores shards --floor 0.05 --references references.tsv`

    `rl-postproc convert references.tsv labels --to audacity`

    What is read is told by its contents, or given with --format; scores are read with the same options as everywhere.
    """
    from rl_postproc.formats import EventFormat, Format, write_events, write_scores

    with_plugins({}, plugin, None)
    if not source.exists():
        raise UserError(f"There is no '{source}'; give a file or folder of scores or events.")
    scores, events = Format.types(), EventFormat.types()
    if floor is not None and to not in (None, "shards"):
        raise UserError(f"--floor makes sparse shards, not '{to}'; leave out one of the two.")
    to = "shards" if floor is not None else to
    if to is not None and to not in scores and to not in events:
        raise UserError(f"There is no format '{to}'{suggest(to, [*scores, *events])}.")
    holds_scores = format in scores or (format == "auto" and _holds_scores(source, to))
    path, told = output_file(out)
    if holds_scores:
        name = to or SUFFIXES.get(out.suffix.lower())
        if name is None:
            raise UserError(f"'{source}' holds scores, and '{out}' does not tell in which format to write them; give --to, "
                            f"one of {', '.join(scores)}.")  # fmt: skip
        _require_same_kind(source, "scores", name, scores)
        options = DataOptions(source, references, durations, format, format_option, hop, classes, subset)
        with progress() as show:
            show("reading scores", 0.0, {})
            with unwarned():
                score_set = options.read()
            show("writing", 0.5, {})
            writing = assignments(to_option or [], "--to-option") | ({} if floor is None else {"floor": floor})
            write_scores(score_set, path, format=name, **writing)
        from rl_postproc.data.report import data_report

        tell_data(data_report(score_set))
        told.say(f"Wrote the scores of {score_set.n_clips} clips to {path} ({name}).")
        return
    if to is not None:
        _require_same_kind(source, "events", to, events)
    given = {"--durations": durations, "--references": references, "--hop": hop, "--subset": subset or None}
    for option, value in given.items():
        if value is not None:
            raise UserError(f"{option} describes scores, but '{source}' holds events; leave it out.")
    reading, writing = assignments(format_option or [], "--format-option"), assignments(to_option or [], "--to-option")
    if writing and to is None:
        raise UserError("--to-option goes with a format; name it with --to.")
    found = _read_events(source, {"event_format": format, **reading} if reading else format, classes)
    write_events(found, path, format={"event_format": to, **writing} if to else None)
    told.say(f"Wrote {len(found)} events of {len(found.clip_ids)} clips to {path}.")


def _holds_scores(source: Path, to: str | None) -> bool:
    """Returns whether a path holds scores, told by its contents or, where these fit both, by the format to write.

    Raises:
        UserError: it is of no known format, or may be either.
    """
    from rl_postproc.formats import Format
    from rl_postproc.formats.survey import survey

    found = survey([source])
    kinds = {one.kind for one in found if one.path == source}
    if kinds & {"scores", "events"}:
        return "scores" in kinds
    if "unclear" in kinds:
        if to is None:
            raise UserError(
                f"'{source}' may hold scores or events ({', '.join(found[0].formats)}); say which with --format."
            )
        return to in Format.types()
    what = next(iter(kinds - {"unknown"}), None)
    holds = f"holds {what}" if what else "is of no known format"
    raise UserError(f"'{source}' {holds}; give scores or events, or say what it is with --format. `rl-postproc check` tells "
                    "what is in a folder.")  # fmt: skip


def _require_same_kind(source: Path, kind: str, name: str, known: dict) -> None:
    if name not in known:
        raise UserError(f"'{source}' holds {kind}, which the format '{name}' does not; give one of {', '.join(known)}.")


def _read_events(source: Path, format: dict[str, Any] | str, classes: str | None) -> Events:
    """Reads events over the clips and classes that they name."""
    from rl_postproc.formats import read_events
    from rl_postproc.formats.references import collect_references

    from .inputs import class_names

    rows = read_events(source, format=format)
    names = class_names(classes) if classes else sorted({str(row.label) for row in rows if row.label is not None})
    if not names:
        raise UserError(f"'{source}' holds no event, so no class is known; name them with --classes.")
    return collect_references(rows, list(dict.fromkeys(row.filename for row in rows)), names, source, "--classes")
