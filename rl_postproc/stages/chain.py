"""Stages one after another: whether they fit together, and running them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import Data, Kind, Stage
from rl_postproc.stages.compared import Ranks
from rl_postproc.utils.errors import UserError


def check_chain(stages: Sequence[Stage]) -> Kind:
    """Checks that each stage takes what the one before it gives, and returns what comes out: decisions or events.

    Raises:
        UserError: the stages do not fit together.
    """
    kind: Kind = "scores"
    for stage in stages:
        if stage.takes != kind and (stage.takes, kind) != ("events", "decisions"):
            raise UserError(f"Stage '{stage.stage}' takes {stage.takes}, but {kind} reach it; reorder the stack.")
        kind = stage.gives
    if kind == "scores":
        raise UserError("The stack ends with scores; add a stage that decides, such as 'threshold'.")
    return kind


def run_stages(stages: Sequence[Stage], x: Data, frames: Frames, values: torch.Tensor) -> Data:
    """Applies stages one after another; decisions become events where a stage takes events.

    Args:
        stages: what to apply.
        x: what the first one takes.
        frames: of the tracks.
        values: the stages' parameter values, ``[track, parameter]``.
    """
    if isinstance(x, torch.Tensor) and x.is_floating_point() and (ranks := Ranks.of(stages, values)):
        x, values = ranks(x), ranks.values
    used, columns = 0, values.unbind(1)
    for stage in stages:
        names = list(stage.parameters)
        own = dict(zip(names, columns[used : used + len(names)], strict=True))
        if stage.takes == "events" and isinstance(x, torch.Tensor):
            x = TrackEvents.from_decisions(x, frames)
        x, used = stage(x, frames, **own), used + len(names)
    return x
