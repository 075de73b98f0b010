"""Events from and to what other programs keep them in: tables of pandas, and dcase_util's MetaDataContainer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rl_postproc.data.event_columns import COLUMNS, CONFIDENCES, column_names
from rl_postproc.utils.errors import UserError, suggest

if TYPE_CHECKING:
    import pandas
    from dcase_util.containers import MetaDataContainer

    from rl_postproc.data.events import Events


def from_pandas(
    frame: pandas.DataFrame, clip_ids: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> Events:
    """See `Events.from_pandas`."""
    names = column_names([str(name) for name in frame.columns])
    lost = [name for name in COLUMNS if name not in names]
    if lost:
        raise UserError(f"The table has no column {', '.join(lost)}; its columns must be {', '.join(COLUMNS)}.")
    sure = next((name for name in CONFIDENCES if name in names), None)
    wanted = [*COLUMNS, *([sure] if sure else [])]
    columns = [frame.iloc[:, names.index(name)].tolist() for name in wanted]
    return _events(zip(*columns, strict=True), clip_ids, classes, "row")


def from_dcase_util(
    container: Iterable[Mapping[str, Any]],
    clip_ids: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    clip: str | None = None,
) -> Events:
    """See `Events.from_dcase_util`."""
    rows = ([item.get(name) for name in COLUMNS] for item in container)
    return _events(((clip if row[0] is None else row[0], *row[1:]) for row in rows), clip_ids, classes, "item")


def to_pandas(events: Events) -> pandas.DataFrame:
    """See `Events.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        raise UserError("Events become a table of pandas where that is installed; run `pip install pandas`.") from error
    silent = _silent(events)
    clip, onset, offset, label = (
        (list(column) for column in zip(*events.to_rows(), strict=True)) if len(events) else ([],) * 4
    )
    none = [math.nan] * len(silent)
    columns = {"filename": [*clip, *silent], "onset": [*onset, *none], "offset": [*offset, *none],
               "event_label": [*label, *[None] * len(silent)]}  # fmt: skip
    frame = pandas.DataFrame(columns).astype({"onset": "float64", "offset": "float64"})
    if bool((events.confidence != 1).any()):
        frame["confidence"] = [*events.confidence.tolist(), *none]
    order = {name: i for i, name in enumerate(events.clip_ids)}
    return frame.sort_values("filename", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def to_dcase_util(events: Events) -> MetaDataContainer:
    """See `Events.to_dcase_util`."""
    from dcase_util.containers import MetaDataContainer

    items: dict[str, list[dict[str, Any]]] = {name: [] for name in events.clip_ids}
    for row in events.to_rows():
        items[row[0]].append(dict(zip(COLUMNS, row, strict=True)))
    return MetaDataContainer([item for name, own in items.items() for item in own or [{"filename": name}]])


def _events(
    rows: Iterable[tuple[Any, ...]], clip_ids: Sequence[str] | None, classes: Sequence[str] | None, unit: str
) -> Events:
    """Builds events from rows of clip, onset, offset and label, and perhaps a confidence."""
    from rl_postproc.data.events import Events

    clips: dict[str, None] = {}
    kept: list[tuple[str, str, float, float, float]] = []
    for number, (clip, onset, offset, label, *confidence) in enumerate(rows):
        place = f"Event {unit} {number}"
        if not isinstance(clip, str) or not clip:
            raise UserError(f"{place}: the file name {clip!r} is no text; name the clip.")
        clips[clip] = None
        if all(_is_missing(value) for value in (onset, offset, label)):
            continue
        start, end = _number(onset), _number(offset)
        if not 0 <= start <= end < math.inf:  # false for NaN as well
            raise UserError(f"{place}: {onset} to {offset} is no stretch of time in seconds from 0 on; correct it.")
        if not isinstance(label, str) or not label:
            raise UserError(f"{place}: the label {label!r} is no text; name the class.")
        value = 1.0 if not confidence or _is_missing(confidence[0]) else _number(confidence[0])
        if not 0 <= value <= 1:
            raise UserError(f"{place}: the confidence {confidence[0]!r} is no number from 0 to 1; drop the column.")
        kept.append((clip, label, start, end, value))
    listed = list(clips) if clip_ids is None else list(clip_ids)
    names = sorted({row[1] for row in kept}) if classes is None else list(classes)
    clip_index, class_index = _indices("clip", clips, listed), _indices("class", {row[1] for row in kept}, names)
    cells = [(clip_index[row[0]], class_index[row[1]], *row[2:]) for row in kept]
    columns = torch.tensor(cells, dtype=torch.float64).reshape(-1, 5).T
    return Events.from_tensors(listed, names, *columns[:2].long(), *columns[2:])


def _indices(side: str, found: Iterable[str], listed: list[str]) -> dict[str, int]:
    """Returns where each listed name stands.

    Raises:
        UserError: one that is found is not listed.
    """
    index = {name: i for i, name in enumerate(listed)}
    stranger = next((name for name in found if name not in index), None)
    if stranger is not None:
        raise UserError(f"The {side} '{stranger}' is not among the {len(index)} given{suggest(stranger, listed)}.")
    return index


def _silent(events: Events) -> list[str]:
    """Returns the clips without events."""
    spoken = set(events.clip.tolist())
    return [name for i, name in enumerate(events.clip_ids) if i not in spoken]


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or value != value  # NaN and NaT differ from themselves


def _number(value: Any) -> float:
    """Returns a number as a double, and NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
