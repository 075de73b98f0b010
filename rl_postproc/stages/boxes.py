"""Boxes: events lie between changes of the scores, and how sure they are is another matter than where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents, runs
from rl_postproc.stages.base import Kind, Parameter, Probability, Seconds, Stage, combine, numbers_of
from rl_postproc.stages.event_tools import concatenated
from rl_postproc.stages.pieces import FoundRuns

_FLOOR = 1e-3
"""What is added to scores before their ratio is taken."""
ANY_RATIO = 1001.0
"""No two scores have a greater ratio than this, so that it means no limit."""
_DECIMALS = 9
"""Decimals to which changes are rounded, so that level scores have none on any machine."""


def _ratio(value: Any) -> Any:
    """Checks that the candidates are ratios of a greater to a smaller score."""
    if any(v < 1 for v in numbers_of(value)):
        raise ValueError("ratios must be at least 1")
    return value


Ratio = Annotated[Parameter, BeforeValidator(_ratio), Field(json_schema_extra={"unit": "ratio"})]


class Boxes(Stage):
    """Change-detection sound event bounding boxes (cSEBBs).

    A step filter gives at each frame edge the mean score of the half window after it less that of the half before it. A
    box lasts while that falls: from a maximum, an onset, to the next minimum, an offset. Neighbours then become one where
    the gap between them is hardly lower than they are: by less than ``absolute``, and by a factor of less than
    ``relative``, the highest score of either compared with the lowest of the gap. A box is as sure as its mean score; a
    threshold on that, the stage `confidence`, decides.

    Boundaries lie on frame edges, where the published filter finds them anywhere.

    Source: Ebbers, Germain, Wichern and Le Roux, "Sound Event Bounding Boxes", Interspeech 2024 (arXiv 2406.04212).
    """

    stage: Literal["boxes"] = "boxes"
    window: Seconds = Field(
        default=Parameter(candidates=(0.32, 0.48, 0.64), default=0.48),
        description="length of the step filter, both halves together",
    )
    absolute: Probability = Field(
        default=Parameter(candidates=(0.15, 0.2, 0.3), default=0.2),
        description="boxes are joined over gaps lower by less than this; 1 for no limit",
    )
    relative: Ratio = Field(
        default=Parameter(candidates=(ANY_RATIO,), default=ANY_RATIO),
        description="and by a factor of less than this; 1001 for no limit",
    )

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "events"
    on_frames: ClassVar[bool] = True
    sure_as_scores: ClassVar[bool] = True

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Finds boxes between changes, and joins some."""
        segments = _Segments.find(x, frames, values["window"])
        return segments.joined(frames, values["absolute"], values["relative"])

    def in_pieces(self, hop: float, **values: torch.Tensor) -> FoundRuns:
        """See `Stage.in_pieces`."""
        from rl_postproc.stages.boxes_in_pieces import BoxesInPieces

        return BoxesInPieces(hop, values["window"], values["absolute"], values["relative"])

    def sweep(self, x: torch.Tensor, frames: Frames) -> TrackEvents:
        """See `Stage.sweep`: changes are sought once for each window."""
        n_tracks = x.shape[1]
        found, ones = [], torch.ones(n_tracks, device=x.device)
        limits = combine([self.absolute.candidates, self.relative.candidates]).tolist()
        for window in self.window.candidates:
            segments = _Segments.find(x, frames, ones * window)
            found += [segments.joined(frames, ones * a, ones * r) for a, r in limits]
        return concatenated(found)


