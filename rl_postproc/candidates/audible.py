"""The frames of tracks at which a stack can decode anything: most of a long recording is silent for most of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch

from rl_postproc.data.frames import Frames
from rl_postproc.stages.base import Stage

_WORTH = 0.9
"""Share of the frames up to which it pays to take them out of their tracks."""


@dataclass(frozen=True)
class AudibleFrames:
    """The frames of some tracks near which a level is above 0, as tracks of their own.

    Attributes:
        levels: uint8 or int16 ``[track, frame]``, 0 beyond a track's last frame.
        track: number of each of these tracks among the given ones, ascending int64 ``[track]``.
        frame: number of each of these frames in its track, int64 ``[track, frame]``; None where it is its own.
        n_frames: valid frames of each, int64 ``[track]``.
    """

    levels: torch.Tensor
    track: torch.Tensor
    frame: torch.Tensor | None
    n_frames: torch.Tensor

    @classmethod
    def of(cls, levels: torch.Tensor, n_frames: torch.Tensor, reach: int) -> AudibleFrames:
        """Takes what filters with a reach can make anything of.

        Silence so far from anything audible that a filter at its end sees nothing else is left out. What is left out was
        between such silence on both sides, or before or after it, and so the filters find there what they found.

        Args:
            levels: ``[track, frame]``, 0 beyond a track's last frame.
            n_frames: valid frames of each track, int64 ``[track]``.
            reach: frames on either side that have a say in what the filters together give.
        """
        track = levels.amax(1).nonzero()[:, 0]
        levels, n_frames = levels[track], n_frames[track]
        width = levels.shape[1]
        running = torch.nn.functional.pad((levels > 0).cumsum(1, dtype=torch.int32), (reach + 2, 0))
        # One frame more than the reach stays silent, and ends every event.
        until = torch.cat([running, running[:, -1:].expand(-1, reach + 1)], 1)[:, 2 * reach + 3 :]
        near = until > running[:, :width]
        near &= torch.arange(width, device=near.device) < n_frames[:, None]
        n_near = near.sum(1)
        most = int(n_near.max()) if len(track) else width
        if most > _WORTH * width:
            return cls(levels, track, None, n_frames)
        row, frame = near.nonzero().unbind(1)
        place = row * most + torch.arange(len(row), device=row.device) - (n_near.cumsum(0) - n_near)[row]
        frames = torch.zeros(len(track) * most, dtype=torch.int64, device=row.device)
        taken = levels.new_zeros(len(track) * most)
        frames[place], taken[place] = frame, levels[row, frame]
        return cls(taken.view(-1, most), track, frames.view(-1, most), n_near)

    def frames(self, hop: float) -> Frames:
        """Returns these frames for filters, which look at their numbers and the hop."""
        edges = torch.arange(self.levels.shape[1] + 1, dtype=torch.float64, device=self.track.device)[None] * hop
        return Frames(self.n_frames, hop, edges, edges[0, self.n_frames])

    def frame_of(self, track: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
        """Returns the frames of the given tracks, of frames of these tracks, int64."""
        return frame if self.frame is None else self.frame[track, frame]


def reach_of_filters(filters: tuple[Stage, ...], hop: float) -> int | None:
    """Returns how many frames on either side have a say in what filters give with any of their candidates.

    Returns:
        None where all may, or where a filter does not commute with increasing maps, so that silence is not what is below
        the lowest threshold.
    """
    total = 0
    for stage in filters:
        combinations = torch.tensor(list(product(*(p.candidates for p in stage.parameters.values()))))
        own = stage.reach(hop, **dict(zip(stage.parameters, combinations.unbind(1), strict=True)))
        if own is None or not stage.monotone:
            return None
        total += own
    return total
