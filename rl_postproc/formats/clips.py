"""Clips by name: which reference and which duration belong to which scores, and the score set they make together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from rl_postproc import catalogue
from rl_postproc.data.event_columns import COLUMNS
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Given
from rl_postproc.formats.clip_names import folders_remedy, match_names
from rl_postproc.formats.durations import read_durations
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.read import read_events
from rl_postproc.formats.folder import clip_of
from rl_postproc.formats.references import collect_references
from rl_postproc.utils.errors import UserError, quoted

_EMPTY = {"references": " (with empty onset, offset and label for a clip without events)", "durations": ""}


class ClipTable(NamedTuple):
    """What a file tells about clips.

    Attributes:
        path: the file, or the folder of one file a clip.
        kind: ``references`` or ``durations``.
        clips: the distinct names in file order.
        rows: the events of references, else empty.
        seconds: durations by name, else empty.
    """

    path: Path
    kind: str
    clips: list[str]
    rows: list[EventRow]
    seconds: dict[str, float]


def load_references(path: str | Path | None) -> ClipTable | None:
    """Reads references in any format of events: one file of all clips, or a folder of one file a clip.

    A file of all clips has at least one row; an empty file of a folder is a clip without events.

    Raises:
        UserError: a file cannot be used.
    """
    if path is None:
        return None
    path = catalogue.stand_in(path, "references")
    rows = read_events(path)
    if not rows:
        raise UserError(f"The references '{path}' hold no row; give a table with the columns {', '.join(COLUMNS)}, and a "
                        "row with a file name alone for each clip without events.")  # fmt: skip
    return ClipTable(path, "references", list(dict.fromkeys(row.filename for row in rows)), rows, {})


def load_durations(path: str | Path | None) -> ClipTable | None:
    """Reads the table of durations.

    Raises:
        UserError: the file cannot be used.
    """
    if path is None:
        return None
    path = catalogue.stand_in(path, "durations")
    seconds = read_durations(path)
    return ClipTable(path, "durations", list(seconds), [], seconds)


def align(names: Sequence[str], source: str, table: ClipTable, subset: bool) -> list[str]:
    """Returns the table's spelling of every clip.

    Args:
        names: clips.
        source: what lists these clips, for messages, such as ``the scores 'folder'``.
        table: references or durations.
        subset: whether the table may list further clips.

    Raises:
        UserError: a clip is missing from the table, or, unless ``subset``, the reverse.
    """
    found = match_names(names, table.clips)
    lost = [name for name in names if name not in found]
    matched = set(found.values())
    further = [name for name in table.clips if name not in matched]
    if lost:
        remedy = f"add a row for each{_EMPTY[table.kind]}, or remove them from {source}"
        if not found and further:
            remedy = f"none of them is there, where clips are called {quoted(further)}: give the files of one data set"
        raise UserError(f"{len(lost)} of {len(names)} clips in {source} are missing from the {table.kind} "
                        f"'{table.path}' ({quoted(lost)}); {folders_remedy(lost, further) or remedy}.")  # fmt: skip
    if further and not subset:
        raise UserError(f"{len(further)} of {len(table.clips)} clips in the {table.kind} '{table.path}' are missing "
                        f"from {source} ({quoted(further)}); add them there, or drop them with subset.")  # fmt: skip
    return [found[name] for name in names]


def assemble(
    path: Path,
    names: Sequence[str],
    scores: torch.Tensor,
    edges: torch.Tensor,
    n_frames: torch.Tensor,
    classes: Sequence[str],
    references: ClipTable | None,
    durations: ClipTable | None,
    subset: bool,
) -> ScoreSet:
    """Joins scores with the references and durations of their clips.

    A clip is called what the references call it, else what the durations call it, else by its own name. Without
    durations a clip ends with its last frame.

    Args:
        path: where the scores come from, for messages.
        names: one name a clip.
        scores: ``[clip, class, frame]``.
        edges: seconds, ``[1, frame + 1]`` or ``[clip, frame + 1]``.
        n_frames: valid frames, int64 ``[clip]``.
        classes: one name a class.
        references: reference events, or None.
        durations: durations, or None.
        subset: whether references and durations may list clips without scores.

    Raises:
        UserError: the clips differ, or a reference has a class that the scores have not.
    """
    clip_ids, seconds, events = list(names), None, None
    source = f"the scores '{path}'"
    if durations is not None:
        clip_ids = align(names, source, durations, subset)
        seconds = torch.tensor([durations.seconds[name] for name in clip_ids], dtype=torch.float64)
    if references is not None:
        clip_ids = align(names, source, references, subset)
        wanted = set(clip_ids)
        rows = [row for row in references.rows if row.filename in wanted]
        events = collect_references(rows, clip_ids, classes, references.path)
    return ScoreSet.build(scores, edges, clip_ids, classes, n_frames, seconds, events)


def assemble_files(
    folder: Path,
    files: Sequence[Path],
    arrays: Sequence[np.ndarray],
    edges: np.ndarray,
    classes: Sequence[str],
    given: Given,
) -> ScoreSet:
    """Joins the scores of a folder of one file a clip with what is given beside them, see `assemble`.

    Args:
        folder: where the scores come from.
        files: one a clip, whose stem is the clip's name.
        arrays: one a clip, ``[frame, class]``.
        edges: seconds, ``[1, frame + 1]`` or ``[clip, frame + 1]``.
        classes: one name a class.
        given: references, durations and whether they may list clips without scores.
    """
    n_frames = torch.tensor([len(array) for array in arrays])
    scores = np.zeros((len(arrays), len(classes), int(n_frames.max())), dtype=np.float32)
    for clip, array in enumerate(arrays):
        scores[clip, :, : len(array)] = array.T
    names = [clip_of(file) for file in files]
    references, durations = load_references(given.references), load_durations(given.durations)
    tensors = torch.from_numpy(scores), torch.from_numpy(edges), n_frames
    return assemble(folder, names, *tensors, classes, references, durations, given.subset)


def named_clips(folder: Path, files: Sequence[Path], given: Given) -> list[tuple[str, float | None]]:
    """Returns name and length in seconds of the clips of a folder of one file a clip, as `assemble_files` has them.

    Lengths are None without durations.

    Raises:
        UserError: the durations list other clips.
    """
    names, durations = [clip_of(file) for file in files], load_durations(given.durations)
    if durations is None:
        return [(name, None) for name in names]
    listed = align(names, f"the scores '{folder}'", durations, given.subset)
    return [(name, durations.seconds[name]) for name in listed]
