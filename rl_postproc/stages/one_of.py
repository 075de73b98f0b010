"""Alternatives: one of several stacks, chosen for each class or, by a policy, for each clip."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, SerializeAsAny, field_validator

from rl_postproc.data.frames import Frames
from rl_postproc.data.track_events import TrackEvents
from rl_postproc.stages.base import Kind, Parameter, Stage
from rl_postproc.stages.chain import check_chain, run_stages
from rl_postproc.stages.event_tools import sorted_events
from rl_postproc.utils.errors import UserError


class OneOf(Stage):
    """Several whole stacks, of which one is used: the candidates are those of all of them, one stack's after another's.

    It stands alone in a stack. ``one_of.which`` is the number of the stack in use, counted from 0; the parameters of the
    others have no effect.

    Example:
        >>> from rl_postproc import Stack
        >>> plain = [{"stage": "threshold", "threshold": [0.3, 0.5]}]
        >>> lasting = [*plain, {"stage": "duration", "shortest": [0.5, 1.0]}]
        >>> stack = Stack.from_config([{"stage": "one_of", "stacks": {"plain": plain, "lasting": lasting}}])
        >>> stack.space.n_candidates  # 2 of the one and 4 of the other
        6
    """

    stage: Literal["one_of"] = "one_of"
    stacks: dict[str, list[SerializeAsAny[Stage]]] = Field(
        default={"runs": [{"stage": "median"}, {"stage": "threshold"}],  # pyright: ignore[reportArgumentType]
                 "boxes": [{"stage": "boxes"}, {"stage": "confidence"}]},
        validate_default=True,
        min_length=1,
        max_length=100,
        description="stacks by name, each a list of stages",
    )  # fmt: skip

    takes: ClassVar[Kind] = "scores"
    gives: ClassVar[Kind] = "events"

    @field_validator("stacks", mode="before")
    @classmethod
    def _made(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("give stacks by name, such as {runs: [{stage: threshold}], boxes: [{stage: boxes}]}")
        return {str(name): _stages(str(name), stack) for name, stack in value.items()}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Which stack is used, and the parameters of all of them."""
        own = {"which": Parameter(candidates=tuple(range(len(self.stacks))), default=0)}
        for name, stages in self.stacks.items():
            own |= {f"{name}.{i}.{key}": p for i, stage in enumerate(stages) for key, p in stage.parameters.items()}
        return own

    @property
    def units(self) -> dict[str, str]:
        """See `Stage.units`."""
        stages = [stage for own in self.stacks.values() for stage in own]
        return dict(
            zip(self.parameters, ["choice", *(u for stage in stages for u in stage.units.values())], strict=True)
        )

    def __call__(self, x: torch.Tensor, frames: Frames, **values: torch.Tensor) -> TrackEvents:
        """Runs each stack on the tracks that use it."""
        parts, first = [], 1
        columns = torch.stack(list(values.values()), 1)
        for number, stages in enumerate(self.stacks.values()):
            n = sum(len(stage.parameters) for stage in stages)
            tracks = (values["which"] == number).nonzero()[:, 0]
            if len(tracks):
                own, mine = frames.select(tracks), columns[tracks, first : first + n]
                found = run_stages(stages, x[:, tracks].contiguous(), own, mine)
                if isinstance(found, torch.Tensor):
                    found = TrackEvents.from_decisions(found, own)
                parts.append((tracks, found))
            first += n
        return sorted_events(parts, x.shape[1])


def _stages(name: str, stack: Any) -> list[Stage]:
    """Returns the stages of one of the stacks.

    Raises:
        ValueError: it is no stack.
    """
    if not isinstance(stack, list | tuple):
        raise ValueError(f"'{name}' must be a list of stages")
    try:
        stages = [s if isinstance(s, Stage) else Stage.make(s if isinstance(s, dict) else {}, f"{name}[{i}]")
                  for i, s in enumerate(stack)]  # fmt: skip
        check_chain(stages)
    except UserError as error:
        raise ValueError(f"in '{name}': {error}".rstrip(".")) from error
    for stage in stages:
        if isinstance(stage, OneOf):
            raise ValueError(f"'{name}' holds another one_of; write its stacks beside it")
        shared = [key for key, p in stage.parameters.items() if p.scope == "global" and len(p.candidates) > 1]
        if shared:
            raise ValueError(f"in '{name}': the scope of '{stage.stage}.{shared[0]}' is global; remove the scope")
    return stages
