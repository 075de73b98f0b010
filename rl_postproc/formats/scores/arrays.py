"""One file of the frame-level scores of all clips: ``.npz``, HDF5 or ``.pt``, or one array ``.npy``.

It holds one array ``[clip, frame, class]`` (or ``[clip, class, frame]``) with what names its clips and classes, or one array
``[frame, class]`` for each clip, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.archives import ARRAY_SUFFIXES, Stored, open_arrays
from rl_postproc.formats.array_writer import require_archive, write_arrays
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.clips import ClipTable, assemble, load_durations, load_references
from rl_postproc.formats.folder import keep_classes, read_classes
from rl_postproc.formats.scores.array_names import (
    CLASSES,
    CLIP_IDS,
    DURATIONS,
    FRAME_SCORES,
    N_FRAMES,
    cubes,
    holds_frames,
    matrices,
    numbers,
    texts,
)
from rl_postproc.formats.scores.frame_times import TimeSource, edges_of
from rl_postproc.formats.scores.npy_folder import FROM_CENTRES, FROM_EDGES
from rl_postproc.utils.errors import UserError, suggest
from rl_postproc.utils.memory import require_memory

Axes = Literal["clip frame class", "clip class frame"]


class _Found(NamedTuple):
    """Scores of clips: names, ``[clip, class, frame]``, frames of each."""

    clip_ids: list[str]
    scores: torch.Tensor
    n_frames: list[int]


class Arrays(Format):
    """Frame-level scores of all clips in one file of arrays."""

    format: Literal["arrays"] = "arrays"
    looks_like: ClassVar[str] = (
        "one file (.npz, .h5, .pt) with an array [clip, frame, class] or with one [frame, class] for each clip"
    )
    array: str | None = Field(
        None, description="name of the array of probabilities of all clips, unless it has a usual one such as scores"
    )
    axes: Axes | None = Field(None, description="order of its axes, where the number of classes does not tell it")
    edges: str | None = Field(None, description=FROM_EDGES)
    centres: str | None = Field(None, description=FROM_CENTRES)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is a file of arrays that holds scores of frames."""
        return holds_frames(path)

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads a file of arrays.

        Args:
            path: the file. Beside the scores it may hold ``clip_ids``, ``classes``, ``n_frames``, ``durations``, ``axes``,
                and ``edges``, ``centres``, ``timestamps`` or ``hop``, for all clips or in one row a clip.
            given: ``classes`` are those to keep where the file names them, else the names of all, in ``classes.txt`` beside
                it when None; the hop is needed where nothing in the file tells when frames lie.

        Returns:
            Clips in the order of the file, numbered where they have no names.

        Raises:
            UserError: hop or classes are missing, the order of the axes is not told, or the arrays cannot be used.
        """
        if not path.is_file() or path.suffix.lower() not in ARRAY_SUFFIXES:
            raise UserError(f"'{path}' holds no .npy, .npz, .pt or .h5 array of frames; give the file of the scores.")
        listed, source = path.with_name("classes.txt"), TimeSource(given.hop, self.edges, self.centres)
        with open_arrays(path) as content:
            arrays = content if isinstance(content, Mapping) else {}
            own = texts(arrays, path, CLASSES)
            names = own or read_classes(listed if given.classes is None and listed.is_file() else given.classes)
            if names is None:
                raise UserError(f"The arrays in '{path}' do not name their classes; give classes, or put one name a line "
                                f"into '{listed}'.")  # fmt: skip
            times = source.of(path, arrays)
            one = self._one_array(content, path)
            found = _clip_by_clip(arrays, path, names) if one is None else self._all_clips(one, arrays, path, names)
            lengths = numbers(arrays, path, DURATIONS, len(found.clip_ids))
        durations = load_durations(given.durations)
        if durations is None and lengths is not None:
            seconds = dict(zip(found.clip_ids, lengths.tolist(), strict=True))
            durations = ClipTable(path, "durations", found.clip_ids, [], seconds)
        edges, references = torch.from_numpy(edges_of(times, found.n_frames)), load_references(given.references)
        kept = keep_classes(None if own is None else read_classes(given.classes), names, path)
        scores = found.scores if kept == list(range(len(names))) else found.scores[:, kept]
        n_frames = torch.tensor(found.n_frames)
        return assemble(
            path, found.clip_ids, scores, edges, n_frames, [names[k] for k in kept], references, durations, given.subset
        )

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes one array ``[clip, frame, class]`` with names, numbers of frames, frame edges and durations.

        Raises:
            UserError: the suffix is none of .npz, .pt and .h5, or the file cannot be written.
        """
        require_archive(path)
        edges = scores.edges[0] if len(scores.edges) == 1 else scores.edges
        write_arrays(path, {
            "scores": scores.scores.movedim(1, 2).contiguous().cpu().numpy(),
            "axes": ["clip", "frame", "class"],
            "clip_ids": scores.clip_ids,
            "classes": scores.classes,
            "n_frames": scores.n_frames.cpu().numpy(),
            "edges": edges.cpu().numpy(),
            "durations": scores.durations.cpu().numpy(),
        })  # fmt: skip

    def _one_array(self, content: Mapping[str, Stored] | Stored, path: Path) -> tuple[Stored, str] | None:
        """Returns the array of all clips and where it lies, or None where each clip has its own."""
        if isinstance(content, Stored):
            return content, str(path)
        if self.array is not None and self.array not in content:
            raise UserError(f"'{path}' holds no array '{self.array}'{suggest(self.array, list(content))}.")
        found = cubes(content)
        name = self.array or next((name for name in FRAME_SCORES if name in found), found[0] if found else None)
        if self.array is None and name not in FRAME_SCORES and len(found) > 1:
            raise UserError(f"'{path}' holds the arrays '{found[0]}' and '{found[1]}' of frames of all clips; say which "
                            f"with the option array, such as --format-option array={found[0]}.")  # fmt: skip
        return None if name is None else (content[name], f"{path}: {name}")

    def _all_clips(self, one: tuple[Stored, str], arrays: Mapping[str, Stored], path: Path, names: list[str]) -> _Found:
        """Reads one array of all clips."""
        stored, place = one
        shape = stored.shape or ()
        if stored.kind != "f" or len(shape) != 3 or 0 in shape:
            raise UserError(f"'{place}' is {list(shape)} where floating-point probabilities [clip, frame, class] are "
                            "expected.")  # fmt: skip
        frames_last = self._frames_last(shape, arrays, path, place, len(names))
        what, remedy = f"'{place}' in single precision", "save fewer clips in a file"
        require_memory(8.0 * shape[0] * shape[1] * shape[2], what, remedy)
        value = stored.read()
        tensor = value if isinstance(value, torch.Tensor) else torch.from_numpy(_native(value))
        n_clips, width = shape[0], shape[2] if frames_last else shape[1]
        clip_ids = texts(arrays, path, CLIP_IDS) or [f"clip_{i:0{len(str(n_clips - 1))}d}" for i in range(n_clips)]
        if len(clip_ids) != n_clips:
            raise UserError(f"'{path}' names {len(clip_ids)} clips for an array {list(shape)}; give one name a clip.")
        told = numbers(arrays, path, N_FRAMES, n_clips)
        if told is not None and not ((told >= 1) & (told <= width) & (told == np.floor(told))).all():
            raise UserError(f"'{path}' holds numbers of frames that are not whole numbers from 1 to {width}.")
        n_frames = [width] * n_clips if told is None else told.astype(int).tolist()
        longest = max(n_frames)
        tensor = tensor if frames_last else tensor.movedim(2, 1)
        return _Found(clip_ids, tensor[:, :, :longest].float(), n_frames)

    def _frames_last(
        self, shape: tuple[int, ...], arrays: Mapping[str, Stored], path: Path, place: str, n_classes: int
    ) -> bool:
        """Tells the order of the axes, from the option, the file or the number of classes."""
        axes = self.axes or " ".join(texts(arrays, path, ("axes",)) or ())
        fits = [shape[2] == n_classes, shape[1] == n_classes]
        if axes in ("clip frame class", "clip class frame"):
            if not fits[axes == "clip class frame"]:
                raise UserError(
                    f"'{place}' is {list(shape)}, not {axes} of {n_classes} classes; name every class once."
                )
            return axes == "clip class frame"
        if all(fits):
            raise UserError(f"'{place}' is {list(shape)} of {n_classes} classes, which does not tell frames from classes; "
                            "say which with --format-option axes='clip frame class' or axes='clip class frame'.")  # fmt: skip
        if not any(fits):
            raise UserError(f"'{place}' is {list(shape)} where {n_classes} classes are named; name every class once.")
        return fits[1]


