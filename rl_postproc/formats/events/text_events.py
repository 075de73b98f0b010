"""Formats of text: one file for all clips, or a folder of one file a clip."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rl_postproc.data.events import Events
from rl_postproc.formats.events.base import EventFormat, EventRow
from rl_postproc.formats.folder import clip_files, clip_of
from rl_postproc.formats.text import read_head, read_text, write_whole_text
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import is_standard_output

KINDS = ((".txt", ".ann"), (".jams",), (".rttm",))
"""Suffixes of the files in a folder of one file a clip; those of the first kind that is there are read."""

BESIDE = ("classes.txt", "edges.txt")
"""Files that may lie beside the annotations when scores and references share a folder."""


class TextEvents(EventFormat):
    """A format of text; its subclasses say what its first lines look like, and read and write the text of one file."""

    of_one_clip: ClassVar[bool] = False
    """Whether each file is about one clip, so that several are written into a folder."""
    own_suffix: ClassVar[str] = ".txt"
    """Suffix of the files in a folder that is written."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether the first lines, of a folder those of its first file that is not empty, look like this format."""
        if path.is_dir():
            heads = (read_head(file) for file in _files(path))
            head = next((head for head in heads if head.strip()), "")
        else:
            head = read_head(path)
        return bool(head.strip()) and cls.recognises_text(head)

    @classmethod
    @abstractmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether the first lines of a file look like this format."""

    @abstractmethod
    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """Reads the text of one file, see `EventFormat.read`; ``clip`` is None where the caller does not name it."""

    @abstractmethod
    def render(self, events: Events) -> str:
        """Returns the text of one file, which holds the events of all clips, or of the one that there is."""

    @staticmethod
    def clip_of(file: Path) -> str:
        """Returns the name of the clip that a file is named after."""
        return clip_of(file)

    def read(self, path: Path, clip: str | None = None) -> list[EventRow]:
        """See `EventFormat.read`; a file of a folder without events gives a row that only names its clip."""
        if not path.is_dir():
            return self.parse(path, read_text(path), clip)
        rows = []
        for file in event_files(path):
            name = self.clip_of(file)
            rows += self.parse(file, read_text(file), name) or [EventRow(name, None, None, None, 1)]
        return rows

    def write(self, events: Events, path: Path) -> None:
        """See `EventFormat.write`."""
        for name in (*events.clip_ids, *events.classes):
            if len(name.splitlines()) > 1 or name.endswith("\n"):
                raise UserError(f"The name {name!r} holds a line break, which no file of events can; rename it.")
        if not self.of_one_clip or (len(events.clip_ids) == 1 and not path.is_dir()):
            write_whole_text(path, self.render(events))
            return
        if is_standard_output(path) or path.is_file():
            raise UserError(f"{self.name} holds one clip a file, and these are {len(events.clip_ids)}, so that '{path}' "
                            "must be a folder; name one, or choose another format.")  # fmt: skip
        texts = [self.render(one) for one in _by_clip(events)]
        for file, text in zip(clip_files(events.clip_ids, path, self.own_suffix), texts, strict=True):
            write_whole_text(file, text)


def event_files(folder: Path) -> list[Path]:
    """Returns the files of a folder of one file a clip, sorted by name.

    Raises:
        UserError: it cannot be read, or holds none.
    """
    try:
        files = _files(folder)
    except OSError as error:
        raise UserError(f"Cannot read the folder '{folder}': {error.strerror or error}.") from error
    if not files:
        known = " or ".join(suffix for kind in KINDS for suffix in kind)
        raise UserError(f"The folder '{folder}' holds no {known} file; give the folder of the references.")
    return files


def _files(folder: Path) -> list[Path]:
    found = [f for f in folder.iterdir() if f.is_file() and f.name[0] != "." and f.name.lower() not in BESIDE]
    for kind in KINDS:
        files = [file for file in found if file.name.lower().removesuffix(".gz").endswith(kind)]
        if files:
            return sorted(files, key=lambda file: (clip_of(file), file.suffix))
    return []


def _by_clip(events: Events) -> Iterable[Events]:
    """Yields the events of each clip."""
    import torch

    for clip in range(len(events.clip_ids)):
        yield events.select(torch.tensor([clip]))