@dataclass(frozen=True)
class _Segments:
    """Boxes before any are joined, sorted by track and time.

    Attributes:
        track: int64 ``[box]``.
        first: first frame, int64 ``[box]``.
        last: last frame, int64 ``[box]``.
        highest: highest score inside, float64 ``[box]``.
        lowest_behind: lowest score of the gap between this box and the next of its track, float64 ``[box]``.
        total: running sums of scores, float64 ``[track, frame + 1]``.
    """

    track: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    highest: torch.Tensor
    lowest_behind: torch.Tensor
    total: torch.Tensor

    @classmethod
    def find(cls, x: torch.Tensor, frames: Frames, window: torch.Tensor) -> _Segments:
        """Finds the stretches of ``[frame, track]`` over which the output of the step filter does not rise.

        Args:
            x: scores ``[frame, track]``.
            frames: of the tracks.
            window: seconds ``[track]``.
        """
        scores = x.T.contiguous()
        n_tracks, width = scores.shape
        total = torch.nn.functional.pad(scores.double().cumsum(1), (1, 0))
        inside = torch.empty(scores.shape, dtype=torch.bool, device=x.device)
        chosen, group = torch.unique(window, return_inverse=True)
        for i, length in enumerate(chosen.tolist()):
            tracks = (group == i).nonzero()[:, 0] if len(chosen) > 1 else slice(None)
            inside[tracks] = falls(total[tracks], half_window(length, frames.hop))
        inside &= torch.arange(width, device=x.device) < frames.n_frames[:, None]
        track, first, last = runs(inside)
        # All frames from the first of a box on share a number, up to the next box of any track.
        begins = torch.zeros(n_tracks * width, dtype=torch.int64, device=x.device)
        begins[track * width + first] = 1
        number, flat, within = begins.cumsum(0), scores.flatten(), inside.flatten()
        none = torch.zeros(len(track) + 1, dtype=scores.dtype, device=x.device)
        highest = none.scatter_reduce(0, number[within], flat[within], "amax")[1:]
        lowest = (none + 2).scatter_reduce(0, number[~within], flat[~within], "amin")[1:]
        return cls(track, first, last, highest.double(), lowest.double(), total)

    def joined(self, frames: Frames, absolute: torch.Tensor, relative: torch.Tensor) -> TrackEvents:
        """Joins boxes over shallow gaps; ``absolute`` and ``relative`` are ``[track]``."""
        begins = torch.ones(len(self.track), dtype=torch.bool, device=self.track.device)
        joins = joins_neighbours(self.track, self.highest, self.lowest_behind[:-1], absolute, relative)
        begins[1:] = ~joins
        ends = torch.ones_like(begins)
        ends[:-1] = ~joins
        track, first, last = self.track[begins], self.first[begins], self.last[ends]
        sure = confidence(self.total[track, last + 1] - self.total[track, first], last + 1 - first)
        heard = sure > 0
        track, first, last = track[heard], first[heard], last[heard]
        onset, offset = frames.onset_times(track, first), frames.offset_times(track, last)
        return TrackEvents(track, onset, offset, sure[heard], len(frames))


def joins_neighbours(
    track: torch.Tensor, highest: torch.Tensor, gap: torch.Tensor, absolute: torch.Tensor, relative: torch.Tensor
) -> torch.Tensor:
    """Returns whether each box but the first becomes one with the box before it, bool ``[box - 1]``.

    Args:
        track: of the boxes, sorted by track and time, int64 ``[box]``.
        highest: highest score inside, float64 ``[box]``.
        gap: lowest score between each box and the next, float64 ``[box - 1]``.
        absolute: limit of the difference, ``[track]``.
        relative: limit of the ratio, ``[track]``.
    """
    least, most = absolute.double()[track[1:]], relative.double()[track[1:]]
    joins = track[1:] == track[:-1]
    for side in (highest[:-1], highest[1:]):
        joins &= ((side - gap).round(decimals=_DECIMALS) < least) | (least >= 1)
        joins &= ((side + _FLOOR) / (gap + _FLOOR) < most) | (most >= ANY_RATIO)
    return joins


def confidence(total: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
    """Returns how sure boxes are, float32 ``[box]``: the mean of so many scores of that sum; what is not above 0 is none."""
    return (total / n_frames).round(decimals=_DECIMALS).float().clamp(0, 1)


def half_window(seconds: float, hop: float) -> float:
    """Returns half of the step filter's length in frames."""
    return max(seconds / hop / 2, 0.5)


def falls(total: torch.Tensor, half: float, first: int = 0, last: int | None = None) -> torch.Tensor:
    """Returns over which frames the output of the step filter does not rise, bool ``[track, frame]``.

    Args:
        total: running sums of scores ``[track, edge]``; the scores are 0 outside.
        half: half of the filter's length in frames.
        first: the clip's edge at which ``total`` begins, where it is not the whole.
        last: the clip's last edge.
    """
    change, stop = -2 * total, first + total.shape[1]
    last = stop - 1 if last is None else last
    for by in (half, -half):
        edge = (torch.arange(first, stop, dtype=torch.float64, device=total.device) + by).clamp(0, last)
        low = edge.floor().long()
        share = edge - low
        low, high = ((place.clamp(max=last) - first).clamp(0, stop - 1 - first) for place in (low, low + 1))
        change += total[:, low] * (1 - share) + total[:, high] * share
    change = (change / half).round(decimals=_DECIMALS)
    return change[:, 1:] <= change[:, :-1]
