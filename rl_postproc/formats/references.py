"""From the rows of event files to the events of a set of clips and classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from rl_postproc.data.events import Events
from rl_postproc.formats.clip_names import folders_remedy
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.text_events import event_files
from rl_postproc.formats.folder import clip_of
from rl_postproc.utils.errors import UserError, suggest


def collect_references(
    rows: Iterable[EventRow],
    clip_ids: Sequence[str],
    classes: Sequence[str],
    path: str | Path,
    source: str = "the scores",
) -> Events:
    """Turns rows into the events of the given clips and classes, with the confidences that they give.

    Args:
        rows: rows of an event file; those without an event only name their clip.
        clip_ids: names of all clips, written as in the rows.
        classes: names of all classes.
        path: the file the rows were read from, or the folder of one file a clip.
        source: where the classes come from, for messages.

    Raises:
        UserError: a row names a clip or a class that is not listed.
    """
    clip_index = {name: i for i, name in enumerate(clip_ids)}
    class_index = {name: i for i, name in enumerate(classes)}
    cells: list[tuple[int, int, float, float, float]] = []
    for name, onset, offset, label, row, confidence in rows:
        if name not in clip_index:
            folders = folders_remedy([name], clip_index)
            raise UserError(f"{_place(path, name, row)}: the clip '{name}' is not among the {len(clip_index)} clips of "
                            f"the set{f'; {folders}' if folders else suggest(name, list(clip_index))}.")  # fmt: skip
        if onset is None or offset is None or label is None:
            continue
        if label not in class_index:
            raise UserError(f"{_place(path, name, row)}: the class '{label}' is not among the classes of {source}"
                            f"{suggest(label, list(class_index))}.")  # fmt: skip
        cells.append((clip_index[name], class_index[label], onset, offset, 1.0 if confidence is None else confidence))
    columns = torch.tensor(cells, dtype=torch.float64).reshape(-1, 5).T
    return Events.from_tensors(clip_ids, classes, *columns[:2].long(), *columns[2:])


def _place(path: str | Path, clip: str, row: int) -> str:
    """Returns ``'file', row n``; in a folder of one file a clip, the file of that clip."""
    path = Path(path)
    if path.is_dir():
        path = next((file for file in event_files(path) if clip_of(file) == clip), path)
    return f"'{path}', row {row}"
