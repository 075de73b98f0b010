"""Clips of which few tracks are kept: those whose highest score exceeds a floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.utils.tensors import ragged_ranges


@dataclass(frozen=True)
class SparseClips:
    """Clips, and the scores of the tracks that exceed a floor; all other tracks are silent at thresholds from the floor on.

    Attributes:
        track: ``clip * n_classes + class`` of each track that is kept, ascending, int64 ``[track]``.
        scores: float32 ``[track, frame]``, 0 beyond a clip's last frame.
        n_frames: int64 ``[clip]``.
        edges: frame edges in seconds, which all clips share, float64 ``[1, frame + 1]``.
        durations: seconds, float64 ``[clip]``.
        clip_ids: name of each clip.
        classes: name of each class.
        references: reference events, of tracks that are left out too, or None where they are unknown.
    """

    track: torch.Tensor
    scores: torch.Tensor
    n_frames: torch.Tensor
    edges: torch.Tensor
    durations: torch.Tensor
    clip_ids: tuple[str, ...]
    classes: tuple[str, ...]
    references: Events | None = None

    @classmethod
    def of(cls, scores: ScoreSet, floor: float) -> SparseClips:
        """Keeps the tracks of a score set, whose clips share their frame edges, that exceed the floor."""
        x = scores.scores.flatten(0, 1)
        track = (x.amax(1) > floor).nonzero()[:, 0]
        return cls(track, x[track], scores.n_frames, scores.edges, scores.durations, scores.clip_ids, scores.classes,
                   scores.references)  # fmt: skip

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return len(self.clip_ids)

    @cached_property
    def _first(self) -> torch.Tensor:
        """Where the tracks of each clip begin, and where the last ones end, int64 ``[clip + 1]``."""
        return torch.searchsorted(self.track, torch.arange(self.n_clips + 1) * len(self.classes))

    def clips(self, index: torch.Tensor | Sequence[int]) -> SparseClips:
        """Returns some of the clips (int64 indices), in that order."""
        index = torch.as_tensor(index, dtype=torch.int64)
        clip, place = ragged_ranges(self._first[index], self._first.diff()[index])
        track = self.track[place] + (clip - index[clip]) * len(self.classes)
        return replace(
            self,
            track=track,
            scores=self.scores[place],
            n_frames=self.n_frames[index],
            durations=self.durations[index],
            clip_ids=tuple(self.clip_ids[i] for i in index.tolist()),
            references=None if self.references is None else self.references.select(index),
        )

    def dense(self) -> ScoreSet:
        """Returns the clips with all their tracks, of which those that are left out have scores of 0."""
        n_classes, width = len(self.classes), self.edges.shape[1] - 1
        scores = torch.zeros(self.n_clips * n_classes, width)
        scores[self.track] = self.scores
        return ScoreSet(scores.reshape(self.n_clips, n_classes, width), self.n_frames, self.edges, self.durations,
                        self.clip_ids, self.classes, self.references)  # fmt: skip
