"""Score files of sed_scores_eval in pieces, so many lines at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from rl_postproc.data.clip_source import ClipSource, HopSurvey, Piece, ScoreSource
from rl_postproc.formats.base import Given
from rl_postproc.formats.clips import named_clips
from rl_postproc.formats.folder import keep_classes, list_files, read_classes
from rl_postproc.formats.scores.sed_scores import (
    SUFFIXES,
    class_columns,
    parse_lines,
    refuse_hop,
    require_classes,
)
from rl_postproc.utils.errors import UserError

_LINES = 1 << 14
"""Lines of which the times are looked at together."""


@dataclass(frozen=True)
class SedScoresClip(ClipSource):
    """A score file.

    Attributes:
        file: the file.
        classes: of the set, in order.
    """

    file: Path
    classes: tuple[str, ...]

    def pieces(self, n_frames: int) -> Iterator[Piece]:
        """See `ClipSource.pieces`."""
        with _opened(self.file) as (handle, own):
            kept = [2 + own.index(name) for name in self.classes]
            row, before = 2, None
            while lines := list(islice(handle, n_frames)):
                if not any(map(str.strip, lines)):
                    row += len(lines)
                    continue
                table = parse_lines(self.file, lines, own, row, before)
                row, before = row + len(lines), (table[-1, 0], table[-1, 1])
                yield np.append(table[:, 0], table[-1, 1]), table[:, kept]


def stream_folder(path: Path, given: Given) -> ScoreSource | None:
    """Returns the clips of a folder of score tables, once their times are read; None where a file is compressed.

    Raises:
        UserError: a header or a time cannot be used, or the durations list other clips.
    """
    refuse_hop(path, given)
    files = list_files(path, SUFFIXES)
    if any(_is_compressed(file) for file in files):
        return None
    survey, n_frames, names = HopSurvey(), [], []
    for file in files:
        with _opened(file) as (handle, own):
            names = names or own
            require_classes(file, own, names)
            edges = _edges(file, handle, own)
        survey.add(edges)
        n_frames.append(len(edges) - 1)
    classes = tuple(names[i] for i in keep_classes(read_classes(given.classes), names, path))
    clips = named_clips(path, files, given)
    return ScoreSource(classes, tuple(
        SedScoresClip(name, seconds, n, file, classes)
        for (name, seconds), n, file in zip(clips, n_frames, files, strict=True)
    ), survey.hop)  # fmt: skip


@contextmanager
def _opened(file: Path) -> Iterator[tuple[TextIO, list[str]]]:
    """Opens a score file and yields what is below its header, and the classes in that."""
    try:
        with file.open(encoding="utf-8-sig") as handle:
            header = handle.readline()
            if not header.strip():
                raise UserError(f"'{file}', row 1: the file is empty; export the scores again, or remove it.")
            yield handle, class_columns(file, header.rstrip("\n"))
    except OSError as error:
        raise UserError(f"Cannot read '{file}': {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"'{file}' is not a text file in UTF-8 ({error.reason} at byte {error.start}); "
                        "save it in UTF-8.") from error  # fmt: skip


def _edges(file: Path, handle: TextIO, classes: list[str]) -> np.ndarray:
    """Returns the frame edges of a score file in seconds, float64 ``[frame + 1]``, without looking at its scores."""
    parts, row, last = [], 2, None
    while lines := list(islice(handle, _LINES)):
        given = [line for line in lines if not line.isspace()]
        if given:
            times = _times(given)
            if times is None:
                parse_lines(file, lines, classes, row, last)  # says it as reading the scores does
                raise UserError(f"'{file}', from row {row} on: a time is not a number; correct it.")
            last = (times[-1, 0], times[-1, 1])
            parts.append(times[:, 0])
        row += len(lines)
    if last is None:
        parse_lines(file, [], classes)
    assert last is not None
    return np.append(np.concatenate(parts), last[1])


def _times(lines: list[str]) -> np.ndarray | None:
    """Returns the first two columns of lines, float64 ``[line, 2]``, or None where they hold no numbers."""
    try:
        return np.loadtxt(lines, delimiter="\t", comments=None, usecols=(0, 1), ndmin=2)
    except ValueError:
        return None


def _is_compressed(file: Path) -> bool:
    try:
        with file.open("rb") as handle:
            return handle.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise UserError(f"Cannot read '{file}': {error.strerror or error}.") from error
