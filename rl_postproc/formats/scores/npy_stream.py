"""NumPy arrays in pieces, mapped into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl_postproc.data.clip_source import ClipSource, HopSurvey, Piece, ScoreSource
from rl_postproc.data.frames import DECIMALS
from rl_postproc.formats.archives import Stored, open_arrays
from rl_postproc.formats.base import Given
from rl_postproc.formats.clips import named_clips
from rl_postproc.formats.scores.frame_times import FrameTimes, edges_of
from rl_postproc.formats.scores.npy_folder import require_probabilities, require_shape
from rl_postproc.utils.errors import UserError


@dataclass(frozen=True)
class NpyClip(ClipSource):
    """An array ``[frame, class]``.

    Attributes:
        file: the file.
        classes: names of its columns.
        hop: frame length in seconds, by which frames are evenly spaced.
        edges: of all frames in seconds in the place of it, ``[frame + 1]``.
    """

    file: Path
    classes: tuple[str, ...]
    hop: float
    edges: np.ndarray | None

    def pieces(self, n_frames: int) -> Iterator[Piece]:
        """See `ClipSource.pieces`."""
        array = _mapped(self.file, self.classes)
        for start in range(0, len(array), n_frames):
            scores = np.asarray(array[start : start + n_frames])
            require_probabilities(str(self.file), scores, self.classes, start)
            stop = start + len(scores)
            even = np.round(np.arange(start, stop + 1) * self.hop, DECIMALS)
            yield even if self.edges is None else self.edges[start : stop + 1], scores


def stream_folder(
    path: Path, given: Given, files: list[Path], names: list[str], times: FrameTimes
) -> ScoreSource | None:
    """Returns the clips of a folder of arrays, None where each has frame edges of its own.

    Raises:
        UserError: an array has another shape, there are too few times, or the durations list other clips.
    """
    n_frames = [len(_mapped(file, names)) for file in files]
    edges = edges_of(times, n_frames)
    if len(edges) > 1:
        return None
    survey = HopSurvey()
    survey.add(edges[0])
    hop, told = (float(times.values.sum()), None) if times.kind == "hop" else (survey.hop, edges[0])
    classes, clips = tuple(names), named_clips(path, files, given)
    return ScoreSource(classes, tuple(
        NpyClip(name, seconds, n, file, classes, hop, told)
        for (name, seconds), n, file in zip(clips, n_frames, files, strict=True)
    ), survey.hop)  # fmt: skip


def _mapped(file: Path, names: list[str] | tuple[str, ...]) -> np.ndarray:
    """Maps an array into memory, once its header is checked."""
    with open_arrays(file) as stored:
        assert isinstance(stored, Stored)
        if stored.kind != "f":
            require_shape(str(file), np.asarray(stored.read()), names)
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"'{file}' is not a whole .npy file ({error}); save it again.") from error
    require_shape(str(file), array, names)
    return array
