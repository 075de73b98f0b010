"""Clip-level tags: one tensor or array ``[clip, tag]`` of probabilities, reference tags of the same kinds or a table.

Files: ``.pt``/``.pth`` (a tensor; nothing else is ever unpickled), ``.npy``, ``.npz``, ``.h5``/``.hdf5``. An ``.npz``
or HDF5 file may also hold the names of its clips and classes, and the reference tags beside the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats.archives import ARRAY_SUFFIXES
from rl_postproc.formats.array_writer import require_archive, write_arrays
from rl_postproc.formats.base import Format, Given
from rl_postproc.formats.folder import read_classes
from rl_postproc.formats.scores.array_names import holds_frames
from rl_postproc.formats.scores.tag_arrays import TagArrays, read_arrays, read_reference_array
from rl_postproc.formats.scores.tag_table import read_tag_table
from rl_postproc.utils.errors import UserError

CLIP_SECONDS = 1.0
"""Nominal length of a clip, whose tags know no time."""


class Tags(Format):
    """Tags of whole clips, one array of clips by tags."""

    format: Literal["tags"] = "tags"
    looks_like: ClassVar[str] = "one file with an array [clip, tag]: .pt, .npy, .npz or .h5"
    hop_known: ClassVar[str] = ""
    array: str | None = Field(
        None, description="name of the array of probabilities in an archive, unless it has a usual one such as scores"
    )
    references_array: str | None = Field(
        None, description="name of the array of reference tags in an archive, unless it has a usual one such as target"
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Returns whether this is one file of a kind that holds arrays, unless they are scores of frames."""
        return path.is_file() and path.suffix.lower() in ARRAY_SUFFIXES and not holds_frames(path)

    def read(self, path: Path, given: Given) -> ScoreSet:
        """Reads tag probabilities as a score set with one frame a clip.

        Args:
            path: file with the probabilities ``[clip, tag]``; in an archive the array ``scores`` (or ``predictions``,
                ``clipwise_output``), and where they exist ``clip_ids`` and ``classes``.
            given: ``references`` are a file with the reference tags ``[clip, tag]`` of 0 and 1 in the same order (in an
                archive ``references``, ``target`` or ``labels``), or a table of labels (``.tsv``, ``.csv``, ``.txt``), see
                `rl_postproc.formats.scores.tag_table`; when None, those in the score file, if any. ``classes`` come from the
                score file or ``classes.txt`` beside it when None, else the tags are numbered. ``subset`` lets a table of
                labels list clips without scores. Tags have neither durations nor a hop.

        Returns:
            Clips in the order of the file. Clips and tags without names are numbered.

        Raises:
            UserError: a file cannot be used, shapes or names do not fit, or durations or a hop are given.
        """
        if not path.is_file() or path.suffix.lower() not in ARRAY_SUFFIXES:
            raise UserError(f"'{path}' holds no .npy, .npz, .pt or .h5 array [clip, tag]; give the file of the scores.")
        if given.durations is not None or given.hop is not None:
            raise UserError(f"'{path}' holds tags of whole clips, which have no times; leave out durations and hop.")
        references = None if given.references is None else Path(given.references)
        own = references is None
        found = read_arrays(path, self.array, self.references_array if own else None, with_references=own)
        scores = found.scores.float()
        n_clips, n_tags = scores.shape
        names, named = _class_names(path, given.classes, found, n_tags)
        clip_ids = found.clip_ids
        if clip_ids is not None and len(clip_ids) != n_clips:
            raise UserError(
                f"'{path}' names {len(clip_ids)} clips for an array {[n_clips, n_tags]}; give one name a row."
            )
        wanted = found.references
        if references is not None and references.suffix.lower() in ARRAY_SUFFIXES:
            wanted = read_reference_array(references, self.references_array)
        elif references is not None:
            if not named:
                raise UserError(
                    f"The tags in '{path}' have no names to find the labels of '{references}' by; give classes."
                )
            named_tags = self.array is not None or not self.is_guess
            clip_ids, wanted = read_tag_table(references, names, clip_ids, n_clips, path, given.subset, named_tags)
        if wanted is not None:
            wanted = _checked(wanted, (n_clips, n_tags), references or path, path)
        return score_set_of_tags(scores, wanted, clip_ids, names)

    def write(self, scores: ScoreSet, path: Path) -> None:
        """Writes one array ``[clip, tag]`` with the names of clips and tags, and the reference tags if there are any.

        Raises:
            UserError: clips have more than one frame, the suffix is none of .npz, .pt and .h5, or the file cannot be written.
        """
        require_archive(path)
        if scores.width > 1:
            raise UserError(f"The clips have up to {scores.width} frames, but the format tags holds one score a class; "
                            "write them in the format arrays or sed_scores.")  # fmt: skip
        arrays = {"scores": scores.scores[:, :, 0].contiguous().cpu().numpy()}
        if scores.references is not None:
            arrays["references"] = (scores.references.counts() > 0).cpu().numpy()
        write_arrays(path, {**arrays, "clip_ids": scores.clip_ids, "classes": scores.classes})


