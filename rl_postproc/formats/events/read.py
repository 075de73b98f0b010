"""The one door through which events enter, in whatever format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_postproc.formats.events.base import EventFormat, EventRow
from rl_postproc.formats.text import held
from rl_postproc.utils.errors import UserError, suggest

AUTO = "auto"
"""In the place of a format's name: the format that the contents look like."""


def read_events(
    path: str | Path,
    clip: str | None = None,
    format: str | Mapping[str, Any] | EventFormat = AUTO,
    **options: Any,
) -> list[EventRow]:
    """Reads a file of events, or a folder of one file a clip.

    Args:
        path: where the events lie.
        clip: name of the clip of a file that is about one and does not name it; its stem when None.
        format: name of a format, ``auto`` to tell it from the contents, a mapping of ``event_format`` and the format's own
            options, or an `EventFormat`.
        **options: the format's own options, such as ``label`` of ``raven``.

    Returns:
        The rows in file order, times in seconds; a clip without events has a row without times and label, where the
        format can say so.

    Raises:
        UserError: the format is unknown, or the file cannot be used.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from rl_postproc import Events, read_events, write_events
        >>> events = Events.from_rows([("a", 0.5, 0.9, "Cat"), ("a", 1.0, 2.5, "Dog")], ["a"], ["Cat", "Dog"])
        >>> with TemporaryDirectory() as folder:
        ...     write_events(events, Path(folder, "a.txt"), format="audacity")
        ...     [row[:4] for row in read_events(Path(folder, "a.txt"))]
        [('a', 0.5, 0.9, 'Cat'), ('a', 1.0, 2.5, 'Dog')]
    """
    path = Path(path)
    with held(path):
        return make_event_format(recognise_events(path) if format == AUTO else format, options).read(path, clip)


def make_event_format(format: str | Mapping[str, Any] | EventFormat, options: Mapping[str, Any]) -> EventFormat:
    """Returns a format of events with its options, wherever they were given.

    Raises:
        UserError: there is no such format or option.
    """
    if isinstance(format, EventFormat):
        if not options:
            return format
        format = format.model_dump()
    settings = {**({EventFormat.noun: format} if isinstance(format, str) else format), **options}
    name, known = str(settings.get(EventFormat.noun)), EventFormat.types()
    if name not in known:
        raise UserError(f"There is no format of events '{name}'{suggest(name, list(known))}.")
    return EventFormat.make(settings)


def recognise_events(path: Path) -> str:
    """Returns the name of the one format of events that the contents look like; ``table`` where none is told.

    Raises:
        UserError: several formats recognise them.
    """
    names = [name for name, kind in EventFormat.types().items() if kind.recognises(path)]
    if len(names) > 1:
        raise UserError(f"'{path}' looks like {' and '.join(names)}; say which with format.")
    return names[0] if names else "table"
