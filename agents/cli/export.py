"""The command that takes constants elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .inputs import with_plugins
from .options import Plugins
from .output import output_file


def export(
    run: Annotated[Path, typer.Argument(help="A run folder of `train`, or a postprocessor.json.")],
    to: Annotated[
        Literal["yaml", "numpy"],
        typer.Option(help="`yaml`: constants to read, to change and to apply; `numpy`: a Python function of one file."),
    ],
    out: Annotated[Path, typer.Option(help="File to write; - for standard output.")],
    plugin: Plugins = None,
) -> None:
    """Write the constants of a post-processor as plain YAML, or as a NumPy function for devices without torch.

    `rl-postproc export runs/mine --to numpy --out postprocess.py` writes `events(scores, hop)`, which imports NumPy alone and
    gives the events that `apply` gives. What a learned policy chooses cannot be exported.
    """
    from rl_postproc.export.constants import write_yaml
    from rl_postproc.export.numpy_file import write_numpy
    from rl_postproc.pipeline.postprocessor import PostProcessor

    with_plugins({}, plugin, None)
    processor = PostProcessor.load(run)
    path, told = output_file(out)
    (write_yaml if to == "yaml" else write_numpy)(processor, path)
    told.say(f"Wrote the constants of {len(processor.classes or ())} classes to {path}.")
