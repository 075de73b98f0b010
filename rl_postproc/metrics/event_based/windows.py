"""The frames that a reference event admits for the onset and the offset of an event that matches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.event_based.collars import CollarMetric


@dataclass(frozen=True)
class Windows:
    """Admissible frames of references: an event's first frame in the one window, its last frame in the other.

    All are int64 ``[reference]``; the last frames are inclusive.
    """

    clip: torch.Tensor
    track: torch.Tensor
    first_onset: torch.Tensor
    last_onset: torch.Tensor
    first_offset: torch.Tensor
    last_offset: torch.Tensor

    def __getitem__(self, index: torch.Tensor | slice) -> Windows:
        return Windows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def of_clips(self, clips: slice) -> Windows:
        """Returns the windows of consecutive clips; windows are sorted by clip, so they follow one another."""
        a, b = torch.searchsorted(self.clip, torch.tensor([clips.start, clips.stop], device=self.clip.device)).tolist()
        return self[a:b]


def find_windows(metric: CollarMetric, scores: ScoreSet, references: Events) -> Windows:
    """Finds the frames that each reference admits; references that no run can match are left out.

    A boundary that is not compared may be any frame; with the onset alone the offset may be any from the first onset on,
    as every event's is.

    Times increase with the frame, so the admissible frames follow one another, and their ends are found by bisection.
    """
    clip, collar = references.clip, metric.offset_collar(references)
    frames, n_frames = scores.clip_frames, scores.n_frames[clip]

    def ends(times: Callable, wanted: torch.Tensor, collar: torch.Tensor | float) -> tuple[torch.Tensor, torch.Tensor]:
        first = _first_frame(
            lambda f: metric.within((wanted - times(clip, f)).clamp(min=0), collar), n_frames, scores.width
        )
        after = _first_frame(
            lambda f: ~metric.within((times(clip, f) - wanted).clamp(min=0), collar), n_frames, scores.width
        )
        return first, after - 1

    final = n_frames - 1
    if metric.evaluate_onset:
        onset = ends(frames.onset_times, references.onset, metric.t_collar)
    if metric.evaluate_offset:
        offset = ends(frames.offset_times, references.offset, collar)
    if not metric.evaluate_offset:
        offset = onset[0], final
    if not metric.evaluate_onset:
        onset = torch.zeros_like(final), final
    windows = Windows(clip, clip * scores.n_classes + references.label, *onset, *offset)
    possible = (onset[0] <= onset[1]) & (offset[0] <= offset[1]) & (onset[0] <= offset[1])
    return windows[possible]


def _first_frame(holds: Callable[[torch.Tensor], torch.Tensor], n_frames: torch.Tensor, width: int) -> torch.Tensor:
    """Returns the first frame from which a condition holds, or the number of frames where it never does.

    Args:
        holds: takes one frame a row, int64 ``[row]``, and returns bool ``[row]``; once true it stays true.
        n_frames: number of frames of each row, int64 ``[row]``.
        width: the largest of them.
    """
    low, high = torch.zeros_like(n_frames), n_frames
    for _ in range(width.bit_length()):
        middle = (low + high) // 2
        found = holds(middle.clamp(max=width - 1)) & (middle < n_frames)
        high = torch.where(found, middle, high)
        low = torch.where(found, low, (middle + 1).minimum(high))
    return high
