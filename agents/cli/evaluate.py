"""The command that scores events against references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_postproc.utils.errors import UserError, unwarned, warn

from .inputs import DataOptions, chosen_metric, class_names, with_plugins
from .options import Classes, Durations, FormatOptions, Hop, Plugins, ScoreFormat, Scores, Settings, Subset
from .output import certificate, console, tell_data

if TYPE_CHECKING:
    from rl_postproc.data.scores import ScoreSet
    from rl_postproc.metrics import Metric
    from rl_postproc.pipeline.postprocessor import PostProcessor


def evaluate(
    events: Annotated[
        Path,
        typer.Argument(
            help="Detected events; a list of pairs of files; or, with --scores, a run folder of `train` or `universal`."
        ),
    ],
    references: Annotated[
        Path | None, typer.Option(help="Reference events; not for a list of pairs, which names them.")
    ] = None,
    durations: Durations = None,
    scores: Scores = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    metric: Annotated[
        str | None,
        typer.Option(help="What is counted, see `rl-postproc list metrics`; else the run's, or event_based."),
    ] = None,
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

    `rl-postproc evaluate PAIRS.txt`

    `rl-postproc evaluate universal --scores SCORES --references REFERENCES.tsv`

    A run folder is scored by the metric that it was tuned for, unless another is given. A class without references has no
    score, and its events count in the micro average alone. With --subset only the clips count that the events (or scores)
    list; without it, the references' clips, where the events may be silent.

    Events and references come in any format that `rl-postproc list event_formats` shows. A list of pairs, as sed_eval's
    evaluators take it, names a file of references and a file of events in each row.

    For event-based F1 the oracle is sed_eval. Settings of other metrics go with --set metric.KEY=VALUE.
    """
    from rl_postproc.formats import read_event_pair, read_pair_list
    from rl_postproc.metrics import certify
    from rl_postproc.pipeline.postprocessor import PostProcessor, shipped
    from rl_postproc.results.tables import classes_table

    with_plugins({}, plugin, None)
    collars = {"t_collar": t_collar, "percentage_of_length": percentage_of_length}
    events = shipped(events)
    if events.is_dir() and (scores is not None or not _holds_events(events)):
        from rl_postproc.data.report import data_report
        from rl_postproc.pipeline.postprocessor import with_classes

        if scores is None:
            raise UserError(f"'{events}' is a run folder; give --scores with the scores to apply it to.")
        processor = PostProcessor.load(events)
        chosen = chosen_metric(metric, setting, collars, processor.about.get("metric"))
        options = DataOptions(scores, references, durations, format, format_option, hop, classes, subset)
        with unwarned():
            score_set = with_classes(options.read(), processor.classes)
        score_set.require_references()
        processor.check(score_set)
        tell_data(data_report(score_set))
        _tell_known(processor, score_set)
        expected, found = score_set.require_references(), processor.apply(score_set)
    else:
        if scores is not None or format_option or hop is not None or format != "auto":
            raise UserError(f"'{events}' holds events, so scores are not needed; leave out --scores, --format, "
                            "--format-option and --hop, or give the run folder of `train` to apply.")  # fmt: skip
        chosen, names = chosen_metric(metric, setting, collars), class_names(classes) if classes else None
        if references is not None:
            expected, found = read_event_pair(events, references, durations, names, subset)
        elif durations is not None or subset:
            raise UserError("--durations and --subset go with --references; give these too.")
        else:
            expected, found = read_pair_list(events, names)
    figures = certify.evaluate(expected, found, chosen)
    if as_json:
        print(json.dumps(figures.to_json()))
    else:
        console.print(classes_table(figures, str(events)))
        console.say(f"Metric: {_described(chosen)}. The figures are {certificate(figures.certified_by)}.")


def _holds_events(folder: Path) -> bool:
    """Returns whether a folder holds files of events, one a clip."""
    from rl_postproc.formats import EventFormat

    return any(kind.recognises(folder) for kind in EventFormat.types().values())


def _described(metric: Metric) -> str:
    """Returns a metric's name and settings, as its config has them."""
    settings = ", ".join(f"{key} {value}" for key, value in metric.model_dump(exclude={"metric"}).items())
    return f"{metric.metric} ({settings})" if settings else metric.metric


def _tell_known(processor: PostProcessor, scores: ScoreSet) -> None:
    """Warns where a post-processor that comes trained has learned from the clips that it is to be scored on."""
    from ..universal.policy import UniversalPolicy

    if isinstance(processor.policy, UniversalPolicy) and processor.policy.knows(scores.clip_ids):
        warn("The trained post-processor has learned from references of clips of these names, so that its figures on them "
             "are not held out.")  # fmt: skip
