"""Folders of arrays ``[frame, class]``, one file a clip: ``.npy``, ``.npz``, ``.pt`` or HDF5.

Arrays of NumPy are what the published code of Petros Giannakopoulos et al. takes, see "Improving Post-processing of Audio
Event Detectors Using Reinforcement Learning", IEEE Access 10:84398, 2022. Its references are one text file a clip with the
columns onset, offset, event label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from rl_postproc.data.clip_source import ScoreSource
from rl_postproc.data.frames import common_edges
from rl_postproc.data.probabilities import SLACK, remedy
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.archives import Stored, open_arrays
from rl_postproc.formats.array_writer import write_arrays
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.clips import assemble_files
from rl_postproc.formats.folder import clip_files, list_files, read_classes, refuse_other_files, require_room
from rl_postproc.formats.scores.array_names import CLASSES, FRAME_SCORES, matrices, texts
from rl_postproc.formats.scores.frame_times import FrameTimes, TimeSource, edges_of
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.files import write_text

SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".h5", ".hdf5")
FROM_CENTRES = "name of the array of frame centres, or a file of them in seconds, one a line"
FROM_EDGES = "name of the array of frame edges, or a file of them in seconds, one a line"


class NpyFolder(Format):
    """Arrays of frames by classes, one file a clip."""

    format: Literal["npy"] = "npy"
    looks_like: ClassVar[str] = (
        "a folder of .npy, .npz, .pt or .h5 arrays [frame, class], one named after each clip, read with hop and classes"
    )
    array: str | None = Field(
        None, description="name of the array of probabilities in an archive, unless it has a usual one such as scores"
    )
    edges: str | None = Field(None, description=FROM_EDGES)
    centres: str | None = Field(None, description=FROM_CENTRES)
    suffix: Literal[".npy", ".npz", ".pt", ".h5"] = Field(
        ".npy", description="end of the names of files that are written"
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a folder with files of arrays, but not of shards."""
        if not path.is_dir() or (path / "meta.json").is_file():
            return False
        return any(file.suffix.lower() in SUFFIXES and file.name[0] != "." for file in path.iterdir())

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads a folder of arrays.

        Args:
            path: folder of files named by the clips' stems, floating point ``[frame, class]``; in an archive the array
                ``scores`` (or ``framewise_output``, ``predictions``), or the only one.
            given: the hop is needed unless ``edges`` or ``centres`` are given, the archives hold arrays of that name (or
                ``hop``, ``timestamps``), or the folder has a file ``edges.txt``; ``classes`` are the names of the columns,
                those in the archives or in ``classes.txt`` when None.

        Returns:
            Clips sorted by name. The frame edges are shared where all clips agree as far as they go.

        Raises:
            UserError: hop or classes are missing, an array cannot be used, or clips or classes differ from the
                references'.
        """
        files = list_files(path, SUFFIXES)
        names, arrays, times = read_classes(given.classes), [], []
        source = TimeSource(given.hop, self.edges, self.centres, path / "edges.txt")
        for file in files:
            with open_arrays(file) as content:
                own = content if isinstance(content, Mapping) else {}
                names = names or _own_names(path, own, file)
                times.append(source.of(file, own))
                arrays.append(_load(file, *_scores(content, file, self.array), names, len(files)))
        return assemble_files(path, files, arrays, _edges(times, arrays), names or [], given)

    def stream(self, path: Path, given: Given) -> ScoreSource | None:
        """See `Format.stream`: arrays are mapped into memory; those in archives are not."""
        from rl_postproc.formats.scores.npy_stream import stream_folder

        files = list_files(path, SUFFIXES)
        if any(file.suffix.lower() != ".npy" for file in files):
            return None
        names = read_classes(given.classes) or _own_names(path, {}, files[0])
        times = TimeSource(given.hop, self.edges, self.centres, path / "edges.txt").of(files[0], {})
        return stream_folder(path, given, files, names, times)

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes one array a clip, the classes in ``classes.txt`` and the frame edges in ``edges.txt`` or the archives.

        Raises:
            UserError: clips have frame edges of their own and the files hold one array, two clips would share a file, an
                id is no file name, or a file cannot be written.
        """
        files = clip_files(scores.clip_ids, path, self.suffix)
        refuse_other_files(path, files, SUFFIXES)
        if len(scores.edges) > 1 and self.suffix == ".npy":
            raise UserError("Arrays in .npy files share one row of frame edges, but the clips have their own; write them "
                            "with the suffix .npz, or in the format sed_scores.")  # fmt: skip
        all_edges = scores.edges.expand(scores.n_clips, -1).cpu().numpy()
        for i, (file, n) in enumerate(zip(files, scores.n_frames.tolist(), strict=True)):
            values = scores.scores[i, :, :n].T.contiguous().cpu().numpy()
            write_arrays(file, {"scores": values, "edges": all_edges[i, : n + 1]})
        write_text(path / "classes.txt", "".join(f"{name}\n" for name in scores.classes))
        if self.suffix == ".npy":
            write_text(path / "edges.txt", "".join(f"{seconds!r}\n" for seconds in all_edges[0].tolist()))