def score_set_of_tags(
    scores: torch.Tensor,
    references: torch.Tensor | None = None,
    clip_ids: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> ScoreSet:
    """Makes the score set of tags: one frame a clip, and one event spanning the clip for each reference tag.

    Args:
        scores: probabilities ``[clip, tag]``.
        references: 0 and 1, ``[clip, tag]``, or None.
        clip_ids: one name a clip; numbered when None.
        classes: one name a tag; numbered when None.
    """
    n_clips, n_tags = scores.shape
    ids = _numbered("clip", n_clips) if clip_ids is None else tuple(clip_ids)
    names = _numbered("tag", n_tags) if classes is None else tuple(classes)
    events = None
    if references is not None:
        clip, label = references.nonzero().unbind(1)
        onset = torch.zeros(len(clip), dtype=torch.float64)
        events = Events.from_tensors(ids, names, clip, label, onset, onset + CLIP_SECONDS)
    edges = torch.tensor([0.0, CLIP_SECONDS], dtype=torch.float64)
    return ScoreSet.build(scores[..., None], edges, ids, names, references=events)


def _numbered(what: str, n: int) -> tuple[str, ...]:
    """Returns names that sort in the order of their numbers."""
    return tuple(f"{what}_{i:0{len(str(n - 1))}d}" for i in range(n))


def _class_names(
    path: Path, classes: Sequence[str] | str | Path | None, found: TagArrays, n_tags: int
) -> tuple[Sequence[str], bool]:
    """Returns the names of the tags, and whether they were given."""
    if classes is None:
        beside = path.with_name("classes.txt")
        classes = found.classes if found.classes is not None else beside if beside.is_file() else None
    names = read_classes(classes)
    if names is None:
        return _numbered("tag", n_tags), False
    if len(names) != n_tags:
        raise UserError(f"'{path}' holds {n_tags} tags, but {len(names)} classes are named; name one class a column.")
    return names, True


def _checked(references: torch.Tensor, shape: tuple[int, int], source: str | Path, path: Path) -> torch.Tensor:
    """Returns the reference tags as booleans ``[clip, tag]``."""
    if tuple(references.shape) != shape:
        raise UserError(
            f"'{source}' holds reference tags of shape {list(references.shape)}, but the scores in '{path}' have "
            f"{list(shape)}; both must list the same clips and tags in the same order."
        )
    odd = ((references != 0) & (references != 1)).nonzero()
    if len(odd):
        row, column = odd[0].tolist()
        raise UserError(f"'{source}', row {row + 1}, column {column + 1}: the reference tag "
                        f"{references[row, column].item()} is neither 0 nor 1; round soft labels first.")  # fmt: skip
    return references.bool()
