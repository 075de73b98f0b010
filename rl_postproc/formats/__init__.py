"""How scores, references and durations enter, and events leave.

A new format is one module with ``DESCRIPTION``, ``recognises`` and ``read``, and one line in ``FORMATS``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from rl_postproc.errors import UserError, suggest
from rl_postproc.formats import npy_folder, operating_points, sed_scores, shards, tags
from rl_postproc.formats.events_tsv import EventRow, read_durations, read_events, write_events
from rl_postproc.formats.pair import read_event_pair
from rl_postproc.scores import ScoreSet

__all__ = [
    "FORMATS",
    "EventRow",
    "Format",
    "read_durations",
    "read_event_pair",
    "read_events",
    "read_scores",
    "write_events",
]


class Format(Protocol):
    """What a format's module offers.

    ``read`` takes the path, the keywords of ``read_scores`` and, as keywords, the format's own options.
    """

    @property
    def DESCRIPTION(self) -> str:  # noqa: N802
        """What the format looks like, in half a sentence."""
        ...

    @property
    def read(self) -> Callable[..., ScoreSet]:
        """Reads the scores."""
        ...

    def recognises(self, path: str | Path) -> bool:
        """Returns whether what lies there looks like this format, without reading it all."""
        ...


FORMATS: dict[str, Format] = {
    "operating_points": operating_points,
    "sed_scores": sed_scores,
    "npy": npy_folder,
    "shards": shards,
    "tags": tags,
}
"""All formats of scores by name."""


def read_scores(
    path: str | Path,
    *,
    format: str = "auto",
    references: str | Path | None = None,
    durations: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    hop: float | None = None,
    subset: bool = False,
    **options: Any,
) -> ScoreSet:
    """Reads one detector's scores on a set of clips.

    Args:
        path: where the scores lie, usually a folder.
        format: name of a format, or ``auto`` to tell it from the contents.
        references: table of reference events, or folder of one file a clip; the set has none when None.
        durations: table of clip durations; taken from the last frames when None.
        classes: class names, or the path of a text file with one name a line, where the format needs or allows them.
        hop: frame length in seconds, where the format does not tell it.
        subset: whether to drop references and durations of clips without scores.
        **options: the format's own options.

    Raises:
        UserError: the path or the format is unknown, or the files cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no '{path}'; give the folder of the scores.")
    if format != "auto" and format not in FORMATS:
        raise UserError(f"There is no format '{format}'{suggest(format, ['auto', *FORMATS])}.")
    name = _recognise(path) if format == "auto" else format
    reader = FORMATS[name].read
    known = list(inspect.signature(reader).parameters)[1:]
    for option in options:
        if option not in known:
            raise UserError(f"The format '{name}' has no option '{option}'{suggest(option, known)}.")
    return reader(
        path, references=references, durations=durations, classes=classes, hop=hop, subset=subset, **options
    )  # fmt: skip


def _recognise(path: Path) -> str:
    """Returns the name of the one format that the contents look like."""
    if path.is_dir() and not any(path.iterdir()):
        raise UserError(f"The folder '{path}' is empty; give the folder of the scores.")
    names = [name for name, kind in FORMATS.items() if kind.recognises(path)]
    if len(names) > 1:
        raise UserError(f"'{path}' looks like {' and '.join(names)}; say which with format.")
    if not names:
        kinds = "; ".join(f"{name} ({kind.DESCRIPTION})" for name, kind in FORMATS.items())
        raise UserError(f"'{path}' looks like no known format; known are {kinds}.")
    return names[0]
