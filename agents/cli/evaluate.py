"""The command that scores events against references."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_postproc.utils.errors import UserError, unwarned, warn

from .inputs import DataOptions, class_names, with_plugins
from .metrics import check_ranks_scores, chosen_metrics, judge, settings_of, show
from .options import Classes, Durations, FormatOptions, Hop, Plugins, ScoreFormat, Scores, Settings, Subset
from .output import tell_data

if TYPE_CHECKING:
    from rl_postproc.data.scores import ScoreSet
    from rl_postproc.pipeline.postprocessor import PostProcessor


def evaluate(
    events: Annotated[
        Path | None,
        typer.Argument(
            help="Detected events; a list of pairs of files; or, with --scores, a run folder of `train` or `universal`, or "
            "nothing to rank the scores themselves."
        ),
    ] = None,
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
        list[str] | None,
        typer.Option(
            help="What is measured, see `rl-postproc list metrics` and `list rankings`; else the run's, or event_based. May "
            "be given several times."
        ),
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

    For event-based F1 the oracle is sed_eval. Settings of other metrics go with --set metric.KEY=VALUE, or, where there are
    several, --set NAME.KEY=VALUE: `--metric event_based --metric segment_based --set segment_based.segment_length=0.1`. A
    metric with its settings may stand in braces, too: `--metric '{metric: event_based, evaluate_offset: false}'`.

    Rankings judge the confidences of events, which need a column for them, or the scores of frames:
    `rl-postproc evaluate --scores SCORES --references REFERENCES.tsv --metric mpauc`
    """
    from rl_postproc.formats import read_event_pair, read_pair_list
    from rl_postproc.formats.event_pair import clip_seconds
    from rl_postproc.pipeline.postprocessor import PostProcessor, shipped

    with_plugins({}, plugin, None)
    collars = {"t_collar": t_collar, "percentage_of_length": percentage_of_length}
    options = DataOptions(scores, references, durations, format, format_option, hop, classes, subset)
    events = None if events is None else shipped(events)
    if events is None:
        if scores is None:
            raise UserError(
                "There is nothing to evaluate; give events, a run folder with --scores, or --scores to rank."
            )
        chosen = chosen_metrics(metric, setting, collars)
        check_ranks_scores(chosen)
        found = _read_scores(options)
        expected, seconds = found.require_references(), found.durations
    elif events.is_dir() and (scores is not None or not _holds_events(events)):
        if scores is None:
            raise UserError(f"'{events}' is a run folder; give --scores with the scores to apply it to.")
        processor = PostProcessor.load(events)
        chosen = chosen_metrics(metric, setting, collars, processor.about.get("metric"))
        score_set = _read_scores(options, processor)
        _tell_known(processor, score_set)
        expected, found, seconds = score_set.require_references(), processor.apply(score_set), score_set.durations
    else:
        if scores is not None or format_option or hop is not None or format != "auto":
            raise UserError(f"'{events}' holds events, so scores are not needed; leave out --scores, --format, "
                            "--format-option and --hop, or give the run folder of `train` to apply.")  # fmt: skip
        chosen, names = chosen_metrics(metric, setting, collars), class_names(classes) if classes else None
        seconds = None
        if references is not None:
            expected, found = read_event_pair(events, references, durations, names, subset)
            seconds = clip_seconds(expected.clip_ids, references, durations, subset)
        elif durations is not None or subset:
            raise UserError("--durations and --subset go with --references; give these too.")
        else:
            expected, found = read_pair_list(events, names)
    figures = [judge(one, expected, found, seconds) for one in chosen]
    if as_json:
        told = [own.to_json() for own in figures]
        several = {"metrics": [{"metric": settings_of(one), **own} for one, own in zip(chosen, told, strict=True)]}
        print(json.dumps(several if len(told) > 1 else told[0]))
        return
    for one, own in zip(chosen, figures, strict=True):
        show(one, own, str(scores if events is None else events))


def _read_scores(options: DataOptions, processor: PostProcessor | None = None) -> ScoreSet:
    """Reads scores with references, those of the classes of a post-processor, and shows what they hold."""
    from rl_postproc.data.report import data_report
    from rl_postproc.pipeline.postprocessor import with_classes

    with unwarned():
        scores = options.read() if processor is None else with_classes(options.read(), processor.classes)
    scores.require_references()
    if processor is not None:
        processor.check(scores)
    tell_data(data_report(scores))
    return scores


def _holds_events(folder: Path) -> bool:
    """Returns whether a folder holds files of events, one a clip."""
    from rl_postproc.formats import EventFormat

    return any(kind.recognises(folder) for kind in EventFormat.types().values())


def _tell_known(processor: PostProcessor, scores: ScoreSet) -> None:
    """Warns where a post-processor that comes trained has learned from the clips that it is to be scored on."""
    from ..universal.policy import UniversalPolicy

    if isinstance(processor.policy, UniversalPolicy) and processor.policy.knows(scores.clip_ids):
        warn("The trained post-processor has learned from references of clips of these names, so that its figures on them "
             "are not held out.")  # fmt: skip
