"""A stack of stages: from scores to events."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.pipeline.space import ParameterSpace
from rl_postproc.stages.base import Data, Kind, Stage
from rl_postproc.utils.errors import UserError

MOST_CANDIDATES = 10_000_000
"""Combinations of parameter values that a stack may have."""


class Stack:
    """An ordered list of stages that turns scores into events.

    The grid of a search, the action space of the environment and every tuner's space are derived from `space`.

    A sweep works on three parts. `filters` give scores. `threshold` is the stage behind them if it decides at levels, so
    that all its candidates are worked out together. `after` is the rest.
    """

    def __init__(self, stages: Sequence[Stage]):
        """Checks that each stage takes what the one before it gives, and that decisions or events come out.

        Raises:
            UserError: the stages do not fit together, or have too many candidates.
        """
        kind: Kind = "scores"
        for stage in stages:
            if stage.takes != kind and (stage.takes, kind) != ("events", "decisions"):
                raise UserError(f"Stage '{stage.stage}' takes {stage.takes}, but {kind} reach it; reorder the stack.")
            kind = stage.gives
        if kind == "scores":
            raise UserError("The stack ends with scores; add a stage that decides, such as 'threshold'.")
        n_candidates = math.prod(len(p.candidates) for stage in stages for p in stage.parameters.values())
        if n_candidates > MOST_CANDIDATES:
            raise UserError(f"The stack has {n_candidates:.2g} candidates, all combinations of its parameters' values, and "
                            f"may have {MOST_CANDIDATES:.0g}; give fewer values.")  # fmt: skip
        self.stages, self.gives = tuple(stages), kind
        n_filters = next(i for i, stage in enumerate(self.stages) if stage.gives != "scores")
        decides = self.stages[n_filters].decides_at is not None
        self.filters = self.stages[:n_filters]
        self.threshold = self.stages[n_filters] if decides else None
        self.after = self.stages[n_filters + decides :]

    @classmethod
    def from_config(cls, config: Sequence[dict[str, Any]]) -> Stack:
        """Builds the stack from a list such as ``[{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold"}]``.

        Raises:
            UserError: an unknown stage, option or value.
        """
        return cls([Stage.make(item if isinstance(item, dict) else {}, f"stack[{i}]") for i, item in enumerate(config)])

    @classmethod
    def default(cls) -> Stack:
        """Median filter and threshold with their default candidates."""
        return cls.from_config([{"stage": "median"}, {"stage": "threshold"}])

    def to_config(self) -> list[dict[str, Any]]:
        """Returns the list from which `from_config` builds an equal stack."""
        return [stage.model_dump(mode="json") for stage in self.stages]

    @cached_property
    def space(self) -> ParameterSpace:
        """The parameters of all stages, in order."""
        seen: Counter[str] = Counter()
        names, parameters = [], []
        for stage in self.stages:
            seen[stage.stage] += 1
            owner = stage.stage if seen[stage.stage] == 1 else f"{stage.stage}_{seen[stage.stage]}"
            names += [f"{owner}.{name}" for name in stage.parameters]
            parameters += stage.parameters.values()
        return ParameterSpace(tuple(names), tuple(parameters))

    @property
    def ends_with_threshold(self) -> bool:
        """Whether all thresholds can be counted together, because nothing follows the stage that decides at levels."""
        return self.threshold is not None and not self.after

    def decide(self, scores: ScoreSet, values: torch.Tensor) -> torch.Tensor:
        """Applies a stack that gives decisions.

        Args:
            scores: the score set.
            values: parameter values, ``[parameter]``, ``[class, parameter]`` or ``[clip, class, parameter]``.

        Returns:
            Decisions, bool ``[clip, class, frame]``.
        """
        decisions = self._applied(scores, values)
        assert isinstance(decisions, torch.Tensor)
        return decisions.T.reshape(scores.scores.shape)

    def events(self, scores: ScoreSet, values: torch.Tensor) -> Events:
        """Applies the stack with given parameter values.

        Args:
            scores: the score set.
            values: parameter values, ``[parameter]``, ``[class, parameter]`` or ``[clip, class, parameter]``.

        Returns:
            The events of all clips, with times as they are written.
        """
        found = self._applied(scores, values)
        if isinstance(found, torch.Tensor):
            found = TrackEvents.from_decisions(found, scores.frames)
        return found.to_events(scores.clip_ids, scores.classes)

    def _applied(self, scores: ScoreSet, values: torch.Tensor) -> Data:
        shape = scores.n_clips, scores.n_classes, len(self.space.names)
        rows = values.to(scores.device).expand(shape).reshape(-1, shape[-1])
        return run_stages(self.stages, scores.scores.flatten(0, 1).T.contiguous(), scores.frames, rows)

    @property
    def n_filter_settings(self) -> int:
        """Number of combinations of the filters' candidates."""
        return math.prod(len(p.candidates) for stage in self.filters for p in stage.parameters.values())

    def filter_all(self, x: torch.Tensor, frames: Frames) -> torch.Tensor:
        """Applies every setting of the filters, ``[frame, track]`` → ``[setting, frame, track]``."""
        if not x.shape[1]:
            return x.new_zeros(self.n_filter_settings, *x.shape)  # so that no stage has to cope with no tracks
        out, n_tracks = x[None], x.shape[1]
        for stage in self.filters:
            # The settings so far stand side by side, as so many more tracks.
            n = len(out)
            repeated = frames if n == 1 else frames.select(torch.arange(n_tracks, device=x.device).repeat(n))
            swept = stage.sweep(out.transpose(0, 1).flatten(1), repeated)
            out = swept.unflatten(2, (n, n_tracks)).permute(2, 0, 1, 3).flatten(0, 1)
        return out.contiguous()


def run_stages(stages: Sequence[Stage], x: Data, frames: Frames, values: torch.Tensor) -> Data:
    """Applies stages one after another; decisions become events where a stage takes events.

    Args:
        stages: what to apply.
        x: what the first one takes.
        frames: of the tracks.
        values: the stages' parameter values, ``[track, parameter]``.
    """
    used, columns = 0, values.unbind(1)
    for stage in stages:
        names = list(stage.parameters)
        own = dict(zip(names, columns[used : used + len(names)], strict=True))
        if stage.takes == "events" and isinstance(x, torch.Tensor):
            x = TrackEvents.from_decisions(x, frames)
        x, used = stage(x, frames, **own), used + len(names)
    return x
