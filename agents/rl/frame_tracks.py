"""The score tracks of a score set as networks see them: at frames of the length that they were trained on."""

from __future__ import annotations

import torch

from rl_postproc.data.scores import ScoreSet


class FrameTracks:
    """Tracks (clip-major, then class) resampled to a network's frame length."""

    def __init__(self, scores: ScoreSet, step: float):
        """Takes scores and the seconds per frame that a network knows."""
        self._scores, self._mask = resampled(scores, step)
        self._n_classes, self._ratio = scores.n_classes, scores.hop / step
        if abs(self._ratio - 1) <= 1e-6:
            self._ratio = 1.0
        self.n_tracks = scores.n_clips * scores.n_classes

    def __call__(self, tracks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns scores and masks ``[track, frame]``, float32, and classes ``[track]`` of tracks, int64 ``[track]``."""
        clip, label = tracks // self._n_classes, tracks % self._n_classes
        return self._scores[clip, label], self._mask[clip], label

    def frame(self, frames: torch.Tensor) -> torch.Tensor:
        """Returns the network's frame at the centre of each given frame, int64; it may lie just beyond the last."""
        return ((frames + 0.5) * self._ratio).long()


def resampled(scores: ScoreSet, step: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns scores ``[clip, class, frame]`` at ``step`` seconds per frame and the mask ``[clip, frame]``, float32.

    Convolutions know frames of one length only. Each new frame takes the score at its centre.
    """
    if abs(scores.hop - step) <= 1e-6 * step:
        return scores.scores, scores.valid.float()
    n_frames = (scores.n_frames * (scores.hop / step)).round().long().clamp(min=1)
    frame = torch.arange(int(n_frames.max()))
    mask = frame < n_frames[:, None]
    source = ((frame + 0.5) * (step / scores.hop)).long()
    source = torch.minimum(source.expand(len(mask), -1), scores.n_frames[:, None] - 1)
    found = scores.scores.gather(2, source[:, None].expand(-1, scores.n_classes, -1))
    return found * mask[:, None], mask.float()
