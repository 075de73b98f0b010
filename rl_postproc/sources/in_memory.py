"""Scores of recordings without files between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rl_postproc.data.scores import ScoreSet
from rl_postproc.sources.detector import Detector
from rl_postproc.sources.recordings import find_recordings
from rl_postproc.utils.errors import UserError


def score_set(detector: Detector, paths: Sequence[str | Path]) -> ScoreSet:
    """Runs a detector over recordings.

    Args:
        detector: what gives the scores, such as ``rl_postproc.sources.panns.Panns("Cnn14_DecisionLevelMax.pth", "desed")``.
        paths: files of audio, and folders of them.

    Returns:
        The scores, clips sorted by name. They end with their recordings.

    Raises:
        UserError: a recording cannot be scored, or the detector gives them frames of different lengths.
    """
    found = sorted(detector.run(find_recordings(paths), lambda seconds: None), key=lambda pair: pair[0].clip)
    recordings, clips = [recording for recording, _ in found], [scores for _, scores in found]
    hop = clips[0].hop
    other = next((i for i, clip in enumerate(clips) if clip.hop != hop), None)
    if other is not None:
        raise UserError(f"'{recordings[0].path}' has frames of {hop:g} s and '{recordings[other].path}' of "
                        f"{clips[other].hop:g} s; give recordings of one rate, or a rate to resample to.")  # fmt: skip
    n_frames = torch.tensor([clip.n_frames for clip in clips])
    width = int(n_frames.max())
    scores = np.zeros((len(clips), len(detector.classes), width), dtype=np.float32)
    for i, clip in enumerate(clips):
        scores[i, :, : clip.n_frames] = clip.frames.T
    edges = torch.from_numpy(np.round(np.arange(width + 1) * hop, 6))
    durations = torch.tensor([clip.duration for clip in clips], dtype=torch.float64)
    names = [recording.clip for recording in recordings]
    return ScoreSet.build(torch.from_numpy(scores), edges, names, detector.classes, n_frames, durations)
