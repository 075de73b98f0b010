"""The one door through which events leave, in whatever format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_postproc.data.events import Events
from rl_postproc.formats.events.base import EventFormat
from rl_postproc.formats.events.read import make_event_format


def write_events(
    events: Events,
    path: str | Path,
    format: str | Mapping[str, Any] | EventFormat | None = None,
    **options: Any,
) -> None:
    """Writes events, whole or not at all.

    Args:
        events: the events.
        path: file to write; for formats of one file a clip a folder, unless there is one clip. Text is compressed where its
            name ends with ``.gz``.
        format: name of a format, a mapping of ``event_format`` and the format's own options, or an `EventFormat`; when
            None the format whose files alone have the suffix of ``path``, else ``table``.
        **options: the format's own options, such as ``confidence`` of ``table``.

    Raises:
        UserError: the format is unknown or cannot hold the events, or the file cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from rl_postproc import Events, write_events
        >>> events = Events.from_rows([("a.wav", 0.5, 0.9, "Cat")], ["a.wav", "b.wav"], ["Cat"])
        >>> with TemporaryDirectory() as folder:
        ...     write_events(events, f"{folder}/events.tsv")
        ...     print(Path(folder, "events.tsv").read_text(), end="")
        filename onset    offset   event_label
        a.wav    0.500000 0.900000 Cat
        b.wav

        Other formats and options::

            write_events(events, "events.tsv", confidence=True)
            write_events(events, "labels", format="audacity")
            write_events(events, "events.rttm")
    """
    path = Path(path)
    make_event_format(format_of_suffix(path) if format is None else format, options).write(events, path)


def format_of_suffix(path: Path) -> str:
    """Returns the name of the format whose files alone have the suffix of a path, ``table`` where there is none."""
    name = path.name.lower().removesuffix(".gz")
    for own, kind in EventFormat.types().items():
        if kind.suffixes and name.endswith(kind.suffixes):
            return own
    return "table"
