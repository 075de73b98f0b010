"""The door through which scores enter that are read in pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl_postproc.data.clip_source import ScoreSource
from rl_postproc.data.origin import FILES, GIVEN, LAST_FRAME
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.read import AUTO, choose_format
from rl_postproc.utils.errors import UserError


def stream_scores(
    path: str | Path,
    *,
    format: str | Mapping[str, Any] | Format = AUTO,
    durations: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    hop: float | None = None,
    subset: bool = False,
    **options: Any,
) -> ScoreSource | None:
    """Opens what `read_scores` reads, but for references, as clips that are read in pieces; see there.

    Returns:
        The clips, or None where the format reads scores as a whole alone.

    Raises:
        UserError: the path, the format or an option is unknown, or what is looked at beforehand cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no '{path}'; give the folder of the scores.")
    reader = choose_format(format, options, path)
    source = reader.stream(path, Given(None, durations, classes, hop, subset))
    if source is None:
        return None
    own = LAST_FRAME if source.clips[0].duration is None else FILES
    return replace(
        source,
        format=reader.name,
        hop_known=GIVEN if hop is not None else reader.hop_known,
        lengths_known=own if durations is None else f"from '{durations}'",
    )
