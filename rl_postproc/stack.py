"""A stack of stages, and the parameter space that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import torch
from pydantic import ValidationError

from rl_postproc.errors import UserError, suggest
from rl_postproc.events import Events
from rl_postproc.scores import ScoreSet
from rl_postproc.stages import Parameter, Stage, stage_types
from rl_postproc.stages.threshold import Threshold


@dataclass(frozen=True)
class ParameterSpace:
    """Every parameter of a stack, and the candidates: all combinations of their values.

    Attributes:
        names: ``stage.parameter`` of each parameter.
        parameters: candidate values, default and scope of each.
    """

    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of candidate values of each parameter."""
        return tuple(len(p.candidates) for p in self.parameters)

    @property
    def defaults(self) -> torch.Tensor:
        """Default value of each parameter, float32 ``[parameter]``."""
        return torch.tensor([p.default for p in self.parameters])

    @cached_property
    def values(self) -> torch.Tensor:
        """Parameter values of every candidate, float32 ``[candidate, parameter]``, in row-major order."""
        grids = [torch.tensor(p.candidates) for p in self.parameters]
        return torch.cartesian_prod(*grids).reshape(-1, len(grids))

    @property
    def n_candidates(self) -> int:
        """Number of combinations."""
        return len(self.values)

    def candidate(self, index: torch.Tensor) -> torch.Tensor:
        """Returns the candidate of each tuple of value indices, int64 ``[..., parameter]`` → ``[...]``."""
        strides = [1]
        for size in reversed(self.sizes[1:]):
            strides.insert(0, strides[0] * size)
        return (index * torch.tensor(strides, device=index.device)).sum(-1)

    @property
    def global_group(self) -> torch.Tensor:
        """Group of each candidate by its values of the global parameters, int64 ``[candidate]``."""
        columns = [i for i, p in enumerate(self.parameters) if p.scope == "global"]
        if not columns:
            return torch.zeros(self.n_candidates, dtype=torch.int64)
        return torch.unique(self.values[:, columns], dim=0, return_inverse=True)[1]


class Stack:
    """An ordered list of stages that turns scores into decisions.

    The grid of a search, the action space of the environment and every tuner's space are derived from `space`.
    """

    def __init__(self, stages: Sequence[Stage]):
        """Checks that each stage takes what the one before it gives, and that decisions come out.

        Raises:
            UserError: the stages do not fit together.
        """
        kind = "scores"
        for stage in stages:
            if stage.takes != kind:
                raise UserError(f"Stage '{stage.stage}' takes {stage.takes}, but {kind} reach it; reorder the stack.")
            kind = stage.gives
        if kind != "decisions":
            raise UserError("The stack ends with scores; add a stage that decides, such as 'threshold'.")
        self.stages = tuple(stages)

    @classmethod
    def from_config(cls, config: Sequence[dict[str, Any]]) -> Stack:
        """Builds the stack from a list such as ``[{"stage": "median", "kernel": [0, 0.3]}, {"stage": "threshold"}]``.

        Raises:
            UserError: an unknown stage, option or value.
        """
        kinds, stages = stage_types(), []
        for i, item in enumerate(config):
            name = item.get("stage") if isinstance(item, dict) else None
            if not isinstance(name, str) or name not in kinds:
                raise UserError(f"stack[{i}]: unknown stage '{name}'{suggest(str(name), sorted(kinds))}.")
            try:
                stages.append(kinds[name].model_validate(item))
            except ValidationError as error:
                raise UserError(f"stack[{i}] ({name}): {first_problem(error, kinds[name])}") from error
        return cls(stages)

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
        pairs = [(f"{s.stage}.{n}", p) for s in self.stages for n, p in s.parameters.items()]
        return ParameterSpace(tuple(n for n, _ in pairs), tuple(p for _, p in pairs))

    @property
    def filters(self) -> tuple[Stage, ...]:
        """The stages before the threshold when the threshold comes last, else all stages."""
        return self.stages[:-1] if self.ends_with_threshold else self.stages

    @property
    def ends_with_threshold(self) -> bool:
        """Whether all thresholds can be counted together, because nothing follows the threshold."""
        return isinstance(self.stages[-1], Threshold)

    def decide(self, scores: ScoreSet, values: torch.Tensor) -> torch.Tensor:
        """Applies the stack with given parameter values.

        Args:
            scores: the score set.
            values: parameter values, ``[parameter]``, ``[class, parameter]`` or ``[clip, class, parameter]``.

        Returns:
            Decisions, bool ``[clip, class, frame]``.
        """
        shape = scores.n_clips, scores.n_classes, len(self.space.names)
        columns = values.to(scores.device).expand(shape).reshape(-1, shape[-1]).unbind(1)
        x = scores.scores.flatten(0, 1).T.contiguous()
        n_frames = scores.n_frames.repeat_interleave(scores.n_classes)
        used = 0
        for stage in self.stages:
            names = list(stage.parameters)
            own = dict(zip(names, columns[used : used + len(names)], strict=True))
            x, used = stage(x, n_frames, scores.hop, **own), used + len(names)
        return x.T.reshape(scores.scores.shape)

    def sweep(self, x: torch.Tensor, n_frames: torch.Tensor, hop: float, stages: Sequence[Stage]) -> torch.Tensor:
        """Applies every candidate of the given stages, ``[frame, track]`` → ``[candidate, frame, track]``."""
        out = x[None]
        for stage in stages:
            out = torch.cat([stage.sweep(one, n_frames, hop) for one in out])
        return out


def decode_events(scores: ScoreSet, decisions: torch.Tensor) -> Events:
    """Turns decisions into events.

    An event spans a run of active frames, from the left edge of its first frame to the right edge of its last, or to
    the clip's end.

    Args:
        scores: the score set that the decisions belong to.
        decisions: bool ``[clip, class, frame]``.

    Returns:
        The events of all clips, with times as they are written.
    """
    silent = torch.zeros_like(decisions[..., :1])
    change = torch.diff(decisions & scores.valid[:, None], dim=-1, prepend=silent, append=silent)
    # Onsets and ends alternate along a track, so that the n-th of one belongs to the n-th of the other.
    edges = change.nonzero()
    start, end = edges[0::2], edges[1::2, 2] - 1
    clip, label = start[:, 0], start[:, 1]
    return Events.from_tensors(
        scores.clip_ids,
        scores.classes,
        clip,
        label,
        scores.onset_times(clip, start[:, 2]),
        scores.offset_times(clip, end),
    )


def first_problem(error: ValidationError, model: type) -> str:
    """Says the first problem of a rejected config in one sentence, with the key and a remedy."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, last = problem["loc"]
        known = _fields_at(model, parents)
        return f"unknown key '{key}'{suggest(str(last), known) if known else ''}."
    message = problem["msg"].removeprefix("Value error, ").rstrip(".")
    found = repr(problem["input"])
    shown = f" is {found}" if len(found) <= 100 else ""
    return f"'{key}'{shown}: {message}." if key else f"{message}."


def _fields_at(model: type, path: Sequence[str | int]) -> list[str]:
    """Returns the keys of the config model that a path of keys leads to, or none where it leads elsewhere."""
    for key in path:
        field = getattr(model, "model_fields", {}).get(key)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), object)
    return list(getattr(model, "model_fields", {}))
