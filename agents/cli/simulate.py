"""The command that writes the simulated data set as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_postproc.utils.errors import UserError
from rl_postproc.utils.interrupts import if_interrupted

from .options import Settings
from .output import console, progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rl_postproc.data.sparse_clips import SparseClips
    from rl_postproc.simulation.config import SimulationConfig

TABLES = ("references.tsv", "durations.tsv")


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for scores/, references.tsv and durations.tsv.")],
    floor: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Write sparse shards, without tracks that never exceed it, a few clips at a time."
        ),
    ] = None,
    setting: Settings = None,
) -> None:
    """Write the simulated data set as files, in the formats that the other commands read.

    `rl-postproc simulate --out data --set n_clips=100 --set seed=1`

    Settings of the simulator go with --set KEY=VALUE, see `rl-postproc list simulation`. The files then go into the other
    commands:
    `rl-postproc train --out runs/mine --agent grid_search --scores data/scores --references data/references.tsv
    --durations data/durations.tsv`

    Sets of many classes, few of which are active in a clip, are written as sparse shards without ever being held:
    `rl-postproc simulate --out shards --floor 0.05 --set active=0.02 --set n_classes=456 --set n_clips=100000`
    """
    from rl_postproc.formats import write_events, write_scores
    from rl_postproc.simulation.config import SimulationConfig
    from rl_postproc.simulation.data_set import simulate as make
    from rl_postproc.utils.checked import build
    from rl_postproc.utils.files import write_text
    from rl_postproc.utils.override import override

    from ..run_folder import remove, run_folder

    config = build(SimulationConfig, override({}, setting or [], SimulationConfig), "--set")
    if floor is not None:
        _simulate_sparse(config, out, floor)
        return
    with run_folder(out), progress() as show:
        show("simulating", 0.0, {})
        score_set = make(config)
        _refuse_others(out, score_set.clip_ids)
        show("writing", 0.5, {})
        if_interrupted(f"'{out}' holds a part of the score files, and no tables. The same command writes them all:")
        # Until all scores are there, nothing says that the folder is a whole data set.
        remove(out, TABLES)
        write_scores(score_set, out / "scores")
        write_events(score_set.require_references(), out / "references.tsv")
        rows = zip(score_set.clip_ids, score_set.durations.tolist(), strict=True)
        lines = "".join(f"{name}\t{length}\n" for name, length in rows)
        write_text(out / "durations.tsv", "filename\tduration\n" + lines)
    console.say(f"Wrote {score_set.n_clips} clips to {out}.")


def _simulate_sparse(config: SimulationConfig, out: Path, floor: float) -> None:
    """Writes sparse shards block by block.

    Raises:
        UserError: the folder holds other files, or all classes are active.
    """
    from rl_postproc.formats.scores.sparse_writer import tell_written, write_sparse_shards
    from rl_postproc.simulation.sparse import simulate_sparse

    from ..run_folder import run_folder

    if config.active == 1:
        raise UserError(
            "--floor writes few of the tracks; say in which share of the clips a class is active: --set active=0.02."
        )
    if out.is_dir() and any(out.iterdir()) and not (out / "tracks_00000.npy").exists():
        raise UserError(f"'{out}' holds other files; give another --out.")
    with run_folder(out), progress() as show:
        if_interrupted(
            f"'{out}' holds some of the shards, and nothing that lists them. The same command writes them all:"
        )

        def told() -> Iterator[SparseClips]:
            done = 0
            for part in simulate_sparse(config):
                show("simulating", done / config.n_clips, {})
                yield part
                done += part.n_clips

        written = write_sparse_shards(told(), out, floor=floor)
    tell_written(*written, floor)
    console.say(f"Wrote {config.n_clips} clips to {out}.")


def _refuse_others(out: Path, clip_ids: Sequence[str]) -> None:
    """Refuses a folder with files that would be taken for part of the data set, or are not this command's to replace.

    Raises:
        UserError: there is one.
    """
    from rl_postproc.formats.clip_names import without_audio_suffix

    scores = out / "scores"
    expected = {f"{without_audio_suffix(clip)}.tsv" for clip in clip_ids}
    there = sorted(path.name for path in scores.iterdir()) if scores.is_dir() else []
    others = [f"scores/{name}" for name in there if name not in expected]
    if not there:
        others = [name for name in TABLES if (out / name).exists()]
    if others:
        raise UserError(
            f"'{out / others[0]}' is not of this data set; give another --out, or delete what is in '{out}'."
        )
