"""RTTM, the rich transcription time marks of NIST: one line an event, with its onset and its length."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.rows import end_of, event_row, usable_confidences
from rl_postproc.formats.events.text_events import TextEvents
from rl_postproc.formats.table_rows import RTTM_TYPES, seconds
from rl_postproc.utils.errors import UserError, warn

NONE = "<NA>"
FIELDS = 9
"""Fewest fields of a line; a tenth, the lookahead, came later."""


class Rttm(TextEvents):
    """RTTM: the lines SPEAKER, whose speaker is the class; others are passed over, and counted.

    Clips without events have no line, and names no blanks.
    """

    event_format: Literal["rttm"] = "rttm"
    looks_like: ClassVar[str] = "RTTM: SPEAKER clip channel onset length <NA> <NA> label confidence <NA>"
    suffixes: ClassVar[tuple[str, ...]] = (".rttm",)
    own_suffix: ClassVar[str] = ".rttm"

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether the first line that is no comment is one of RTTM."""
        lines = (line.split() for line in head.splitlines() if line.strip() and not line.startswith(";;"))
        first = next(lines, [])
        return len(first) >= FIELDS - 1 and first[0] in RTTM_TYPES

    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """See `TextEvents.parse`; the lines name their clips themselves."""
        lines = [(row, line.split()) for row, line in enumerate(text.splitlines(), 1)]
        lines = [(row, fields) for row, fields in lines if fields and not fields[0].startswith(";;")]
        speakers = [(row, fields) for row, fields in lines if fields[0] == "SPEAKER"]
        for row, fields in lines:
            if fields[0] not in RTTM_TYPES:
                raise UserError(f"'{path}', row {row}: '{fields[0]}' is no type of an RTTM line; correct or remove it.")
            if fields[0] == "SPEAKER" and len(fields) < FIELDS - 1:
                raise UserError(f"'{path}', row {row}: {len(fields)} fields where RTTM has {FIELDS} or more; write {NONE} "
                                "for what is not known.")  # fmt: skip
        if other := Counter(fields[0] for _, fields in lines if fields[0] != "SPEAKER"):
            warn(f"{other.total()} of {len(lines)} lines in '{path}' are passed over, since they are no SPEAKER lines "
                 f"({', '.join(f'{n} {kind}' for kind, n in sorted(other.items()))}).")  # fmt: skip
        sure = [(row, "" if len(fields) < FIELDS or fields[8] == NONE else fields[8]) for row, fields in speakers]
        confident = usable_confidences(path, "confidence", sure)
        rows = []
        for (row, fields), (_, confidence) in zip(speakers, sure, strict=True):
            if seconds(path, row, "length", fields[4]) < 0:
                raise UserError(f"'{path}', row {row}: the length {fields[4]} is negative; correct it.")
            label = "" if fields[7] == NONE else fields[7]
            end = end_of(fields[3], fields[4])
            rows.append(event_row(path, row, fields[1], fields[3], end, label, confidence if confident else ""))
        return rows

    def render(self, events: Events) -> str:
        """See `TextEvents.render`.

        Raises:
            UserError: a name holds blanks, or there is no event and so nothing to write.
        """
        for name in (*events.clip_ids, *events.classes):
            if len(name.split()) != 1 or name.startswith(";;"):
                raise UserError(
                    f"The name '{name}' holds blanks, which RTTM cannot; rename it, or choose another format."
                )
        if silent := len(events.clip_ids) - len(set(events.clip.tolist())):
            warn(f"{silent} of {len(events.clip_ids)} clips have no event, and so no line in RTTM; choose another format to "
                 "name them.")  # fmt: skip
        known, lines = bool((events.confidence != 1).any()), []
        for (clip, onset, offset, label), sure in zip(events.to_rows(), events.confidence.tolist(), strict=True):
            start, end = f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}"
            length, confidence = Decimal(end) - Decimal(start), f"{sure:.9g}" if known else NONE
            lines.append(f"SPEAKER {clip} 1 {start} {length} {NONE} {NONE} {label} {confidence} {NONE}\n")
        return "".join(lines)
