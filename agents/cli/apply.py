"""The command that turns scores into events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rl_postproc.utils.errors import unwarned

from .inputs import DataOptions, use_threads, with_plugins
from .options import Classes, Durations, FormatOptions, Hop, Plugins, ScoreFormat, Subset, Threads
from .output import output_file, progress, tell_data


def apply(
    run: Annotated[Path, typer.Argument(help="Run folder of `train`, or a postprocessor.json.")],
    scores: Annotated[Path, typer.Argument(help="Folder of score files.")],
    out: Annotated[
        Path, typer.Option(help="TSV to write: filename, onset, offset, event_label; - for standard output.")
    ],
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    plugin: Plugins = None,
    threads: Threads = 1,
) -> None:
    """Turn scores into events with a tuned post-processor.

    `rl-postproc apply runs/mine SCORES --durations DURATIONS.tsv --out events.tsv`

    The scores must have the classes that it was tuned for. Nothing is taken from the data of the run: durations cut
    events that would last beyond a clip's end, and without them a clip ends with its last frame.
    """
    from rl_postproc.data.origin import LAST_FRAME
    from rl_postproc.data.report import data_report
    from rl_postproc.formats import write_events
    from rl_postproc.pipeline.postprocessor import PostProcessor

    use_threads(threads)
    with_plugins({}, plugin, None)
    processor = PostProcessor.load(run)
    options = DataOptions(scores, None, durations, format, format_option, hop, classes, subset)
    with progress() as show:
        show("reading scores", 0.0, {})
        with unwarned():
            score_set = options.read()
        processor.check(score_set)
        tell_data(data_report(score_set))
        show("applying", 0.5, {})
        events = processor.apply(score_set)
    path, told = output_file(out)
    write_events(events, path)
    said = f"Wrote {len(events)} events of {score_set.n_clips} clips to {path}."
    if ends := score_set.origin.durations:
        said += f" Clip lengths: {ends}{', since no --durations are given' if ends == LAST_FRAME else ''}."
    told.say(said)
