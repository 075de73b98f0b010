"""The command that tells what kinds of errors events make, and which of them make the difference between two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_postproc.utils.errors import UserError, unwarned

from .inputs import DataOptions, class_names, with_plugins
from .metrics import chosen_metrics
from .options import Classes, Durations, FormatOptions, Hop, Plugins, ScoreFormat, Scores, Settings, Subset
from .output import console, output_file

if TYPE_CHECKING:
    from rl_postproc.data.events import Events


def diary(
    events: Annotated[
        Path, typer.Argument(help="TSV of detected events; or, with --scores, a run folder of `train` or `universal`.")
    ],
    references: Annotated[Path, typer.Option(help="Table of reference events.")],
    others: Annotated[
        Path | None, typer.Argument(help="Other events of the same clips, or another run folder, to compare with.")
    ] = None,
    durations: Durations = None,
    scores: Scores = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    plot: Annotated[Path | None, typer.Option(help="PNG to draw.")] = None,
    plugin: Plugins = None,
    setting: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what kinds of errors events make, what mending each would gain, and which make the difference between two.

    `rl-postproc diary before.tsv after.tsv --references REFERENCES.tsv --durations DURATIONS.tsv --plot diary.png`

    `rl-postproc diary universal runs/mine --scores SCORES --references REFERENCES.tsv`

    Every missed reference and every false alarm of the metric's own matching belongs to exactly one kind: wrong onset, offset
    or both; split; merged; of another class; missed; duplicate; beside other classes; on silence. The parts of the difference
    add up to the difference in macro F1. Collars go with --set metric.KEY=VALUE.
    """
    from rl_postproc.diary import contributions
    from rl_postproc.diary import diary as make_diary
    from rl_postproc.metrics import Metric
    from rl_postproc.pipeline.postprocessor import shipped
    from rl_postproc.results.diary_tables import diary_classes_table, diary_table, plot_diary
    from rl_postproc.results.figures import save

    with_plugins({}, plugin, None)
    paths = [path for path in (events, others) if path is not None]
    folders = [path for path in paths if shipped(path).is_dir()]
    if folders and scores is None:
        raise UserError(f"'{folders[0]}' is a run folder; give --scores with the scores to apply it to.")
    if scores is not None and not folders:
        raise UserError(f"'{events}' holds events, so scores are not needed; leave out --scores, or give a run folder.")
    (metric,) = chosen_metrics(None, setting, {}, _tuned_for(paths))
    if not isinstance(metric, Metric):
        raise UserError(f"A diary is about single events, and '{metric.name}' ranks them; give another metric.")
    options = DataOptions(scores, references, durations, format, format_option, hop, classes, subset)
    expected, found = _over_the_same([_read(path, options) for path in paths], paths)
    diaries, names = [make_diary(expected, own, metric) for own in found], _names(paths)
    title = f"{len(expected)} references in {len(expected.clip_ids)} clips; gains in points"
    if plot is not None:
        path, told = output_file(plot)
        save(plot_diary(diaries, names, title), path)
    if as_json:
        answer: dict[str, Any] = {"metric": metric.model_dump(mode="json"), "events": [
            {"events": str(path), **own.to_json()} for path, own in zip(paths, diaries, strict=True)]}  # fmt: skip
        if len(diaries) == 2:
            answer["difference"] = _difference(contributions(*diaries), expected.classes)
        print(json.dumps(answer))
        return
    console.print(diary_table(diaries, names, title))
    console.print(diary_classes_table(diaries, "Errors by class, missed and false alarms together"))
    if plot is not None:
        told.say(f"Drew {path}.")


def _tuned_for(paths: list[Path]) -> dict[str, Any] | None:
    """Returns the metric that the run folders were tuned for, None for the usual one: without any, or where they differ."""
    from rl_postproc.pipeline.postprocessor import PostProcessor, shipped

    found = [PostProcessor.load(path).about.get("metric") for path in map(shipped, paths) if path.is_dir()]
    known = [metric for metric in found if metric]
    return known[0] if known and known[0] == known[-1] else None


def _read(events: Path, options: DataOptions) -> tuple[Events, Events]:
    """Returns references and detected events of a table, or of a run folder applied to the scores."""
    from rl_postproc.formats import read_event_pair
    from rl_postproc.pipeline.postprocessor import PostProcessor, shipped, with_classes

    path = shipped(events)
    assert options.references is not None
    if not path.is_dir():
        names = class_names(options.classes) if options.classes else None
        return read_event_pair(path, options.references, options.durations, names, options.subset)
    processor = PostProcessor.load(path)
    with unwarned():
        scores = with_classes(options.read(), processor.classes)
    processor.check(scores)
    return scores.require_references(), processor.apply(scores)


def _over_the_same(pairs: list[tuple[Events, Events]], paths: list[Path]) -> tuple[Events, list[Events]]:
    """Returns the references, and the events of all over the clips and classes that they have together.

    Raises:
        UserError: they are of different clips.
    """
    from rl_postproc.data.events import Events

    clips = pairs[0][0].clip_ids
    for (references, _), path in zip(pairs[1:], paths[1:], strict=True):
        if set(references.clip_ids) != set(clips):
            odd = sorted(set(references.clip_ids) ^ set(clips))[0]
            raise UserError(f"'{paths[0]}' and '{path}' are of different clips, such as '{odd}'; compare events of the same "
                            "ones.")  # fmt: skip
    classes = list(dict.fromkeys(name for references, _ in pairs for name in references.classes))
    expected = Events.from_rows(pairs[0][0].to_rows(), clips, classes)
    return expected, [Events.from_rows(found.to_rows(), clips, classes) for _, found in pairs]


def _names(paths: list[Path]) -> list[str]:
    """Returns what event lists are called in tables: their file names, or whole paths where these are alike."""
    short = [path.stem if path.suffix else path.name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _difference(parts: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    """Returns what each kind of error makes of the difference in macro F1, and of that in F1 of each class."""
    import math

    from rl_postproc.diary import KINDS

    by_kind = parts.nanmean(-1).nan_to_num(0.0).tolist()
    rows = [[None if math.isnan(value) else value for value in row] for row in parts.tolist()]
    return {
        "macro_f1": sum(by_kind),
        "kinds": {
            kind: {"part": part, "classes": dict(zip(classes, row, strict=True))}
            for kind, part, row in zip(KINDS, by_kind, rows, strict=True)
        },
    }