def _own_names(folder: Path, arrays: Mapping[str, Stored], file: Path) -> list[str]:
    """Returns the names of the classes that a file or its folder holds."""
    listed = folder / "classes.txt"
    names = texts(arrays, file, CLASSES) or (read_classes(listed) if listed.is_file() else None)
    if names is None:
        raise UserError(f"The arrays in '{folder}' do not name their classes; give classes, or put one name a line "
                        f"into '{listed}'.")  # fmt: skip
    return names


def _scores(content: Mapping[str, Stored] | Stored, file: Path, array: str | None) -> tuple[Stored, str]:
    """Returns the array of scores of a file, and where it lies."""
    if isinstance(content, Stored):
        return content, str(file)
    if array is not None and array not in content:
        raise UserError(f"'{file}' holds no array '{array}'{suggest(array, list(content))}.")
    rows = matrices(content)
    name = array or next((name for name in FRAME_SCORES if name in rows), rows[0] if len(rows) == 1 else None)
    if name is None:
        raise UserError(f"'{file}' holds {len(rows)} arrays [frame, class], none of which is called scores; name the one "
                        "of the probabilities with the option array.")  # fmt: skip
    return content[name], f"{file}: {name}"


def _load(file: Path, stored: Stored, place: str, names: Sequence[str], n_files: int) -> np.ndarray:
    """Loads one array of a folder of so many and checks it, ``[frame, class]``."""
    if stored.kind == "f" and len(stored.shape or ()) == 2:
        require_room(file, n_files, len(names), max(stored.shape or ()))
    array = np.asarray(stored.read())
    require_shape(place, array, names)
    require_probabilities(place, array, names)
    return array


def require_shape(place: str, array: np.ndarray, names: Sequence[str]) -> None:
    """Insists on numbers of frames by classes.

    Raises:
        UserError: the array holds something else.
    """
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"'{place}' holds {array.dtype} values of shape {list(array.shape)}; "
                        "save floating-point probabilities [frame, class].")  # fmt: skip
    if array.shape[1] != len(names) or not len(array):
        raise UserError(f"'{place}' has the shape {list(array.shape)} where [frame, {len(names)}] is expected; "
                        "save [frame, class] and name every class.")  # fmt: skip


def require_probabilities(place: str, array: np.ndarray, names: Sequence[str], first: int = 0) -> None:
    """Insists on probabilities, but for rounding.

    Args:
        place: where they lie, for messages.
        array: some of the frames, ``[frame, class]``.
        names: the classes.
        first: frame of the clip with which these begin.

    Raises:
        UserError: a score is none.
    """
    wrong = ~((array >= -SLACK) & (array <= 1 + SLACK))
    if wrong.any():
        t, k = np.argwhere(wrong)[0]
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        raise UserError(f"'{place}', row {first + t + 1}: the score {array[t, k]} of the class '{names[k]}' is not a "
                        f"probability in [0, 1]; {remedy(float(array[t, k]), low, high)}.")  # fmt: skip


def _edges(times: Sequence[FrameTimes], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the frame edges of all clips, ``[1, frame + 1]`` or one row a clip."""
    n_frames = [len(array) for array in arrays]
    first = times[0]
    if all(other.kind == first.kind and np.array_equal(other.values, first.values) for other in times):
        return edges_of(first, n_frames)
    return common_edges([edges_of(one, [n])[0] for one, n in zip(times, n_frames, strict=True)])
