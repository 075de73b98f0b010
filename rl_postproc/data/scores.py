"""One detector's frame-level scores on a set of clips, with the reference events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from rl_postproc.data.arrays import Row, events_of, seconds_of, stack_arrays
from rl_postproc.data.events import Events
from rl_postproc.data.frames import Frames, even_edges
from rl_postproc.data.origin import GIVEN, LAST_FRAME, Origin
from rl_postproc.data.probabilities import checked_scores
from rl_postproc.data.reference_checks import reference_problems
from rl_postproc.data.score_checks import scores_cut
from rl_postproc.utils.errors import UserError, heard_warnings, warn

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class ScoreSet:
    """Scores of one detector on a set of clips. Immutable; every method returns a new set.

    Attributes:
        scores: class probabilities in [0, 1], float32 ``[clip, class, frame]``; 0 beyond a clip's last frame.
        n_frames: number of valid frames of each clip, int64 ``[clip]``, at least 1.
        edges: frame edges in seconds, float64 ``[1, frame + 1]`` when all clips share them, else ``[clip, frame + 1]``.
        durations: length of each clip in seconds, float64 ``[clip]``.
        clip_ids: name of each clip.
        classes: name of each class.
        references: reference events of these clips and classes, or None where they are unknown.
        origin: how the set came to be, for reports.

    Example:
        >>> from rl_postproc import ScoreSet
        >>> arrays = {"a": [[0.1, 0.0], [0.9, 0.2], [0.8, 0.1]], "b": [[0.0, 0.7], [0.1, 0.6]]}  # [frame, class]
        >>> scores = ScoreSet.from_arrays(arrays, hop=0.5, classes=["Cat", "Dog"], references=[("a", 0.5, 1.5, "Cat")])
        >>> scores.scores.shape, scores.n_frames.tolist(), scores.durations.tolist()
        (torch.Size([2, 2, 3]), [3, 2], [1.5, 1.0])
        >>> scores.select([0]).references.to_rows()
        [('a', 0.5, 1.5, 'Cat')]
    """

    scores: torch.Tensor
    n_frames: torch.Tensor
    edges: torch.Tensor
    durations: torch.Tensor
    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    references: Events | None = None
    origin: Origin = field(default_factory=Origin)

    @classmethod
    def build(
        cls,
        scores: torch.Tensor,
        edges: torch.Tensor,
        clip_ids: Sequence[str],
        classes: Sequence[str],
        n_frames: torch.Tensor | None = None,
        durations: torch.Tensor | None = None,
        references: Events | None = None,
    ) -> ScoreSet:
        """Checks the parts, cuts frames that begin at or after a clip's end, and silences what lies beyond.

        Scores up to 1e-4 outside [0, 1] are clipped, with a `DataWarning` that counts them.

        Args:
            scores: ``[clip, class, frame]``.
            edges: ``[frame + 1]``, ``[1, frame + 1]`` or ``[clip, frame + 1]`` in seconds, strictly increasing.
            clip_ids: one name a clip, all different.
            classes: one name a class, all different.
            n_frames: valid frames per clip; all frames when None.
            durations: clip lengths in seconds; the last valid edge when None.
            references: reference events over the same clips and classes.

        Warns:
            DataWarning: frames that hold scores are cut, or scores are clipped to [0, 1].

        Raises:
            UserError: scores farther outside [0, 1] or not finite, edges that do not increase, names that repeat, or shapes
                that do not fit.
        """
        n_clips, n_classes, width = scores.shape
        clip_ids, classes = tuple(clip_ids), tuple(classes)
        if not n_clips or not n_classes or not width:
            raise UserError(
                f"A score set needs at least one clip, class and frame, but its shape is {list(scores.shape)}."
            )
        if len(clip_ids) != n_clips or len(classes) != n_classes:
            raise UserError(f"Scores of shape {list(scores.shape)} do not fit {len(clip_ids)} clip ids and "
                            f"{len(classes)} class names.")  # fmt: skip
        for kind, names in (("Clip id", clip_ids), ("Class", classes)):
            if len(set(names)) < len(names):
                twice = next(n for n in names if names.count(n) > 1)
                raise UserError(f"{kind} '{twice}' occurs twice; names must be unique.")
        edges = torch.atleast_2d(edges.double())
        if edges.shape not in {(1, width + 1), (n_clips, width + 1)}:
            raise UserError(f"{width} frames need {width + 1} edges, but the edges have shape {list(edges.shape)}.")
        if not bool((edges.diff(dim=1) > 0).all()) or not bool(edges.isfinite().all()):
            raise UserError("Frame edges must be finite and increase strictly from frame to frame.")
        n_frames = torch.full((n_clips,), width) if n_frames is None else n_frames.long()
        last = edges.expand(n_clips, -1).gather(1, n_frames[:, None].clamp(1, width))[:, 0]
        ends = LAST_FRAME if durations is None else GIVEN
        durations = last if durations is None else durations.double()
        if not bool((durations > 0).all()):
            bad = clip_ids[int((~(durations > 0)).nonzero()[0])]
            raise UserError(f"The duration of clip '{bad}' is not a positive number of seconds.")
        # A frame that begins after the clip has ended cannot hold an event of positive length.
        inside = (edges[:, :-1] < durations[:, None]).sum(1)
        given_frames, n_frames = n_frames, torch.minimum(n_frames, inside)
        if not bool((n_frames > 0).all()):
            bad = clip_ids[int((n_frames <= 0).nonzero()[0])]
            raise UserError(f"Clip '{bad}' has no frame inside its duration.")
        valid = torch.arange(width) < n_frames[:, None]
        with heard_warnings() as notes:
            if cut := scores_cut(scores, given_frames, n_frames, clip_ids, durations):
                warn(cut)
            scores = checked_scores(scores.float(), valid, clip_ids, classes)
        if references is not None and (references.clip_ids != clip_ids or references.classes != classes):
            raise UserError("The reference events list other clips or classes than the scores.")
        return cls(scores.contiguous(), n_frames, edges, durations, clip_ids, classes, references,
                   Origin(durations=ends, notes=tuple(notes)))  # fmt: skip

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Any],
        *,
        hop: float,
        classes: Sequence[str],
        references: Events | Iterable[Row] | None = None,
        durations: Mapping[str, float] | None = None,
    ) -> ScoreSet:
        """Builds the set from arrays of one's own, on evenly spaced frames that begin at 0 s.

        Args:
            arrays: probabilities by clip id, ``[frame, class]``: NumPy arrays, tensors, or lists of lists.
            hop: frame length in seconds.
            classes: one name a column.
            references: events, or rows ``(clip_id, onset, offset, label)`` with times in seconds; clips without a row
                have none. Needed to tune and to evaluate, not to apply.
            durations: length of every clip in seconds; a clip ends with its last frame when None.

        Warns:
            DataWarning: references or durations look wrong, see `rl_postproc.data.reference_checks`.

        Raises:
            UserError: a shape, class, clip, time or probability does not fit.

        Example:
            >>> arrays = {"a": [[0.1, 0.0], [0.9, 0.2], [0.8, 0.1]], "b": [[0.0, 0.7], [0.1, 0.6]]}
            >>> rows = [("a", 0.5, 1.5, "Cat"), ("b", 0.0, 1.0, "Dog")]
            >>> scores = ScoreSet.from_arrays(arrays, hop=0.5, classes=["Cat", "Dog"], references=rows)
            >>> scores.scores.shape, scores.n_frames.tolist(), scores.durations.tolist()
            (torch.Size([2, 2, 3]), [3, 2], [1.5, 1.0])
        """
        stacked, n_frames = stack_arrays(arrays, classes)
        clip_ids, edges = tuple(arrays), even_edges(hop, stacked.shape[2])
        events, seconds = events_of(references, clip_ids, tuple(classes)), seconds_of(durations, clip_ids)
        score_set = cls.build(stacked, edges, clip_ids, classes, n_frames, seconds, events)
        for sentence in (problems := reference_problems(score_set)):
            warn(sentence)
        return score_set.with_origin(notes=(*score_set.origin.notes, *problems))

    @classmethod
    def from_sed_scores_eval(
        cls,
        tables: Mapping[str, pandas.DataFrame],
        *,
        references: Events | Iterable[Row] | Mapping[str, Iterable[Sequence[Any]]] | None = None,
        durations: Mapping[str, float] | None = None,
    ) -> ScoreSet:
        """Builds the set from what the functions of sed_scores_eval take.

        Args:
            tables: DataFrames by clip id, one row a frame: the columns onset, offset, and one for each class.
            references: events, rows ``(clip_id, onset, offset, label)``, or sed_scores_eval's ground truth: by clip id the
                events ``(onset, offset, label)``; clips without any have none.
            durations: length of every clip in seconds; a clip ends with its last frame when None.

        Warns:
            DataWarning: references or durations look wrong, see `rl_postproc.data.reference_checks`.

        Raises:
            UserError: a table, class, clip, time or probability does not fit.
        """
        from rl_postproc.data.score_tables import parts_of_tables, rows_of_truth

        parts = parts_of_tables(tables)
        rows = rows_of_truth(references) if isinstance(references, Mapping) else references
        events, seconds = events_of(rows, parts.clip_ids, parts.classes), seconds_of(durations, parts.clip_ids)
        score_set = cls.build(*parts, seconds, events)
        for sentence in (problems := reference_problems(score_set)):
            warn(sentence)
        return score_set.with_origin(notes=(*score_set.origin.notes, *problems))

    def to_sed_scores_eval(self) -> dict[str, pandas.DataFrame]:
        """Returns the scores as the functions of sed_scores_eval take them; it names clips without audio extension.

        Raises:
            UserError: pandas is not installed, or two clips differ in their audio extensions alone.
        """
        from rl_postproc.data.score_tables import tables_of

        return tables_of(self.scores, self.edges, self.clip_ids, self.classes, self.n_frames)

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return self.scores.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.scores.shape[1]

    @property
    def width(self) -> int:
        """Number of frames of the longest clip."""
        return self.scores.shape[2]

    @property
    def device(self) -> torch.device:
        """Device of the scores."""
        return self.scores.device

    @cached_property
    def hop(self) -> float:
        """Median frame length in seconds, by which parameters in seconds become frames."""
        return round(float(self.edges.diff(dim=1).median()), 9)

    @property
    def valid(self) -> torch.Tensor:
        """Frames that exist, bool ``[clip, frame]``."""
        return torch.arange(self.width, device=self.device) < self.n_frames[:, None]

    @property
    def frames(self) -> Frames:
        """Where the frames of all tracks (clip-major, then class) lie."""
        return self.frames_of(slice(0, self.n_clips))

    def frames_of(self, clips: slice) -> Frames:
        """Returns where the frames of the tracks of consecutive clips lie."""
        n = self.n_classes
        edges = self.edges if len(self.edges) == 1 else self.edges[clips].repeat_interleave(n, 0)
        n_frames, durations = (x[clips].repeat_interleave(n) for x in (self.n_frames, self.durations))
        return Frames(n_frames, self.hop, edges, durations)

    @property
    def clip_frames(self) -> Frames:
        """Where the frames of the clips lie, with clips in the place of tracks."""
        return Frames(self.n_frames, self.hop, self.edges, self.durations)

    def require_references(self) -> Events:
        """Returns the reference events.

        Raises:
            UserError: there are none.
        """
        if self.references is None:
            raise UserError("This needs reference events, but the score set has none; give --references.")
        return self.references

    def select(self, clips: torch.Tensor | Sequence[int]) -> ScoreSet:
        """Returns the set of the given clips, in that order, with its references."""
        index = torch.as_tensor(clips, dtype=torch.int64, device=self.device)
        return ScoreSet(
            self.scores[index],
            self.n_frames[index],
            self.edges if len(self.edges) == 1 else self.edges[index],
            self.durations[index],
            tuple(self.clip_ids[i] for i in index.tolist()),
            self.classes,
            None if self.references is None else self.references.select(index),
            self.origin,
        )

    def of_classes(self, classes: Sequence[str]) -> ScoreSet:
        """Returns the set with some of its classes, in the order given, with their references."""
        index = [self.classes.index(name) for name in classes]
        references = None if self.references is None else self.references.of_classes(classes)
        return replace(self, scores=self.scores[:, index], classes=tuple(classes), references=references)

    def with_origin(self, **changes: Any) -> ScoreSet:
        """Returns the same set with other attributes of its origin."""
        return replace(self, origin=replace(self.origin, **changes))

    def to(self, device: torch.device | str) -> ScoreSet:
        """Returns the same set on another device."""
        return replace(
            self,
            scores=self.scores.to(device),
            n_frames=self.n_frames.to(device),
            edges=self.edges.to(device),
            durations=self.durations.to(device),
            references=None if self.references is None else self.references.to(device),
        )
