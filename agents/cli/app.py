"""The program: its commands, what its errors look like, and its exit codes."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer

from rl_postproc import __version__
from rl_postproc.utils import interrupts
from rl_postproc.utils.errors import DataWarning, UserError

from .apply import apply
from .benchmark import benchmark, demo
from .catalogue import datasets, download
from .check import check
from .convert import convert
from .diary import diary
from .evaluate import evaluate
from .export import export
from .listing import list_names
from .make import make
from .output import console, notes
from .report import report
from .scores import scores
from .simulate import simulate
from .train import train

app = typer.Typer(
    help="Tune the post-processing of sound event detectors: scores in, better events out.\n\n"
    "Begin with `rl-postproc demo`. With scores of your own: `benchmark` tells which agent is worth it on clips that "
    "it has not seen, `train` tunes a post-processor, `apply` turns scores into events with it, and `evaluate` scores "
    "events; `diary` tells what kinds of errors they make, and `report` makes a page to look at. "
    "Of audio alone `scores` makes scores. `list` shows all that "
    "configs can name, `datasets` the public data that can be downloaded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback(invoke_without_command=True)
def _common(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        console.say(f"rl-postproc {__version__}")
        raise typer.Exit


for command in (
    demo,
    check,
    benchmark,
    train,
    apply,
    export,
    evaluate,
    diary,
    report,
    convert,
    simulate,
    make,
    datasets,
    download,
):
    app.command()(command)
app.command("list")(list_names)
app.add_typer(scores, name="scores")


_USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base of the errors in options and arguments: click's, or that of the copy of click inside newer releases of typer."""


def main() -> None:
    """Runs the command line; every error that a user can mend is one sentence and exit code 2."""
    code = _run()
    # CPython ends a module by SIGINT, whatever its exit code, where an interrupt had once passed through a text that
    # was being executed (as in the making of a namedtuple), even if it was caught. Executing one more forgets it.
    exec("")
    sys.exit(code)


def _run() -> int:
    shown, said = warnings.showwarning, set()

    def show(message: Any, category: type[Warning], *place: Any) -> None:
        if issubclass(category, DataWarning):
            if str(message) not in said:  # once, however often the same data are worked on
                notes.say(str(message), "Note:", "bold yellow")
            said.add(str(message))
        else:
            shown(message, category, *place)

    with interrupts.noticed(), warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        try:
            # Outside its standalone mode typer returns the code of an Exit, which it makes of an interrupt too; commands
            # themselves return None.
            code = app(standalone_mode=False) or 0
        except (KeyboardInterrupt, typer.Abort):
            code = interrupts.CODE
        except BaseException as error:
            code = interrupts.CODE if interrupts.interrupted() else _told(error)
    if code == interrupts.CODE:
        notes.say(interrupts.told())
    return code


def _told(error: BaseException) -> int:
    """Tells what ended a command, where a user can mend it, and returns the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, UserError):
        notes.say(str(error), "Error:", "bold red")
        return 2
    if isinstance(error, _USAGE_ERROR):
        usage: Any = error
        usage.show()
        return usage.exit_code
    if isinstance(error, RuntimeError) and _is_certification_error(error):
        notes.say(str(error), "The figures do not agree with sed_eval, please report this:", "bold red")
        return 3
    raise error


def _is_certification_error(error: RuntimeError) -> bool:
    from rl_postproc.metrics.certify import CertificationError

    return isinstance(error, CertificationError)
