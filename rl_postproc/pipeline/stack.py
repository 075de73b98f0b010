"""A stack of stages: from scores to events."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from rl_postproc.data.events import Events
from rl_postproc.data.frames import Frames
from rl_postproc.data.scores import ScoreSet
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.pipeline.presets import load_preset
from rl_postproc.pipeline.space import ParameterSpace
from rl_postproc.stages.base import Data, Stage
from rl_postproc.stages.chain import check_chain, run_stages
from rl_postproc.stages.one_of import OneOf
from rl_postproc.utils.errors import UserError

MOST_CANDIDATES = 10_000_000
"""Combinations of parameter values that are counted."""


class Stack:
    """An ordered list of stages that turns scores into events, or a choice of several such lists (`one_of`).

    The grid of a search, the action space of the environment and every tuner's space are derived from `space`.

    A sweep works on each of `branches` by itself, in four parts. `filters` give scores. `threshold` is the stage behind
    them if it decides at levels, so that all its candidates are worked out together. `after` is what follows. Of the
    last parameter all candidates, `event_levels`, are tried together as well where it only says which events stay: that of
    a stage of its own (a least confidence or duration), or of the one that decides, `sure`.

    Example:
        >>> from rl_postproc import ScoreSet, Stack
        >>> config = [{"stage": "threshold", "threshold": [0.25, 0.5]}, {"stage": "gap_fill", "gap": [0.0, 1.0]}]
        >>> stack = Stack.from_config(config)
        >>> stack.space.names
        ('threshold.threshold', 'gap_fill.gap')
        >>> stack.space.values.tolist()  # [candidate, parameter]
        [[0.25, 0.0], [0.25, 1.0], [0.5, 0.0], [0.5, 1.0]]
        >>> scores = ScoreSet.from_arrays({"a": [[0.1], [0.9], [0.2], [0.8]]}, hop=0.5, classes=["Dog"])
        >>> stack.events(scores, stack.space.values[0]).to_rows()
        [('a', 0.5, 1.0, 'Dog'), ('a', 1.5, 2.0, 'Dog')]
        >>> stack.events(scores, stack.space.values[1]).to_rows()
        [('a', 0.5, 2.0, 'Dog')]
    """

    def __init__(self, stages: Sequence[Stage]):
        """Checks that each stage takes what the one before it gives, and that decisions or events come out.

        Raises:
            UserError: the stages do not fit together.
        """
        self.stages: tuple[Stage, ...] = tuple(stages)
        self.gives = check_chain(stages)
        choice = next((stage for stage in self.stages if isinstance(stage, OneOf)), None)
        if choice is not None and len(self.stages) > 1:
            raise UserError(
                "The stage 'one_of' stands alone in a stack; write the other stages into each of its stacks."
            )
        self.branches = (self,) if choice is None else tuple(Stack(own) for own in choice.stacks.values())
        n_filters = next(i for i, stage in enumerate(self.stages) if stage.gives != "scores")
        decides = self.stages[n_filters].decides_at is not None
        self.filters = self.stages[:n_filters]
        self.threshold = self.stages[n_filters] if decides else None
        last = list(self.stages)[-1]
        after: tuple[Stage, ...] = self.stages[n_filters + decides :]
        # Events may be dropped as the last thing: by a stage that does nothing else, or by the one that decides.
        kept = last.swept_at_once if after else None
        self.after = after if kept is None else after[:-1]
        self.sure = last if len(after) == 1 and not decides and last.kept_above is not None else None
        kept = kept if self.sure is None else self.sure.kept_above
        self.event_levels = None if kept is None else last.parameters[kept].candidates

    @classmethod
    def from_config(cls, config: Sequence[dict[str, Any]] | str) -> Stack:
        """Builds the stack from a list such as ``[{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold"}]``.

        Args:
            config: the list, the name of a stack that comes with the package, or a YAML file (see `load_preset`).

        Raises:
            UserError: an unknown stack, stage, option or value.
        """
        if isinstance(config, str):
            config = load_preset(config).stack
        return cls([Stage.make(item if isinstance(item, dict) else {}, f"stack[{i}]") for i, item in enumerate(config)])

    @classmethod
    def default(cls) -> Stack:
        """Median filter and threshold with their default candidates."""
        return cls.from_config([{"stage": "median"}, {"stage": "threshold"}])

    def to_config(self) -> list[dict[str, Any]]:
        """Returns the list from which `from_config` builds an equal stack."""
        return [stage.model_dump(mode="json") for stage in self.stages]

    def check_candidates(self) -> None:
        """Insists that all candidates can be listed and counted.

        Raises:
            UserError: they are too many.
        """
        n_candidates = self.space.n_candidates
        if n_candidates > MOST_CANDIDATES:
            raise UserError(f"The stack has {n_candidates:.2g} candidates, all combinations of its parameters' values, and "
                            f"at most {MOST_CANDIDATES:.0g} can be counted; give fewer values, or use the agent "
                            "'beam_search'.")  # fmt: skip

    @cached_property
    def space(self) -> ParameterSpace:
        """The parameters of all stages, in order."""
        choice = self.stages[0]
        if isinstance(choice, OneOf):
            names = [f"{name}.{own}" for name, branch in zip(choice.stacks, self.branches, strict=True)
                     for own in branch.space.names]  # fmt: skip
            spaces = tuple(branch.space for branch in self.branches)
            return ParameterSpace((f"{choice.stage}.which", *names), tuple(choice.parameters.values()), spaces)
        seen: Counter[str] = Counter()
        names, parameters = [], []
        for stage in self.stages:
            seen[stage.stage] += 1
            owner = stage.stage if seen[stage.stage] == 1 else f"{stage.stage}_{seen[stage.stage]}"
            names += [f"{owner}.{name}" for name in stage.parameters]
            parameters += stage.parameters.values()
        return ParameterSpace(tuple(names), tuple(parameters))

    @property
    def least_sure(self) -> float | None:
        """The lowest of `event_levels` where these are thresholds of confidence, which no event at or below it passes."""
        if self.event_levels is None or (self.sure is None and self.stages[-1].decides_at is None):
            return None
        return self.event_levels[0]

    def n_kept(self, events: TrackEvents) -> torch.Tensor:
        """Returns how many of `event_levels`, the first ones, keep each event, int64 ``[event]``."""
        if self.sure is None:
            return self.stages[-1].n_kept(events)
        assert self.event_levels is not None
        return torch.bucketize(events.confidence, torch.tensor(self.event_levels, device=events.confidence.device))

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of each parameter: seconds, probability, or what its stage declares."""
        return tuple(unit for stage in self.stages for unit in stage.units.values())

    @property
    def is_choice(self) -> bool:
        """Whether it is a choice of several stacks."""
        return self.branches[0] is not self

    @property
    def on_frames(self) -> bool:
        """Whether all events begin and end where a frame does."""
        if self.is_choice:
            return all(branch.on_frames for branch in self.branches)
        return all(stage.on_frames for stage in self.stages if stage.gives == "events")

    @property
    def gives_confidence(self) -> bool:
        """Whether all events come of a stage that says how sure they are, as `boxes` does."""
        if self.is_choice:
            return all(branch.gives_confidence for branch in self.branches)
        return any((stage.takes, stage.gives) == ("scores", "events") for stage in self.stages)

    @property
    def ends_with_threshold(self) -> bool:
        """Whether all thresholds can be counted together, because nothing follows the stage that decides at levels."""
        return self.threshold is not None and self.stages[-1] is self.threshold

    @property
    def ends_with_confidence(self) -> bool:
        """Whether the last thing that is done to events made of scores is to keep those above a confidence."""
        return self.threshold is None and self.least_sure is not None

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
        return self.track_events(scores, values).to_events(scores.clip_ids, scores.classes)

    def track_events(self, scores: ScoreSet, values: torch.Tensor) -> TrackEvents:
        """Returns the events as `events` does, of tracks (clip-major, then class)."""
        x = scores.scores.flatten(0, 1)
        loud = (x.amax(1) > 0).nonzero()[:, 0]
        if 2 * len(loud) > len(x):
            found, frames = self._applied(scores, values), scores.frames
            return TrackEvents.from_decisions(found, frames) if isinstance(found, torch.Tensor) else found
        # What is silent stays silent; of sparse clips nearly all tracks are.
        if not len(loud):
            none = scores.edges.new_zeros(0)
            return TrackEvents(loud, none, none, none.float(), len(x))
        frames = scores.frames.select(loud)
        found = run_stages(self.stages, x[loud].T.contiguous(), frames, self._rows(scores, values)[loud])
        events = TrackEvents.from_decisions(found, frames) if isinstance(found, torch.Tensor) else found
        return replace(events, track=loud[events.track], n_tracks=len(x))

    def _rows(self, scores: ScoreSet, values: torch.Tensor) -> torch.Tensor:
        """Returns the values of each track, ``[track, parameter]``."""
        shape = scores.n_clips, scores.n_classes, len(self.space.names)
        return values.to(scores.device).expand(shape).reshape(-1, shape[-1])

    def _applied(self, scores: ScoreSet, values: torch.Tensor) -> Data:
        rows = self._rows(scores, values)
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
