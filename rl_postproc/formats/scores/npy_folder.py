"""Folders of NumPy arrays ``[frame, class]``, one a clip, as the published code of Petros Giannakopoulos et al. takes.

See "Improving Post-processing of Audio Event Detectors Using Reinforcement Learning", IEEE Access 10:84398, 2022. Its
references are one text file a clip with the columns onset, offset, event label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from rl_postproc.data.frames import check_hop, even_edges
from rl_postproc.data.probabilities import SLACK, remedy
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.archives import Stored, open_arrays
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.clips import assemble_files
from rl_postproc.formats.folder import clip_files, list_files, read_classes, require_room
from rl_postproc.formats.table_rows import read_text
from rl_postproc.utils.errors import UserError
from rl_postproc.utils.files import whole_file, write_text

SUFFIXES = (".npy",)


class NpyFolder(Format):
    """NumPy arrays of frames by classes, one file a clip."""

    format: Literal["npy"] = "npy"
    looks_like: ClassVar[str] = (
        "a folder of .npy arrays [frame, class], one named after each clip, read with hop and classes"
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a folder with ``.npy`` files, but not of shards."""
        if not path.is_dir() or (path / "meta.json").is_file():
            return False
        return any(file.suffix.lower() in SUFFIXES and file.name[0] != "." for file in path.iterdir())

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads a folder of arrays.

        Args:
            path: folder of ``.npy`` files named by the clips' stems, floating point ``[frame, class]``.
            given: the hop is that of the frame edges in the file ``edges.txt`` of the folder when None; ``classes`` are the
                names of the columns, those in ``classes.txt`` when None.

        Returns:
            Clips sorted by name, on shared frame edges that are multiples of the hop.

        Raises:
            UserError: hop or classes are missing, an array cannot be used, or clips or classes differ from the
                references'.
        """
        files = list_files(path, SUFFIXES)
        listed, told = path / "classes.txt", path / "edges.txt"
        if given.hop is None and not told.is_file():
            raise UserError(
                f"The arrays in '{path}' do not tell their frame length; give it as hop in seconds, such as 0.02."
            )
        hop = None if given.hop is None else check_hop(given.hop)
        names = read_classes(listed if given.classes is None and listed.is_file() else given.classes)
        if names is None:
            raise UserError(f"The arrays in '{path}' do not name their classes; give classes, or put one name a line "
                            f"into '{listed}'.")  # fmt: skip
        arrays = [_load(file, names, len(files)) for file in files]
        n_frames = max(len(array) for array in arrays)
        edges = even_edges(hop, n_frames).numpy() if hop is not None else _read_edges(told, n_frames)
        return assemble_files(path, files, arrays, edges[None], names, given)

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes one array a clip, the classes in ``classes.txt`` and the frame edges in ``edges.txt``, last.

        Raises:
            UserError: clips have frame edges of their own, two would share a file, an id is no file name, or a file cannot
                be written.
        """
        files = clip_files(scores.clip_ids, path, SUFFIXES[0])
        if len(scores.edges) > 1:
            raise UserError(f"The format '{self.name}' holds one row of frame edges, but the clips have their own; "
                            "write them in the format sed_scores or shards.")  # fmt: skip
        for i, (file, n) in enumerate(zip(files, scores.n_frames.tolist(), strict=True)):
            with whole_file(file) as temporary:
                np.save(temporary, scores.scores[i, :, :n].T.cpu().numpy(), allow_pickle=False)
        write_text(path / "classes.txt", "".join(f"{name}\n" for name in scores.classes))
        write_text(path / "edges.txt", "".join(f"{seconds!r}\n" for seconds in scores.edges[0].tolist()))


def _read_edges(file: Path, n_frames: int) -> np.ndarray:
    """Reads the edges of so many frames in seconds, one a line."""
    try:
        edges = np.array(read_text(file).split(), dtype=np.float64)
    except ValueError as error:
        raise UserError(
            f"'{file}' holds no frame edges, one number of seconds a line ({error}); correct it."
        ) from error
    if len(edges) < n_frames + 1:
        raise UserError(f"'{file}' holds {len(edges)} frame edges where {n_frames} frames have {n_frames + 1}; "
                        "write one more edge than the longest clip has frames.")  # fmt: skip
    return edges[: n_frames + 1]


def _load(file: Path, names: Sequence[str], n_files: int) -> np.ndarray:
    """Loads one array of a folder of so many and checks it, ``[frame, class]``."""
    with open_arrays(file) as stored:
        assert isinstance(stored, Stored)
        if stored.kind == "f" and len(stored.shape or ()) == 2:
            require_room(file, n_files, len(names), max(stored.shape or ()))
        array = np.asarray(stored.read())
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"'{file}' holds {array.dtype} values of shape {list(array.shape)}; "
                        "save floating-point probabilities [frame, class].")  # fmt: skip
    if array.shape[1] != len(names) or not len(array):
        raise UserError(f"'{file}' has the shape {list(array.shape)} where [frame, {len(names)}] is expected; "
                        "save [frame, class] and name every class.")  # fmt: skip
    wrong = ~((array >= -SLACK) & (array <= 1 + SLACK))
    if wrong.any():
        t, k = np.argwhere(wrong)[0]
        finite = array[np.isfinite(array)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        raise UserError(f"'{file}', row {t + 1}: the score {array[t, k]} of the class '{names[k]}' is not a "
                        f"probability in [0, 1]; {remedy(float(array[t, k]), low, high)}.")  # fmt: skip
    return array
