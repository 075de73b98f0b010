"""One detector's frame-level scores on a set of clips, with the reference events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from rl_postproc.errors import UserError
from rl_postproc.events import DECIMALS, Events


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
    """

    scores: torch.Tensor
    n_frames: torch.Tensor
    edges: torch.Tensor
    durations: torch.Tensor
    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    references: Events | None = None

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

        Args:
            scores: ``[clip, class, frame]``.
            edges: ``[frame + 1]``, ``[1, frame + 1]`` or ``[clip, frame + 1]`` in seconds, strictly increasing.
            clip_ids: one name a clip, all different.
            classes: one name a class, all different.
            n_frames: valid frames per clip; all frames when None.
            durations: clip lengths in seconds; the last valid edge when None.
            references: reference events over the same clips and classes.

        Raises:
            UserError: scores outside [0, 1] or not finite, edges that do not increase, names that repeat, or shapes
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
        durations = last if durations is None else durations.double()
        if not bool((durations > 0).all()):
            bad = clip_ids[int((~(durations > 0)).nonzero()[0])]
            raise UserError(f"The duration of clip '{bad}' is not a positive number of seconds.")
        # A frame that begins after the clip has ended cannot hold an event of positive length.
        inside = (edges[:, :-1] < durations[:, None]).sum(1)
        n_frames = torch.minimum(n_frames, inside)
        if not bool((n_frames > 0).all()):
            bad = clip_ids[int((n_frames <= 0).nonzero()[0])]
            raise UserError(f"Clip '{bad}' has no frame inside its duration.")
        valid = torch.arange(width) < n_frames[:, None]
        scores = scores.float()
        outside = ~((scores >= 0) & (scores <= 1)) & valid[:, None]
        if bool(outside.any()):
            c, k, t = outside.nonzero()[0].tolist()
            raise UserError(
                f"Clip '{clip_ids[c]}', class '{classes[k]}', frame {t}: the score {scores[c, k, t].item()} is not a "
                "probability in [0, 1]; apply a sigmoid or remove NaN first."
            )
        if references is not None and (references.clip_ids != clip_ids or references.classes != classes):
            raise UserError("The reference events list other clips or classes than the scores.")
        # torch.where, not a product: what lies beyond the clip's end may be NaN.
        scores = torch.where(valid[:, None], scores, scores.new_zeros(()))
        return cls(scores.contiguous(), n_frames, edges, durations, clip_ids, classes, references)

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

    @property
    def hop(self) -> float:
        """Median frame length in seconds, by which parameters in seconds become frames."""
        return round(float(self.edges.diff(dim=1).median()), 9)

    @property
    def valid(self) -> torch.Tensor:
        """Frames that exist, bool ``[clip, frame]``."""
        return torch.arange(self.width, device=self.device) < self.n_frames[:, None]

    def onset_times(self, clips: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Returns the onset in seconds of events that begin with the given frames of the given clips.

        That is the frame's left edge, rounded to the decimals of the exported file, so that what is scored is what is
        written. Clips and frames are int64 and broadcast; the result is float64.
        """
        return self._edge(clips, frames).round(decimals=DECIMALS)

    def offset_times(self, clips: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Returns the offset in seconds of events whose last active frames are given: right edge or clip's end."""
        return torch.minimum(self._edge(clips, frames + 1), self.durations[clips]).round(decimals=DECIMALS)

    def _edge(self, clips: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.edges[clips if len(self.edges) > 1 else torch.zeros_like(clips), edges]

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
        )

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


def fold_of_clips(clip_ids: Sequence[str], n_folds: int = 5) -> torch.Tensor:
    """Assigns clips to folds by the held-out protocol.

    Clip ids are sorted; ``numpy.random.default_rng(0).permutation(n_clips) % n_folds`` gives the fold of each.

    Returns:
        Fold of each clip in the order given, int64 ``[clip]``.
    """
    import numpy as np

    order = sorted(range(len(clip_ids)), key=lambda i: clip_ids[i])
    fold = np.random.default_rng(0).permutation(len(clip_ids)) % n_folds
    result = torch.empty(len(clip_ids), dtype=torch.int64)
    result[torch.tensor(order)] = torch.from_numpy(fold)
    return result
