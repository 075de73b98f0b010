"""The command that turns scores into events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_postproc.utils.errors import UserError, unwarned

from .inputs import DataOptions, use_threads, with_plugins
from .options import Classes, Durations, FormatOptions, Hop, Plugins, ScoreFormat, Subset, Threads
from .output import output_file, progress, tell_data

if TYPE_CHECKING:
    from rl_postproc.pipeline.postprocessor import PostProcessor


def apply(
    run: Annotated[
        Path,
        typer.Argument(help="`universal`, which comes trained; a run folder of `train`; or a postprocessor.json."),
    ],
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
    precision: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="`universal`: share of the events that should be right, in place of the best F1."
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="`universal`: share of what sounds that should be found, likewise."),
    ] = None,
    events_per_hour: Annotated[
        float | None, typer.Option(min=0, help="`universal`: events of a class in an hour, at most, likewise.")
    ] = None,
    plugin: Plugins = None,
    threads: Threads = 1,
) -> None:
    """Turn scores into events with a tuned post-processor, or with the one that comes trained.

    `rl-postproc apply universal SCORES --out events.tsv`

    `rl-postproc apply runs/mine SCORES --durations DURATIONS.tsv --out events.tsv`

    `universal` takes the scores of any detector, for any classes, and needs no references. A post-processor of `train`
    needs scores of the classes that it was tuned for. Nothing is taken from the data of the run: durations cut
    events that would last beyond a clip's end, and without them a clip ends with its last frame.
    """
    from rl_postproc.data.origin import LAST_FRAME
    from rl_postproc.data.report import data_report
    from rl_postproc.formats import write_events
    from rl_postproc.pipeline.postprocessor import PostProcessor

    use_threads(threads)
    with_plugins({}, plugin, None)
    processor = PostProcessor.load(run)
    _wish(processor, {"precision": precision, "recall": recall, "events_per_hour": events_per_hour})
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


def _wish(processor: PostProcessor, given: dict[str, float | None]) -> None:
    """Sets what the chosen events shall have.

    Raises:
        UserError: two wishes, or one to a post-processor whose operating point is fixed.
    """
    wishes = {name: value for name, value in given.items() if value is not None}
    if not wishes:
        return
    from ..universal.operating_point import Wish
    from ..universal.policy import UniversalPolicy

    named = [f"--{name.replace('_', '-')}" for name in wishes]
    if len(wishes) > 1:
        raise UserError(f"{' and '.join(named)} cannot both decide; give one of them.")
    if not isinstance(processor.policy, UniversalPolicy):
        raise UserError(f"{named[0]} is a wish to the post-processor 'universal', and this one was tuned for its objective; "
                        "leave it out, or tune for another objective.")  # fmt: skip
    ((of, value),) = wishes.items()
    processor.policy.wish = Wish.model_validate({"of": of, "value": value})
