"""Folders of NumPy arrays ``[frame, class]``, one a clip, as the published code of Petros Giannakopoulos et al. takes.

See "Improving Post-processing of Audio Event Detectors Using Reinforcement Learning", IEEE Access 10:84398, 2022. Its
references are one text file a clip with the columns onset, offset, event label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rl_postproc.errors import UserError
from rl_postproc.formats.clips import assemble, load_durations, load_references
from rl_postproc.formats.folder import check_hop, even_edges, list_files, read_classes
from rl_postproc.scores import ScoreSet

DESCRIPTION = "a folder of .npy arrays [frame, class], one named after each clip, read with hop and classes"
SUFFIXES = (".npy",)


def recognises(path: str | Path) -> bool:
    """Returns whether this is a folder with ``.npy`` files, but not of shards."""
    path = Path(path)
    if not path.is_dir() or (path / "meta.json").is_file():
        return False
    return any(file.suffix.lower() in SUFFIXES and file.name[0] != "." for file in path.iterdir())


def read(
    path: str | Path,
    *,
    references: str | Path | None = None,
    durations: str | Path | None = None,
    classes: Sequence[str] | str | Path | None = None,
    hop: float | None = None,
    subset: bool = False,
) -> ScoreSet:
    """Reads a folder of arrays.

    Args:
        path: folder of ``.npy`` files named by the clips' stems, floating point ``[frame, class]``.
        references: table of reference events, or folder of one ``.txt``/``.ann`` file a clip.
        durations: table of clip durations; a clip ends with its last frame without it.
        classes: names of the columns, or the path of a text file with one name a line; the file ``classes.txt`` of the
            folder when None.
        hop: frame length in seconds.
        subset: whether references and durations may list clips without scores.

    Returns:
        Clips sorted by name, on shared frame edges that are multiples of the hop.

    Raises:
        UserError: hop or classes are missing, an array cannot be used, or clips or classes differ from the
            references'.
    """
    folder = Path(path)
    files = list_files(folder, SUFFIXES)
    if hop is None:
        raise UserError(
            f"The arrays in '{folder}' do not tell their frame length; give it as hop in seconds, such as 0.02."
        )
    hop = check_hop(hop)
    if classes is None and (folder / "classes.txt").is_file():
        classes = folder / "classes.txt"
    names = read_classes(classes)
    if names is None:
        raise UserError(f"The arrays in '{folder}' do not name their classes; give classes, or put one name a line "
                        f"into '{folder / 'classes.txt'}'.")  # fmt: skip
    arrays = [_load(file, names) for file in files]
    n_frames = np.array([len(array) for array in arrays])
    scores = np.zeros((len(arrays), len(names), n_frames.max()), dtype=np.float32)
    for clip, array in enumerate(arrays):
        scores[clip, :, : len(array)] = array.T
    return assemble(
        folder,
        [file.name[: -len(file.suffix)] for file in files],
        torch.from_numpy(scores),
        torch.from_numpy(even_edges(hop, int(n_frames.max())))[None],
        torch.from_numpy(n_frames),
        names,
        load_references(references),
        load_durations(durations),
        subset,
    )


def _load(file: Path, names: Sequence[str]) -> np.ndarray:
    """Loads one array and checks it, ``[frame, class]``."""
    try:
        # Without the magic string np.load would look for a pickle and report that instead of what is wrong.
        with file.open("rb") as handle:
            array = np.lib.format.read_array(handle, allow_pickle=False)
    except Exception as error:  # a damaged header can raise almost anything
        if "Object arrays" in str(error):
            raise UserError(
                f"'{file}' holds Python objects, which are never loaded; save it as a float32 array."
            ) from error
        raise UserError(f"'{file}' is not a whole .npy file ({error}); save it again with numpy.save.") from error
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"'{file}' holds {array.dtype} values of shape {list(array.shape)}; "
                        "save floating-point probabilities [frame, class].")  # fmt: skip
    if array.shape[1] != len(names) or not len(array):
        raise UserError(f"'{file}' has the shape {list(array.shape)} where [frame, {len(names)}] is expected; "
                        "save [frame, class] and name every class.")  # fmt: skip
    wrong = ~((array >= 0) & (array <= 1))
    if wrong.any():
        t, k = np.argwhere(wrong)[0]
        raise UserError(f"'{file}', row {t + 1}: the score {array[t, k]} of the class '{names[k]}' is not a "
                        "probability in [0, 1]; apply a sigmoid or remove NaN first.")  # fmt: skip
    return array
