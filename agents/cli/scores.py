"""The commands that make scores of audio."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.interrupts import if_interrupted

from .inputs import class_names, use_threads
from .output import console, notes, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rl_postproc.sources import Detector, Recording

scores = typer.Typer(
    help="Make frame-level scores of audio, for the other commands: with PANNs, or with a detector of your own.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Audio = Annotated[
    list[Path],
    typer.Argument(
        help="Files of audio, and folders of them (wav, flac, mp3, ogg, …). Clips are called as their files."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for scores/ and durations.tsv.")]
Events = Annotated[
    Path | None,
    typer.Option(help="Go on to events: the file to write, or for some formats folder; - for standard output."),
]
To = Annotated[
    str | None,
    typer.Option(help="Format of the events, see `rl-postproc list`; else what the suffix of --events says."),
]
With = Annotated[str, typer.Option("--with", help="What makes the events: `universal`, or a run folder of `train`.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Replace the scores in --out, in place of going on from there.")]


@scores.command("panns")
def panns(
    audio: Audio,
    checkpoint: Annotated[
        Path,
        typer.Option(
            help="Checkpoint of Cnn14_DecisionLevelMax or Cnn14_DecisionLevelAtt, as it was published, or its name in the "
            "catalogue: `panns-cnn14-decisionlevelmax`, once it is downloaded."
        ),
    ],
    out: Out,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Target classes: `desed`, a YAML file of AudioSet names by target class (`Dog: [Dog, Bark]`), or AudioSet "
            "names (a text file with one a line, or separated by commas). All 527 if not given.",
            metavar="MAP_OR_NAMES",
        ),
    ] = None,
    frames: Annotated[
        str, typer.Option(help="`native` segments of 0.32 s, or `interpolated` to 0.01 s as in the published code.")
    ] = "native",
    batch_size: Annotated[int, typer.Option(min=1, help="Stretches of audio that are worked on at once.")] = 4,
    chunk: Annotated[
        float, typer.Option(min=0.32, help="Seconds of a stretch; longer recordings come out the same whatever it is.")
    ] = 32.0,
    device: Annotated[str, typer.Option(help="Torch device, such as cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if not given.")] = None,
    events: Events = None,
    to: To = None,
    run: With = "universal",
    fresh: Fresh = False,
) -> None:
    """Score audio with PANNs: probabilities of AudioSet's classes, or of your own made of them, every 0.32 s.

    `rl-postproc download panns-cnn14-decisionlevelmax`

    `rl-postproc scores panns recordings/ --checkpoint panns-cnn14-decisionlevelmax --out data --classes desed`

    The published networks of Kong et al. (2020) are run as they are: mono at 32 kHz, any length, true time stamps. A target
    class has the highest probability of its AudioSet classes, or with `by: noisy_or` that of at least one of them:

    `Dog: {of: [Dog, Bark, Howl], by: noisy_or}`

    With --events it goes on to events, as `apply` does: `--events labels --to audacity` writes label files to look at.

    Nothing in a checkpoint is run. What is finished is kept when the command is stopped, and the same command goes on.
    """
    if frames not in ("native", "interpolated"):
        raise UserError(f"--frames is native or interpolated, not '{frames}'.")
    from rl_postproc.sources.panns import Panns
    from rl_postproc.sources.panns.classes import SHIPPED

    if threads is not None:
        use_threads(threads)
    is_mapping = classes in SHIPPED or Path(classes or "").suffix.lower() in (".yaml", ".yml")
    targets = classes if is_mapping or classes is None else class_names(classes)
    _score(lambda: Panns(checkpoint, targets, frames, batch_size, chunk, device), audio, out, fresh, (run, events, to))


@scores.command("python")
def python(
    function: Annotated[
        str, typer.Argument(help="module:function, the module by its name or as a Python file: my_detector.py:scores.")
    ],
    audio: Audio,
    out: Out,
    classes: Annotated[
        str | None,
        typer.Option(
            help="One name a column: a text file with one a line, or names separated by commas. The list `classes` in the "
            "module if not given.",
            metavar="FILE_OR_NAMES",
        ),
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Samples a second to resample to; each file's own.")] = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where the function failed, if it does.")] = False,
    events: Events = None,
    to: To = None,
    run: With = "universal",
    fresh: Fresh = False,
) -> None:
    """Score audio with a Python function of your own, around whatever detector you have.

    `rl-postproc scores python my_detector.py:scores recordings/ --out data --rate 16000`

    It is called as `scores(audio, rate)` for every recording, with float32 mono samples and the samples a second, and returns
    probabilities `[frame, class]` and the frame length in seconds. Frames are even and begin at 0 s.
    """
    from rl_postproc.sources.python import PythonDetector

    names = None if classes is None else class_names(classes)
    try:
        _score(lambda: PythonDetector(function, names, rate), audio, out, fresh, (run, events, to))
    except UserError as error:
        if traceback and error.__cause__ is not None:
            from traceback import format_exception

            notes.say("".join(format_exception(error.__cause__)))
        raise


def _score(
    detector: Callable[[], Detector],
    audio: Sequence[Path],
    out: Path,
    fresh: bool,
    goal: tuple[str, Path | None, str | None],
) -> None:
    """Finds the recordings, scores them, and makes events of the scores or says how.

    Args:
        detector: loads it.
        audio: recordings and folders of them.
        out: folder for the scores.
        fresh: whether scores there are replaced.
        goal: what makes events, where they are written if they are asked for, and in which format.
    """
    from rl_postproc.sources import find_recordings, score_folder

    from ..run_folder import run_folder
    from .apply import apply, checked_goal

    run, events, to = goal
    if events is None and (to is not None or run != "universal"):
        raise UserError("--to and --with say how events are made; say with --events where they are written.")
    if events is not None:
        checked_goal(Path(run), events, to)
    with progress() as show:
        show("reading headers", 0.0, {})
        recordings: list[Recording] = find_recordings(audio)
        show("loading the detector", 0.0, {})
        loaded = detector()
        with run_folder(out):
            if_interrupted(f"finished recordings are kept in '{out / 'scores'}'. The same command goes on from there:")
            written = score_folder(loaded, recordings, out, fresh, show)
    kept = f" ({written.n_kept} were there)" if written.n_kept else ""
    n_classes, folder = len(loaded.classes), out / "scores"
    said = f"Wrote scores of {len(recordings)} recordings{kept} and {n_classes} classes to {folder}."
    if events is not None:
        notes.say(said)
        apply(Path(run), [folder], events, out / "durations.tsv", subset=True, to=to)
        return
    console.say(f"{said} Next:")
    console.say(f"rl-postproc apply universal {shlex.quote(str(folder))} --out events.tsv")
