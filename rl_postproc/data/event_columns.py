"""What the columns of events are called, here and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

COLUMNS = ("filename", "onset", "offset", "event_label")
"""Columns of an event table, in the order they have when there is no header."""
CONFIDENCES = ("confidence", "score")
"""Names of the column of confidences."""
ALIASES = {
    "segment_id": "filename",
    "start_time_seconds": "onset",
    "end_time_seconds": "offset",
    "label": "event_label",
    "file": "filename",
    "event_onset": "onset",
    "event_offset": "offset",
}
"""Columns that other tables call otherwise: those of AudioSet-Strong and of dcase_util."""


def column_names(header: Sequence[str]) -> list[str]:
    """Returns the names of columns in small letters, and by the names that they have here."""
    names = [field.strip().lower() for field in header]
    return [name if ALIASES.get(name, name) in names else ALIASES[name] for name in names]
