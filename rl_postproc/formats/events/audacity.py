"""Label tracks of Audacity: onset, offset and label, one file a clip."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.rows import UNLABELLED, event_row, warn_unlabelled
from rl_postproc.formats.events.sed_eval import is_audacity
from rl_postproc.formats.events.text_events import TextEvents
from rl_postproc.formats.table_rows import wrong_width
from rl_postproc.utils.errors import UserError, warn


class Audacity(TextEvents):
    """Labels as Audacity exports them: onset, offset and label between tabs, one file a clip.

    Lines with ranges of frequencies are passed over. A point label is an event without length. Where no label of a file has
    a text, all are of one class.
    """

    event_format: Literal["audacity"] = "audacity"
    looks_like: ClassVar[str] = (
        "a file of Audacity's labels (onset offset label, six decimals), or a folder of one a clip"
    )
    of_one_clip: ClassVar[bool] = True

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether these are rows of times with the marks of Audacity."""
        return is_audacity(head)

    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """See `TextEvents.parse`."""
        lines = [(row, line.split("\t", 2)) for row, line in enumerate(text.splitlines(), 1) if line.strip()]
        labels = [(row, fields) for row, fields in lines if fields[0].strip() != "\\"]
        for row, fields in labels:
            if len(fields) < 2:
                raise wrong_width(path, row, fields, 3)
        bare = not any(field.strip() for _, fields in labels for field in fields[2:])
        name = clip or self.clip_of(path)
        rows = [
            event_row(path, row, name, start, end, UNLABELLED if bare else "".join(label).strip())
            for row, (start, end, *label) in labels
        ]
        if bare:
            warn_unlabelled(path, len(rows))
        if points := sum(row.onset == row.offset for row in rows):
            warn(f"{points} of {len(rows)} labels in '{path}' are points, which are read as events without length; drag them "
                 "out in Audacity where they should have one.")  # fmt: skip
        return rows

    def render(self, events: Events) -> str:
        """See `TextEvents.render`."""
        broken = next((name for name in events.classes if "\t" in name), None)
        if broken is not None:
            raise UserError(f"The class {broken!r} holds a tab, which Audacity's labels cannot; rename it.")
        rows = events.to_rows()
        return "".join(f"{on:.{DECIMALS}f}\t{off:.{DECIMALS}f}\t{label}\n" for _, on, off, label in rows)
