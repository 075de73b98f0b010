"""What a format of events is: a class that tells its files from others', reads them into rows and writes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from rl_postproc.data.events import Events
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.registry import Registered


class EventRow(NamedTuple):
    """One event of a file; the times and the label are None where a row only names a clip without events.

    Attributes:
        filename: the clip.
        onset: seconds.
        offset: seconds, never before the onset.
        label: the class.
        row: where in the file, counted from 1.
        confidence: in [0, 1], where the file gives one.
    """

    filename: str
    onset: float | None
    offset: float | None
    label: str | None
    row: int
    confidence: float | None = None


class EventFormat(Registered, ABC):
    """A way in which events lie on disk.

    The fields of a subclass are its own options, which are keywords of `read_events` and `write_events`; `looks_like`,
    `recognises` and `read` are required.
    """

    noun: ClassVar[str] = "event_format"
    rooms: ClassVar[tuple[str, ...]] = ("rl_postproc.formats.events",)

    event_format: str
    looks_like: ClassVar[str]
    """What lies there in this format, in half a sentence; said where no format recognises a path."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Ends of the names of its files that no other format has: by them `write_events` knows it."""

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether what lies there looks like this format, without reading it all.

        False where nothing lies, and for what another format holds: a path that several formats recognise is refused.
        """

    @abstractmethod
    def read(self, path: Path, clip: str | None = None) -> list[EventRow]:
        """Reads a file, or a folder of one file a clip.

        Args:
            path: the file or the folder.
            clip: name of the clip of a file that is about one and does not name it; its stem when None.

        Raises:
            UserError: it cannot be used.
        """

    def write(self, events: Events, path: Path) -> None:
        """Writes events, whole or not at all.

        Raises:
            UserError: this format or this place cannot hold them.
        """
        raise UserError(f"Events cannot be written as {self.name}; choose another format for '{path}'.")
