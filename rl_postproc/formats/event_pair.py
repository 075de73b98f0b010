"""Two event tables over the same clips: detections against references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.reference_checks import event_problems, other_unit
from rl_postproc.formats.clips import align, load_durations, load_references, match_names
from rl_postproc.formats.events_tsv import collect_references, read_events
from rl_postproc.utils.errors import UserError, warn


def read_event_pair(
    events: str | Path,
    references: str | Path,
    durations: str | Path | None = None,
    classes: Sequence[str] | None = None,
) -> tuple[Events, Events]:
    """Reads detected events and their references.

    The clips are those of the references; a clip that the detections do not mention has none.

    Args:
        events: table of detected events.
        references: table of reference events, or a folder of one file a clip.
        durations: table of clip lengths; must list the same clips.
        classes: class names; those of the references when None.

    Returns:
        References and detections over the same clips and classes.

    Raises:
        UserError: a clip or a class of one table is missing from the other.
    """
    table = load_references(references)
    assert table is not None
    if not table.clips:
        raise UserError(f"The references '{references}' name no clip; add a row for each clip.")
    lengths = load_durations(durations)
    seconds = None
    if lengths is not None:
        spelt = align(table.clips, f"the references '{references}'", lengths, subset=False)
        seconds = torch.tensor([lengths.seconds[name] for name in spelt], dtype=torch.float64)
    names = sorted({row.label for row in table.rows if row.label}) if classes is None else list(classes)
    if not names:
        raise UserError(f"The references '{references}' hold no event, so no class is known; name them with --classes.")
    rows = read_events(events)
    known = match_names((row.filename for row in rows), table.clips)
    renamed = [row._replace(filename=known.get(row.filename, row.filename)) for row in rows]
    source = "the references" if classes is None else "the given list"
    expected = collect_references(table.rows, table.clips, names, references, source)
    found = collect_references(renamed, table.clips, names, events, source)
    for sentence in _problems(expected, found, seconds):
        warn(sentence)
    return expected, found


def _problems(expected: Events, found: Events, seconds: torch.Tensor | None) -> list[str]:
    """Returns what looks wrong in the references; without durations the last detection tells a clip's length."""
    problems = event_problems(expected, seconds)
    if seconds is None and len(found):
        unit = other_unit(expected, found.offset.max().expand(len(expected)), end="the last detection")
        problems += [unit] if unit else []
    return problems
