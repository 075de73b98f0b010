"""The one door through which scores leave, in whatever format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.base import Format
from rl_postproc.formats.read import choose_format


def write_scores(
    scores: ScoreSet, path: str | Path, format: str | Mapping[str, Any] | Format = "sed_scores", **options: Any
) -> None:
    """Writes one detector's scores on a set of clips; each file whole or not at all.

    Only formats that hold them (``shards``) write references and durations too; `write_events` writes references.

    Args:
        scores: the set.
        path: file or folder to write to.
        format: name of a format, a mapping of ``format`` and the format's own options, or a `Format`.
        **options: the format's own options, such as ``thresholds`` of ``operating_points``.

    Raises:
        UserError: the format or an option is unknown, the format cannot hold the scores, or a file cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from rl_postproc import ScoreSet, write_scores
        >>> scores = ScoreSet.from_arrays({"a.wav": [[0.25], [0.5]]}, hop=0.5, classes=["Dog"])
        >>> with TemporaryDirectory() as folder:
        ...     write_scores(scores, folder)
        ...     print(Path(folder, "a.tsv").read_text(), end="")
        onset offset Dog
        0.0   0.5    0.25
        0.5   1.0    0.5

        Other formats and options::

            write_scores(scores, "scores")
            write_scores(scores, "arrays", format="npy")
    """
    choose_format(format, options).write(scores, Path(path))
