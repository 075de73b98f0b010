"""When frames lie: told by a hop, by their edges or by their centres, given or found beside the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from rl_postproc.data.frames import DECIMALS, check_hop, common_edges, even_edges
from rl_postproc.formats.archives import ARRAY_SUFFIXES, Stored, open_arrays
from rl_postproc.formats.text import read_text
from rl_postproc.utils.errors import UserError, warn

Kind = Literal["hop", "edges", "centres", "times"]
NAMES: dict[Kind, tuple[str, ...]] = {
    "edges": ("edges", "frame_edges"),
    "centres": ("centres", "centers", "frame_centres", "frame_centers"),
    "times": ("timestamps", "time", "times"),
    "hop": ("hop", "frame_hop", "hop_seconds"),
}
"""Usual names of arrays that tell when frames lie; ``times`` are edges or centres, told by their number."""
TIMES = tuple(name for names in NAMES.values() for name in names)
EVEN = 0.02
"""Share of a frame by which evenly spaced centres may stray, as by rounding."""


class FrameTimes(NamedTuple):
    """What tells when frames lie.

    Attributes:
        kind: what the values are.
        values: seconds: one number, ``[frame]`` or ``[frame + 1]`` for all clips, or the same with a row a clip.
        place: where they come from, for messages.
    """

    kind: Kind
    values: np.ndarray
    place: str


class TimeSource:
    """Where it is told when the frames of some scores lie; of several files, each is asked in turn."""

    def __init__(self, hop: float | None, edges: str | None, centres: str | None, beside: Path | None = None):
        """Reads the files that are named.

        Args:
            hop: frame length in seconds, where it is given.
            edges: name of an array of frame edges beside the scores, or a file of them: numbers in a text, or an array.
            centres: the same of frame centres.
            beside: a text file of frame edges that is used, where it exists, if nothing else tells.

        Raises:
            UserError: several are given, or a file cannot be used.
        """
        if sum(value is not None for value in (hop, edges, centres)) > 1:
            raise UserError("When frames lie is told twice; give one of hop, edges and centres.")
        self._hop = None if hop is None else check_hop(hop)
        self._kind: Kind = "edges" if edges is not None else "centres"
        self._name = edges if edges is not None else centres
        self._beside = None
        if self._name is not None and Path(self._name).is_file():
            self._beside = FrameTimes(self._kind, _numbers(Path(self._name)), self._name)
        elif self._name is None and beside is not None and beside.is_file():
            self._beside = FrameTimes("edges", _numbers(beside), str(beside))

    def of(self, path: Path, arrays: Mapping[str, Stored]) -> FrameTimes:
        """Returns what tells when the frames in a file lie.

        Args:
            path: the file of the scores.
            arrays: what lies in it beside them.

        Raises:
            UserError: nothing tells, or the file disagrees with the hop.
        """
        if self._name is not None:
            found = self._beside
            if self._name in arrays:
                found = _of_array(self._kind, self._name, path, arrays)
            if found is None:
                raise UserError(
                    f"'{self._name}' is neither a file nor an array in '{path}'; correct the option {self._kind}."
                )
            return found
        usual: list[tuple[Kind, str]] = [(kind, name) for kind in NAMES for name in NAMES[kind] if name in arrays]
        own = _of_array(*usual[0], path, arrays) if usual else self._beside
        if self._hop is not None:
            if own is not None and abs((found := _step(own)) - self._hop) > EVEN * self._hop:
                raise UserError(f"'{own.place}' tells frames of {found:g} s, not of the given hop of {self._hop:g} s; leave "
                                "out the hop, or correct it.")  # fmt: skip
            return own or FrameTimes("hop", np.array(self._hop), "")
        if own is None:
            raise UserError(f"The arrays in '{path}' do not tell their frame length; give it as hop in seconds, such as "
                            "0.02, or give edges or centres.")  # fmt: skip
        return own


def edges_of(times: FrameTimes, n_frames: Sequence[int]) -> np.ndarray:
    """Returns the frame edges of clips in seconds, float64 ``[1, frame + 1]``, or one row a clip where they disagree.

    Args:
        times: what tells them.
        n_frames: number of frames of each clip.

    Warns:
        DataWarning: edges are guessed from centres.

    Raises:
        UserError: there are too few times, or they do not increase from 0.
    """
    width, values = max(n_frames), times.values
    if times.kind == "hop":
        if values.size != 1:
            raise UserError(f"'{times.place}' holds {values.size} numbers where one hop in seconds is expected.")
        return even_edges(float(values.reshape(())), width).numpy()[None]
    kind = times.kind
    if kind == "times" and values.ndim:
        kind = "edges" if values.shape[-1] > width else "centres"
    needed = width + (kind == "edges")
    if values.ndim not in (1, 2) or values.shape[-1] < needed or (values.ndim == 2 and len(values) != len(n_frames)):
        raise UserError(f"'{times.place}' has the shape {list(values.shape)} where {needed} {kind} of frames are expected, "
                        f"or a row of them for each of {len(n_frames)} clips.")  # fmt: skip
    if values.ndim == 1:
        rows = [values[:needed]]
    else:
        rows = [row[: n + (kind == "edges")] for row, n in zip(values, n_frames, strict=True)]
    for row in rows:
        if not (np.isfinite(row).all() and (np.diff(row) > 0).all() and row[0] >= 0):
            raise UserError(f"'{times.place}' holds times that are not finite or do not increase from 0 s on; give the "
                            f"{kind} of the frames in seconds.")  # fmt: skip
    if kind == "centres":
        rows = [edges_of_centres(row) for row in rows]
        warn_of_centres(times.place, rows[0])
    return common_edges(rows)


def edges_of_centres(centres: np.ndarray) -> np.ndarray:
    """Returns the edges of frames whose centres are known, float64 ``[frame + 1]``.

    Frames whose centres are evenly spaced reach half a hop either side, others midway to their neighbours; none begins
    before 0. A single frame lasts from 0 to twice its centre.

    Args:
        centres: seconds, increasing, float64 ``[frame]``.
    """
    n = len(centres)
    if n == 1:
        return np.array([0.0, 2 * centres[0]])
    hop = (centres[-1] - centres[0]) / (n - 1)
    if np.abs(centres - (centres[0] + hop * np.arange(n))).max() <= EVEN * hop:
        # Centres of single precision, or written with few decimals, must not make edges that are not round.
        hop = next((h for d in range(1, 9) if abs((h := round(hop, d)) - hop) * n <= 2 * 10.0**-DECIMALS and h), hop)
        edges = np.round(centres[0] - hop / 2 + hop * np.arange(n + 1), DECIMALS)
    else:
        steps = np.diff(centres)
        edges = np.append(centres - np.append(steps[0], steps) / 2, centres[-1] + steps[-1] / 2)
    edges[0] = max(0.0, edges[0])
    return edges


def warn_of_centres(place: str | Path, edges: np.ndarray) -> None:
    """Says which frames were made of centres."""
    warn(f"'{place}' tells the centres of frames, which are taken to reach midway to their neighbours, the first from "
         f"{edges[0]:g} s to {edges[1]:g} s; give edges if that is wrong.")  # fmt: skip


def _of_array(kind: Kind, name: str, path: Path, arrays: Mapping[str, Stored]) -> FrameTimes:
    return FrameTimes(kind, _seconds(arrays[name], f"{path}: {name}"), f"{path}: {name}")


def _numbers(file: Path) -> np.ndarray:
    """Reads the numbers of a text, or the one array of a file."""
    if file.suffix.lower() in ARRAY_SUFFIXES:
        with open_arrays(file) as content:
            found = content if isinstance(content, Stored) else next(iter(content.values()), None)
            if found is None or (isinstance(content, Mapping) and len(content) > 1):
                raise UserError(f"'{file}' holds several arrays or none; give a file of one.")
            return _seconds(found, str(file))
    try:
        return np.array(read_text(file).split(), dtype=np.float64)
    except ValueError as error:
        raise UserError(f"'{file}' does not hold one number of seconds a line ({error}); correct it.") from error


def _seconds(stored: Stored, place: str) -> np.ndarray:
    """Reads numbers of seconds."""
    value = stored.read()
    if isinstance(value, float | int):
        return np.array(float(value))
    if not stored.holds_numbers:
        raise UserError(f"'{place}' holds no numbers; give seconds.")
    return np.asarray(value).astype(np.float64)


def _step(times: FrameTimes) -> float:
    """Returns the length of most frames; not a number where one centre does not tell it."""
    if times.kind == "hop":
        return float(times.values.sum())
    if times.values.size < 2:
        return float("nan")
    return float(np.nanmedian(np.diff(np.atleast_2d(times.values)[0])))
