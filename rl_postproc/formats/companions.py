"""Which references and durations belong to which scores, told by the clips that they name and by their own names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rl_postproc.formats.clip_names import match_names
from rl_postproc.utils.errors import UserError

_OF_REFERENCES = r"truth|ref|(?<![a-z])gt(?![a-z])|label|annot|strong|target"
_OF_DETECTIONS = r"pred|detect|estim|output|result|system|tuned|events?_out"


@dataclass(frozen=True)
class Table:
    """A table or folder that is about clips.

    Attributes:
        path: where it lies.
        clips: the clips that it names.
    """

    path: Path
    clips: frozenset[str]


def nearest(scores: Path, clips: Sequence[str], tables: Sequence[Table], references: bool) -> tuple[Path | None, str]:
    """Chooses the table that most likely belongs to scores.

    It names most of their clips; of several, the one whose name tells what it holds, then the one that lies nearest.
    Tables of detections, by their names, are never taken for references.

    Args:
        scores: where the scores lie.
        clips: their clips.
        tables: those to choose from.
        references: whether references are looked for, and not durations.

    Returns:
        The path, None where no table names any of the clips or several fit alike; and what should be said of the choice.
    """
    ranked = []
    for table in tables:
        name = table.path.name.lower()
        if references and re.search(_OF_DETECTIONS, name):
            continue
        n_missing = len(clips) - _n_shared(clips, table)
        if n_missing < len(clips):
            unnamed = references and not re.search(_OF_REFERENCES, name)
            ranked.append((n_missing, unnamed, _distance(scores, table.path), table.path))
    if not ranked:
        return None, ""
    ranked.sort(key=lambda one: (*one[:3], str(one[3])))
    best = ranked[0]
    equal = [one[3] for one in ranked if one[:3] == best[:3]]
    what = "references" if references else "durations"
    if len(equal) > 1:
        return None, f"The {what} may be '{equal[0]}' or '{equal[1]}'; say which with --{what}."
    others = [one[3] for one in ranked[1:] if one[0] == best[0]]
    also = f", though '{others[0]}' names the same clips" if others else ""
    return best[3], f"The {what} are taken from '{best[3]}'{also}." if also else ""


def _n_shared(clips: Sequence[str], table: Table) -> int:
    try:
        return len(match_names(clips, table.clips))
    except UserError:  # two spellings of one clip
        return 0


def _distance(a: Path, b: Path) -> int:
    """Returns how many folders lie between two paths."""
    first, second = a.resolve().parts, b.resolve().parts
    shared = next(
        (i for i, (x, y) in enumerate(zip(first, second, strict=False)) if x != y), min(map(len, (first, second)))
    )
    return len(first) + len(second) - 2 * shared
