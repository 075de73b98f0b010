"""The command that turns scores into events."""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_postproc.utils.errors import UserError

from .inputs import DataOptions, use_threads, with_plugins
from .options import Classes, Cluster, Durations, FormatOptions, Hop, Jobs, Plugins, ScoreFormat, Subset, Threads
from .output import output_file, progress, tell_data

if TYPE_CHECKING:
    from rl_postproc.formats.events.base import EventFormat
    from rl_postproc.pipeline.postprocessor import PostProcessor


def apply(
    run: Annotated[
        Path,
        typer.Argument(help="`universal`, which comes trained; a run folder of `train`; or a postprocessor.json."),
    ],
    scores: Annotated[
        list[Path],
        typer.Argument(help="Folders (for some formats: files) of scores; - for one score table on standard input."),
    ],
    out: Annotated[
        Path,
        typer.Option(help="What to write: a table filename, onset, offset, event_label; - for standard output."),
    ],
    durations: Durations = None,
    format: ScoreFormat = "auto",
    format_option: FormatOptions = None,
    hop: Hop = None,
    classes: Classes = None,
    subset: Subset = False,
    clip: Annotated[str, typer.Option(help="Name of the clip on standard input.")] = "stdin",
    to: Annotated[
        str | None,
        typer.Option(help="Format of the events, see `rl-postproc list`; by default what the suffix of --out says."),
    ] = None,
    confidence: Annotated[bool, typer.Option(help="Write how sure each event is, too.")] = False,
    jobs: Jobs = 1,
    cluster: Cluster = None,
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

    Several SCORES are sets of their own, whose events are written together. With constants, large files are read in pieces.
    The workers of a cluster find run folder and scores under the same paths as this machine.
    """
    from rl_postproc.data.origin import LAST_FRAME
    from rl_postproc.formats import write_events
    from rl_postproc.pipeline.apply_files import apply_files
    from rl_postproc.work import choose_engine

    engine = choose_engine(jobs, cluster, threads)
    wishes = {"precision": precision, "recall": recall, "events_per_hour": events_per_hour}
    processor = loaded(run, plugin, wishes, threads)
    load = _elsewhere(run, plugin, wishes, threads) if engine.is_apart else lambda: processor
    kind = _event_format(to, out, confidence, processor)
    with _spooled(scores, clip) as given, progress() as show:
        subset = subset or (len(given) > 1 and durations is not None)
        options = DataOptions(None, None, durations, format, format_option, hop, classes, subset)
        sets = [replace(options, scores=path, format="sed_scores" if path not in scores else format).score_files()
                for path in given]  # fmt: skip
        applied = apply_files(load, sets, engine=engine, progress=show, told=tell_data)
    path, told = output_file(out)
    write_events(applied.events, path, kind)
    ends = ", ".join(dict.fromkeys(own.origin.durations for own in applied.reports if own.origin.durations))
    said = f"Wrote {len(applied.events)} events of {len(applied.events.clip_ids)} clips to {path}."
    if ends:
        said += f" Clip lengths: {ends}{', since no --durations are given' if ends == LAST_FRAME else ''}."
    told.say(said)


def loaded(run: Path, plugins: list[str] | None, wishes: dict[str, float | None], threads: int) -> PostProcessor:
    """Returns the post-processor, in any process.

    Raises:
        UserError: it cannot be loaded, or the wishes make no sense for it.
    """
    from rl_postproc.pipeline.postprocessor import PostProcessor

    use_threads(threads)
    with_plugins({}, plugins, None)
    processor = PostProcessor.load(run)
    _wish(processor, wishes)
    return processor


def _elsewhere(
    run: Path, plugins: list[str] | None, wishes: dict[str, float | None], threads: int
) -> Callable[[], PostProcessor]:
    """Returns what loads the post-processor in processes whose working folder is another."""
    from rl_postproc.pipeline.postprocessor import shipped
    from rl_postproc.utils.plugins import full_name

    path = run.absolute() if shipped(run) == run else run
    return functools.partial(loaded, path, [full_name(name) for name in plugins or []], wishes, threads)


def checked_goal(run: Path, out: Path, to: str | None) -> None:
    """Checks, ahead of long work, what makes events of its scores and how they are written.

    Raises:
        UserError: there is no such post-processor or format.
    """
    _event_format(to, out, False, loaded(run, None, {}, 1))


@contextmanager
def _spooled(scores: list[Path], clip: str) -> Iterator[list[Path]]:
    """Yields the paths of the scores, with a folder of the table on the standard input in the place of ``-``.

    The table is kept on disk, and not in memory, because its frame length is told by all of its times.

    Raises:
        UserError: the standard input is named twice, or the clip's name is none.
    """
    names = [str(path) for path in scores]
    if "-" not in names:
        yield scores
        return
    if names.count("-") > 1:
        raise UserError("There is one standard input; give - once.")
    if not clip or Path(clip).name != clip or clip.startswith(".") or "\0" in clip:
        raise UserError(f"--clip '{clip}' is no name of a clip; give one without folders or leading dot.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{clip}.tsv"
        with file.open("wb") as sink:
            shutil.copyfileobj(sys.stdin.buffer, sink)
        try:
            yield [Path(folder) if name == "-" else path for name, path in zip(names, scores, strict=True)]
        except UserError as error:
            said = str(error)
            for place in (f"'{file}'", f"'{folder}'"):
                said = said.replace(place, "standard input")
            raise UserError(said) from error


def _event_format(to: str | None, out: Path, confidence: bool, processor: PostProcessor) -> EventFormat:
    """Returns the format of the events.

    Raises:
        UserError: there is no such format, or confidences are asked for where there are none or the format has no place.
    """
    from rl_postproc.formats.events.read import make_event_format
    from rl_postproc.formats.events.write import format_of_suffix

    kind = make_event_format(format_of_suffix(out) if to is None else to, {})
    if not confidence:
        return kind
    if not processor.policy.gives_confidence(processor.stack):
        raise UserError("This post-processor does not say how sure its events are, since decisions make them; leave out "
                        "--confidence, or tune a stack with boxes.")  # fmt: skip
    if "confidence" not in type(kind).model_fields:
        raise UserError(
            f"The format '{kind.name}' has no option for confidences; leave out --confidence, or use table."
        )
    return kind.model_copy(update={"confidence": True})


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
