"""The command that scores events against references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rl_postproc.utils.errors import UserError

from .inputs import DataOptions, chosen_metric, names_in, with_plugins
from .options import Classes, Durations, FormatOptions, Hop, Plugins, ScoreFormat, Scores, Settings
from .output import certificate, console


def evaluate(
    events: Annotated[Path, typer.Argument(help="TSV of detected events, or a run folder of `train` (with --scores).")],
    references: Annotated[Path, typer.Option(help="Table of reference events.")],
    durations: Durations = None,
    scores: Scores = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    metric: Annotated[str, typer.Option(help="What is counted, see `rl-postproc list metrics`.")] = "event_based",
    t_collar: Annotated[float | None, typer.Option(help="Collar in seconds (event_based; 0.2 unless given).")] = None,
    percentage_of_length: Annotated[
        float | None,
        typer.Option(help="Offset collar as a share of the length (event_based; 0.2 unless given)."),
    ] = None,
    plugin: Plugins = None,
    setting: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score events against references, by this package and by the metric's outside oracle; any difference is an error.

    `rl-postproc evaluate events.tsv --references REFERENCES.tsv`

    For event-based F1 the oracle is sed_eval. Settings of other metrics go with --set metric.KEY=VALUE.
    """
    from rl_postproc.formats import read_event_pair
    from rl_postproc.metrics import certify
    from rl_postproc.pipeline.postprocessor import PostProcessor
    from rl_postproc.results.tables import classes_table

    with_plugins({}, plugin, None)
    collars = {"t_collar": t_collar, "percentage_of_length": percentage_of_length}
    chosen = chosen_metric(metric, setting, collars)
    if events.is_dir():
        from rl_postproc.pipeline.postprocessor import with_classes

        if scores is None:
            raise UserError(f"'{events}' is a run folder; give --scores with the scores to apply it to.")
        processor = PostProcessor.load(events)
        options = DataOptions(scores, references, durations, format, format_option, hop, classes)
        score_set = with_classes(options.read(), processor.classes)
        expected, found = score_set.require_references(), processor.apply(score_set)
    else:
        if scores is not None or format_option or hop is not None:
            raise UserError(f"'{events}' holds events, so scores are not needed; leave out --scores, --format-option "
                            "and --hop, or give the run folder of `train` to apply.")  # fmt: skip
        expected, found = read_event_pair(events, references, durations, names_in(classes) if classes else None)
    figures = certify.evaluate(expected, found, chosen)
    if as_json:
        print(json.dumps(figures.to_json()))
    else:
        console.print(classes_table(figures, str(events)))
        console.print(f"The figures are {certificate(figures.certified_by)}.")
