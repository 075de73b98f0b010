"""The command that makes a page of a run, or of two, to look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from rl_postproc.utils.errors import UserError, unwarned

from ..report import PAGES
from .inputs import DataOptions, with_plugins
from .options import Classes, Durations, FormatOptions, Hop, Plugins, References, ScoreFormat, Scores, Settings, Subset
from .output import notes, output_file, progress


def report(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of `benchmark` or `train`; with --scores also `universal`, or a file of events."),
    ],
    other: Annotated[
        Path | None, typer.Argument(help="Another run on the same clips: the report shows what changed.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; report.html in the run's folder, or here for a file.")
    ] = None,
    audio: Annotated[
        list[Path] | None, typer.Option(help="Folder of the clips' audio, to be heard. May be repeated.")
    ] = None,
    scores: Scores = None,
    references: References = None,
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    plugin: Plugins = None,
    setting: Settings = None,
) -> None:
    """Make one HTML page of a run: results, classes, curves, errors, parameters, and clips to look at and hear.

    `rl-postproc report runs/demo`

    `rl-postproc report runs/monday runs/tuesday --out changed.html`

    `rl-postproc report events.tsv --scores SCORES --references REFERENCES.tsv --audio recordings/`

    The page holds everything it shows and needs no network. Of a benchmark the events are those held out; of a training
    those of its own clips, unless --scores give others. Data that have moved are given by --scores, --references and
    --durations. Of many clips those are kept on which the systems differ most, and the page says so. --audio needs the
    extra `panns`. Collars of events by themselves go with --set metric.KEY=VALUE.
    """
    from rl_postproc.pipeline.postprocessor import shipped
    from rl_postproc.report.page import write_report
    from rl_postproc.report.sounds import with_sounds

    from ..report.compare import compare_runs
    from ..report.make import make_report
    from ..report.runs import open_run
    from .metrics import chosen_metrics

    with_plugins({}, plugin, None)
    metric: Any = chosen_metrics(None, setting, {}, None)[0] if setting else None
    data = DataOptions(scores, references, durations, format, format_option, hop, classes, subset).section()
    paths = [run] if other is None else [run, other]
    target, told = output_file(out or _place(shipped(paths[-1]), other is not None))
    with progress() as show, unwarned():
        show("reading", 0.0, {})
        runs = [open_run(path, data, metric) for path in paths]
        made = (
            make_report(runs[0], lambda what, share: show(what, share, {}))
            if other is None
            else compare_runs(runs[0], runs[1], lambda what, share: show(what, share, {}))
        )
        if audio:
            if made.browser is None:
                raise UserError("There are no clips to be heard, since the scores cannot be read; give --scores too.")
            show("sounds", 0.7, {})
            browser, said = with_sounds(made.browser, audio)
            made = replace(made, browser=browser, notes=[*made.notes, *said])
        show("writing", 0.9, {})
        write_report(made, target)
    for note in made.notes:
        notes.say(note, "Note:", "bold yellow")
    told.say(f"Wrote {target}.")


def _place(path: Path, compared: bool) -> Path:
    """Returns where the report of a run goes unless it is said."""
    if not path.is_dir() or path.parent.name == "trained":
        return Path(PAGES[compared])
    return path / PAGES[compared]
