"""The command that writes the simulated data set as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Settings
from .output import console


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for scores/, references.tsv and durations.tsv.")],
    setting: Settings = None,
) -> None:
    """Write the simulated data set as files, in the formats that the other commands read.

    `rl-postproc simulate --out data --set n_clips=100 --set seed=1`

    Settings of the simulator go with --set KEY=VALUE. The files then go into the other commands:
    `rl-postproc train --out runs/mine --agent grid_search --scores data/scores --references data/references.tsv
    --durations data/durations.tsv`
    """
    from rl_postproc.formats import sed_scores, write_events
    from rl_postproc.simulation.config import SimulationConfig
    from rl_postproc.simulation.data_set import simulate as make
    from rl_postproc.utils.checked import build
    from rl_postproc.utils.files import write_text
    from rl_postproc.utils.override import override

    score_set = make(build(SimulationConfig, override({}, setting or [], SimulationConfig), "--set"))
    sed_scores.write(score_set, out / "scores")
    write_events(score_set.require_references(), out / "references.tsv")
    rows = zip(score_set.clip_ids, score_set.durations.tolist(), strict=True)
    write_text(out / "durations.tsv", "filename\tduration\n" + "".join(f"{name}\t{length}\n" for name, length in rows))
    console.say(f"Wrote {score_set.n_clips} clips to {out}.")
