"""JAMS, the annotations of music information retrieval in JSON, one file a clip."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from rl_postproc.data.events import Events
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.clip_names import without_audio_suffix
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.rows import end_of, event_row, usable_confidences
from rl_postproc.formats.events.text_events import TextEvents
from rl_postproc.utils.errors import UserError, warn
from rl_postproc.utils.plain_values import parse_json

VERSION = "0.3.4"
"""Version of the layout that is written."""


class _Observation(NamedTuple):
    """What an annotation says of a stretch of time, and which of them it is."""

    number: int
    label: Any
    time: Any
    duration: Any
    confidence: Any


class Jams(TextEvents):
    """JAMS: the annotations whose values are labels (tag_open, segment_open, scaper, …); others are passed over, and named.

    Backgrounds of scaper are no events. The clip is the file that the metadata name, else it is named after the JAMS file.
    """

    event_format: Literal["jams"] = "jams"
    looks_like: ClassVar[str] = "a JAMS file, or a folder of one a clip"
    suffixes: ClassVar[tuple[str, ...]] = (".jams",)
    own_suffix: ClassVar[str] = ".jams"
    of_one_clip: ClassVar[bool] = True

    @classmethod
    def recognises_text(cls, head: str) -> bool:
        """Returns whether this is JSON with annotations."""
        return head.lstrip()[:1] == "{" and ('"annotations"' in head or '"file_metadata"' in head)

    def parse(self, path: Path, text: str, clip: str | None) -> list[EventRow]:
        """See `TextEvents.parse`; the rows are numbered in the order of the observations."""
        try:
            content = parse_json(text)
        except ValueError as error:
            raise UserError(f"'{path}' is not valid JSON ({error}); it may be truncated, make it anew.") from error
        annotations = content.get("annotations") if isinstance(content, dict) else None
        if not isinstance(annotations, list):
            raise UserError(f"'{path}' is no JAMS file: it has no list 'annotations'; save it by jams.")
        name = _clip_name(content.get("file_metadata"), clip or self.clip_of(path))
        found = list(_observations(path, annotations))
        sure = [(one.number, "" if one.confidence is None else str(one.confidence)) for one in found]
        confident = usable_confidences(path, "confidence", sure)
        rows = [
            event_row(path, one.number, name, _text(one.time), end_of(_text(one.time), _text(one.duration)),
                      one.label.strip(), confidence if confident else "")
            for one, (_, confidence) in zip(found, sure, strict=True)
        ]  # fmt: skip
        return rows or [EventRow(name, None, None, None, 1)]

    def render(self, events: Events) -> str:
        """See `TextEvents.render`."""
        known, data = bool((events.confidence != 1).any()), []
        for (_, onset, offset, label), sure in zip(events.to_rows(), events.confidence.tolist(), strict=True):
            start, end = f"{onset:.{DECIMALS}f}", f"{offset:.{DECIMALS}f}"
            length = float(Decimal(end) - Decimal(start))
            confidence = float(f"{sure:.9g}") if known else None
            data.append({"time": float(start), "duration": length, "value": label, "confidence": confidence})
        (clip,) = events.clip_ids
        last = max((round(offset, DECIMALS) for offset in events.offset.tolist()), default=0.0)
        annotation = {
            "annotation_metadata": {"curator": {"name": "", "email": ""}, "annotator": {}, "version": "", "corpus": "",
                                    "annotation_tools": "rl_postproc", "annotation_rules": "", "validation": "",
                                    "data_source": ""},
            "namespace": "tag_open",
            "data": data,
            "sandbox": {},
            "time": 0.0,
            "duration": None,
        }  # fmt: skip
        metadata = {"title": clip, "artist": "", "release": "", "duration": last, "identifiers": {"filename": clip},
                    "jams_version": VERSION}  # fmt: skip
        content = {"annotations": [annotation], "file_metadata": metadata, "sandbox": {}}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _observations(path: Path, annotations: list[Any]) -> Iterable[_Observation]:
    """Yields what the annotations with labels say; warns of the others, and where several say something."""
    passed, number, n_read = Counter(), 0, 0
    for annotation in annotations:
        namespace = annotation.get("namespace") if isinstance(annotation, dict) else None
        data = annotation.get("data") if isinstance(annotation, dict) else None
        if not isinstance(namespace, str) or not isinstance(data, list):
            raise UserError(f"'{path}' holds an annotation without a namespace or a list of data; save it by jams.")
        if not namespace.startswith(("tag_", "segment_")) and namespace != "scaper":
            passed[namespace] += 1
            continue
        n_read += 1
        for one in data:
            number += 1
            value = one.get("value") if isinstance(one, dict) else None
            label = value.get("label") if isinstance(value, dict) else value
            if not isinstance(label, str):
                raise UserError(f"'{path}', observation {number} of {namespace}: its value is no label; write a text.")
            if not isinstance(value, dict) or value.get("role") != "background":
                yield _Observation(number, label, one.get("time"), one.get("duration"), one.get("confidence"))
    if passed:
        names = ", ".join(f"{n} {name}" for name, n in sorted(passed.items()))
        warn(
            f"{passed.total()} of {len(annotations)} annotations in '{path}' hold no events and are passed over ({names})."
        )
    if n_read > 1:
        warn(f"{n_read} annotations in '{path}' hold events, and are read together; keep one where they say the same.")


def _clip_name(metadata: Any, stem: str) -> str:
    """Returns the file that the metadata name; a title only where it looks like a file."""
    if not isinstance(metadata, dict):
        return stem
    identifiers, title = metadata.get("identifiers"), metadata.get("title")
    named = identifiers.get("filename") if isinstance(identifiers, dict) else None
    if isinstance(named, str) and named.strip():
        return named.strip()
    if isinstance(title, str) and title.strip() and without_audio_suffix(title.strip()) != title.strip():
        return title.strip()
    return stem


def _text(value: Any) -> str:
    """Returns a number of JSON as a text; nothing for what is no number."""
    return "" if value is None or isinstance(value, bool) else str(value)
