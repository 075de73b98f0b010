"""Two files of events over the same clips: detections against references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.reference_checks import event_problems, other_unit
from rl_postproc.formats.clip_names import folders_remedy, match_names
from rl_postproc.formats.clips import align, load_durations, load_references
from rl_postproc.formats.events.base import EventRow
from rl_postproc.formats.events.read import read_events
from rl_postproc.formats.pair_list import read_pairs
from rl_postproc.formats.references import collect_references
from rl_postproc.utils.errors import UserError, quoted, warn


def read_event_pair(
    events: str | Path,
    references: str | Path,
    durations: str | Path | None = None,
    classes: Sequence[str] | None = None,
    subset: bool = False,
) -> tuple[Events, Events]:
    """Reads detected events and their references.

    The clips are those of the references; a clip that the detections do not mention has none. A class that only the
    detections have is kept, with a warning that counts its events: without references it has no score, see `Metric`.

    Args:
        events: detected events in any format.
        references: reference events in any format, or a folder of one file a clip.
        durations: table of clip lengths; must list the same clips, or with ``subset`` more.
        classes: class names; those of either table when None.
        subset: whether only the clips count that the detections list, which may be fewer than the references'.

    Returns:
        References and detections over the same clips and classes.

    Raises:
        UserError: a clip of the detections is missing from the references, or a class is not among those given.
    """
    table = load_references(references)
    assert table is not None
    rows = read_events(events)
    known = match_names((row.filename for row in rows), table.clips)
    wanted = set(known.values()) if subset else set(table.clips)
    clips = [clip for clip in table.clips if clip in wanted]
    if not clips:
        remedy = folders_remedy([row.filename for row in rows], table.clips) or "name clips alike"
        raise UserError(f"No clip of the events '{events}' is among the references '{references}'; {remedy}.")
    seconds = clip_seconds(clips, references, durations, subset)
    wanted_rows = [row for row in table.rows if row.filename in wanted]
    renamed = [row._replace(filename=known.get(row.filename, row.filename)) for row in rows]
    names = _class_names(wanted_rows, renamed, events, references) if classes is None else list(classes)
    expected = collect_references(wanted_rows, clips, names, references, "the given list")
    found = collect_references(renamed, clips, names, events, "the given list")
    for sentence in _problems(expected, found, seconds):
        warn(sentence)
    return expected, found


def read_pair_list(path: str | Path, classes: Sequence[str] | None = None) -> tuple[Events, Events]:
    """Reads the references and the detections whose files a list names in pairs, as the evaluators of sed_eval take them.

    Args:
        path: list of pairs, see `rl_postproc.formats.pair_list`.
        classes: class names; those of either side when None.

    Returns:
        References and detections over the same clips and classes.

    Raises:
        UserError: the list or one of its files cannot be used, or a class is not among those given.
    """
    rows = read_pairs(Path(path))
    clips = list(dict.fromkeys(row.filename for row in rows.expected))
    names = _class_names(rows.expected, rows.found, path, path) if classes is None else list(classes)
    expected, found = (collect_references(side, clips, names, path, "the given list") for side in rows)
    for sentence in _problems(expected, found, None):
        warn(sentence)
    return expected, found


def clip_seconds(
    clips: Sequence[str], references: str | Path, durations: str | Path | None, subset: bool = False
) -> torch.Tensor | None:
    """Reads how long the clips of references are, in seconds, float64 ``[clip]``; None without durations.

    Args:
        clips: named as in the references.
        references: what lists them, for messages.
        durations: table of clip lengths; must list the same clips, or with ``subset`` more.
        subset: whether it may list more.

    Raises:
        UserError: a clip is missing from the table, or, unless ``subset``, the reverse.
    """
    lengths = load_durations(durations)
    if lengths is None:
        return None
    spelt = align(clips, f"the references '{references}'", lengths, subset)
    return torch.tensor([lengths.seconds[name] for name in spelt], dtype=torch.float64)


def _problems(expected: Events, found: Events, seconds: torch.Tensor | None) -> list[str]:
    """Returns what looks wrong in the references; without durations the last detection tells a clip's length."""
    problems = event_problems(expected, seconds)
    if seconds is None and len(found):
        unit = other_unit(expected, found.offset.max().expand(len(expected)), end="the last detection")
        problems += [unit] if unit else []
    return problems


def _class_names(
    expected: list[EventRow], found: list[EventRow], events: str | Path, references: str | Path
) -> list[str]:
    """Returns the classes of both tables, sorted; warns of those without references."""
    referenced = {row.label for row in expected if row.label}
    counts = Counter(row.label for row in found if row.label and row.label not in referenced)
    names = sorted(referenced | set(counts))
    if not names:
        places = f"'{events}' holds no" if events == references else f"Neither '{references}' nor '{events}' holds an"
        raise UserError(f"{places} event, so no class is known; name them with "
                        "--classes.")  # fmt: skip
    if counts:
        lonely, n, by_letters = sorted(counts), counts.total(), {name.casefold(): name for name in sorted(referenced)}
        close = {name: get_close_matches(name.casefold(), by_letters, 1) for name in lonely[:10]}
        meant = [f"'{name}' may mean '{by_letters[match[0]]}'" for name, match in close.items() if match]
        where = "" if events == references else f" in '{references}'"
        have = "classes have" if len(lonely) > 1 else "class has"
        warn(f"{len(lonely)} {have} events in '{events}' and no reference{where} ({quoted(lonely)}), and so "
             f"no score; {'this event counts' if n == 1 else f'these {n} events count'} in the micro average alone"
             + (f" ({'; '.join(meant[:3])})." if meant else "."))  # fmt: skip
    return names
