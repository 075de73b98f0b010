"""How a score set came to be: what its report tells, and nothing depends on."""

from __future__ import annotations

from dataclasses import dataclass

LAST_FRAME, GIVEN, FILES = "the end of the last frame", "given", "from the score files"


@dataclass(frozen=True)
class Origin:
    """How a score set came to be.

    Attributes:
        format: name of the format that it was read in, empty where a program made it.
        hop: how the frame length is known, empty for tags, which have none.
        durations: how the clips' lengths are known, empty for tags.
        notes: sentences on what was guessed, cut or skipped, and on what looked wrong when the set was made.
    """

    format: str = ""
    hop: str = GIVEN
    durations: str = GIVEN
    notes: tuple[str, ...] = ()
