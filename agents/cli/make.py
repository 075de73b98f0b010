"""The command that makes the post-processor that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Settings
from .output import console, progress


def make(
    out: Annotated[Path, typer.Option(help="Folder for the post-processor.")],
    recipe: Annotated[
        str, typer.Argument(help="YAML recipe, or the name of one that comes with the package.")
    ] = "universal",
    setting: Settings = None,
) -> None:
    """Make a post-processor for any detector, class and frame length, of detectors that have references.

    `rl-postproc make --out runs/universal` makes the one that comes with the package, byte for byte on one kind of machine
    (two minutes). Then `rl-postproc apply runs/universal SCORES --out events.tsv`.
    """
    import torch

    from rl_postproc.config import override, read_yaml
    from rl_postproc.utils.checked import build

    from ..run_folder import refuse_others, run_folder
    from ..universal.make import Recipe, fit_universal, post_processor, training_sets
    from .inputs import packaged_config

    path = packaged_config(recipe, "recipes")
    checked = build(Recipe, override(read_yaml(path), setting or [], Recipe), str(path))
    torch.set_num_threads(1)
    with run_folder(out), progress() as show:
        refuse_others(out, {"folds": "the folds of a benchmark", "results.json": "the results of a benchmark",
                            "report.json": "a run of `train`"})  # fmt: skip
        show("reading scores", 0.0, {})
        real = [source.data.load(path.resolve().parent) for source in checked.real]
        sets = list(training_sets(checked, real, report=lambda done, figures: show("decoding", 0.5 * done, figures)))
        n_events = sum(len(own.features) for own in sets)
        show("fitting", 0.5, {"events": n_events})
        policy = fit_universal(checked, sets, [name for scores in real for name in scores.clip_ids])
        saved = post_processor(policy, checked, n_events).save(out)
    console.say(f"Saved {saved}, learned from {n_events} events of {len(sets)} detectors. "
                f"Next: rl-postproc apply {out} SCORES --out events.tsv")  # fmt: skip