def _clip_by_clip(arrays: Mapping[str, Stored], path: Path, names: list[str]) -> _Found:
    """Reads one array ``[frame, class]`` for each clip."""
    clip_ids = matrices(arrays)
    if not clip_ids:
        raise UserError(
            f"'{path}' holds no floating-point array [clip, frame, class], nor one [frame, class] for each clip."
        )
    shapes = [(*(arrays[clip].shape or ()), 0, 0)[:2] for clip in clip_ids]
    for clip, shape in zip(clip_ids, shapes, strict=True):
        if shape[1] != len(names) or not shape[0]:
            raise UserError(f"'{path}: {clip}' has the shape {list(shape)} where [frame, {len(names)}] is expected; save "
                            "[frame, class] and name every class.")  # fmt: skip
    n_frames = [shape[0] for shape in shapes]
    what = f"{len(clip_ids)} clips of {len(names)} classes, as long as the longest with {max(n_frames)} frames,"
    require_memory(4.0 * len(clip_ids) * len(names) * max(n_frames), what, "split long clips, or give fewer at a time")
    read = [np.asarray(arrays[clip].read()) for clip in clip_ids]  # each is bounded by what its file may unfold to
    scores = np.zeros((len(clip_ids), len(names), max(n_frames)), dtype=np.float32)
    for i, array in enumerate(read):
        scores[i, :, : len(array)] = array.T
    return _Found(clip_ids, torch.from_numpy(scores), n_frames)


def _native(value: np.ndarray) -> np.ndarray:
    """Returns an array in the order of bytes of this machine, which PyTorch needs."""
    return np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
