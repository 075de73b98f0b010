"""Scores as sed_scores_eval holds them in memory: a mapping of clips to DataFrames with onset, offset and the classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from rl_postproc.data.arrays import Row, stack_arrays
from rl_postproc.data.frames import common_edges
from rl_postproc.utils.audio_names import without_audio_suffix
from rl_postproc.utils.errors import UserError

if TYPE_CHECKING:
    import pandas

GAP = 1e-6
"""Seconds by which a frame may begin beside the end of the one before: the resolution of event times."""


class ScoreTables(NamedTuple):
    """What DataFrames hold.

    Attributes:
        scores: float32 ``[clip, class, frame]``.
        edges: seconds, float64 ``[1, frame + 1]`` or ``[clip, frame + 1]``.
        clip_ids: one name a clip.
        classes: one name a class, in the order of the first clip.
        n_frames: int64 ``[clip]``.
    """

    scores: torch.Tensor
    edges: torch.Tensor
    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    n_frames: torch.Tensor


def parts_of_tables(tables: Mapping[str, pandas.DataFrame]) -> ScoreTables:
    """Takes DataFrames of sed_scores_eval apart.

    Args:
        tables: by clip id; one row a frame, the columns onset, offset, and one for each class.

    Raises:
        UserError: there is none, one has other columns than the first, no row, values that are no numbers, or frames that
            do not follow one another.
    """
    clip_ids = tuple(tables.keys()) if hasattr(tables, "keys") else ()
    if not clip_ids:
        raise UserError(
            "There is no clip; give a mapping of clip ids to DataFrames with onset, offset and the classes."
        )
    classes: tuple[str, ...] = ()
    arrays, edges = {}, []
    for clip in clip_ids:
        table = tables[clip]
        columns = tuple(map(str, getattr(table, "columns", ())))
        place = f"The DataFrame of clip '{clip}'"
        if columns[:2] != ("onset", "offset") or len(set(columns)) < max(3, len(columns)):
            raise UserError(f"{place} has the columns {', '.join(columns) or 'of no DataFrame'}; give onset, offset and each "
                            "class once.")  # fmt: skip
        classes = classes or columns[2:]
        if set(columns[2:]) != set(classes):
            odd = min(set(columns[2:]) ^ set(classes))
            raise UserError(f"{place} differs from the first in the class '{odd}'; give all clips the same classes.")
        try:
            values = table.to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"{place} holds what is no number ({error}); give probabilities.") from error
        edges.append(_edges(values[:, 0], values[:, 1], place))
        arrays[clip] = values[:, [columns.index(name) for name in classes]]
    stacked, n_frames = stack_arrays(arrays, classes)
    return ScoreTables(stacked, torch.from_numpy(common_edges(edges)), clip_ids, classes, n_frames)


def rows_of_truth(truth: Mapping[Any, Iterable[Sequence[Any]]]) -> list[Row]:
    """Returns the rows ``(clip_id, onset, offset, label)`` of a ground truth of sed_scores_eval.

    Args:
        truth: by clip id the events ``(onset, offset, label)``.
    """
    return [(clip, *event) for clip, events in truth.items() for event in events]  # type: ignore[misc]


def tables_of(
    scores: torch.Tensor,
    edges: torch.Tensor,
    clip_ids: Sequence[str],
    classes: Sequence[str],
    n_frames: torch.Tensor,
) -> dict[str, pandas.DataFrame]:
    """Makes the DataFrames that sed_scores_eval takes, by clip ids without audio extensions, as it names clips.

    Args:
        scores: ``[clip, class, frame]``.
        edges: seconds, ``[1, frame + 1]`` or ``[clip, frame + 1]``.
        clip_ids: one name a clip.
        classes: one name a class.
        n_frames: ``[clip]``.

    Raises:
        UserError: pandas is not installed, or two clips differ in their audio extensions alone.
    """
    try:
        import pandas
    except ImportError as error:
        raise UserError('DataFrames need pandas; run `pip install "rl-postproc[bench]"`.') from error
    names = [without_audio_suffix(clip) for clip in clip_ids]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"Two clips are called '{twice}' without their audio extensions, as sed_scores_eval names clips; "
                        "rename one.")  # fmt: skip
    all_edges, columns = edges.expand(len(names), -1).cpu().numpy(), ["onset", "offset", *classes]
    tables = {}
    for i, (name, n) in enumerate(zip(names, n_frames.tolist(), strict=True)):
        times, values = all_edges[i, : n + 1], scores[i, :, :n].T.double().cpu().numpy()
        tables[name] = pandas.DataFrame(np.column_stack([times[:-1], times[1:], values]), columns=pandas.Index(columns))
    return tables


def _edges(onset: np.ndarray, offset: np.ndarray, place: str) -> np.ndarray:
    """Returns the edges of frames that follow one another, float64 ``[frame + 1]``."""
    if not len(onset):
        raise UserError(f"{place} has no row; give one a frame.")
    edges = np.append(onset, offset[-1])
    if not (np.isfinite(edges).all() and edges[0] >= 0 and (np.diff(edges) > 0).all()):
        raise UserError(f"{place} holds times that are not finite or do not increase from 0 s on; sort its frames.")
    if not (np.abs(onset[1:] - offset[:-1]) <= GAP).all():
        raise UserError(
            f"{place} holds frames that do not begin where those before end; leave neither gaps nor overlaps."
        )
    return edges
