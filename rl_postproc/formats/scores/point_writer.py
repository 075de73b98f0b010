"""Writing operating points: the detections at several thresholds, one table each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS, even_edges
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import runs
from rl_postproc.formats.events.write import write_events
from rl_postproc.formats.folder import refuse_other_files
from rl_postproc.formats.scores.detections import SUFFIXES
from rl_postproc.utils.errors import UserError

Probability = Annotated[float, Field(ge=0, lt=1)]
DESED_THRESHOLDS = tuple(k / 100 for k in range(1, 100, 2))
"""The 50 at which the baselines of the DESED task are evaluated."""
MOST_LEVELS = 1000


def write_points(
    scores: ScoreSet, folder: Path, thresholds: Sequence[float] | Literal["levels"], gzip: bool = False
) -> None:
    """Writes the events of ``score > threshold`` at each threshold, as ``predictions_th_0.01.tsv`` and so on.

    Events begin and end with their frames, also where a clip ends within its last frame. A clip without events is a row
    with a file name alone in the first table, so that the clips are known without durations.

    Args:
        scores: on evenly spaced frames that begin at 0.
        folder: where to write.
        thresholds: in [0, 1), or ``levels`` for one midway between each two neighbouring scores.
        gzip: whether the tables are compressed.

    Raises:
        UserError: the frames are not evenly spaced from 0, there are too many levels, the folder holds other tables, or
            a file cannot be written.
    """
    _require_even(scores)
    values = _levels(scores) if isinstance(thresholds, str) else sorted(set(thresholds))
    names = [f"predictions_th_{np.format_float_positional(value, trim='0')}" for value in values]
    files = [folder / f"{name}{'.tsv.gz' if gzip else '.tsv'}" for name in names]
    refuse_other_files(folder, files, SUFFIXES)
    edges = scores.edges[0].cpu().round(decimals=DECIMALS)
    tracks = scores.scores.cpu().flatten(0, 1)
    for k, (file, value) in enumerate(zip(files, values, strict=True)):
        track, first, last = runs(tracks > value)
        clip, named = track // scores.n_classes, torch.arange(scores.n_clips)
        if k:
            named, clip = torch.unique(clip, return_inverse=True)
        clip_ids = [scores.clip_ids[i] for i in named.tolist()]
        columns = clip, track % scores.n_classes, edges[first], edges[last + 1]
        write_events(Events.from_tensors(clip_ids, scores.classes, *columns), file, format="table")


def _require_even(scores: ScoreSet) -> None:
    """Refuses frames that could not be told from event times."""
    row = scores.edges[0].cpu().numpy()
    even = even_edges(float(row[-1]) / scores.width, scores.width).numpy()
    # Edges and event times are both rounded to microseconds.
    if len(scores.edges) > 1 or np.abs(row - even).max() > 2 * 10.0**-DECIMALS:
        raise UserError("Operating points hold frames of one length from 0 s on, but those of the scores are uneven or "
                        "begin later; write them in the format sed_scores.")  # fmt: skip


def _levels(scores: ScoreSet) -> list[float]:
    """Returns a threshold midway between each two neighbouring scores that occur."""
    found = torch.unique(scores.scores.movedim(1, 2)[scores.valid].double()).cpu()
    if len(found) > MOST_LEVELS:
        raise UserError(f"The scores have {len(found)} levels, of which a table each would be written, more than "
                        f"{MOST_LEVELS}; give thresholds.")  # fmt: skip
    return ((found[1:] + found[:-1]) / 2).tolist() or [float(found[0]) / 2]
