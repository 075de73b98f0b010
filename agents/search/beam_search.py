"""Beam search: constants of stacks whose combinations of values are too many to count."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.counts.totals import sweep_totals
from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics.base import floating
from rl_postproc.pipeline.stack import Stack
from rl_postproc.stages.base import Parameter
from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import (
    Agent,
    FitResult,
    ProgressCallback,
    constant_fit,
    require_classes_apart,
    require_own_parameters,
    silent,
)

State = tuple[int, ...]
"""Index of the value of each parameter of a linear stack."""


class BeamSearch(Agent):
    """Constants of each class, found by changing one parameter at a time in the best few settings, from several starts.

    All values of the parameter are tried together with all of the last one's, by a count table of that class and these
    settings alone; so time and memory grow with the sum of the numbers of values, and not with their product. Each start is
    at random, the first at the defaults; a choice of several stacks has the starts for each of them. It ends when no change
    of one parameter, with the best of the last one, gains anything. On stacks that `grid_search` can count it finds what that
    finds with ``selection: maximum``, or a little less.
    """

    agent: Literal["beam_search"] = "beam_search"
    enumerates: ClassVar[bool] = False
    holds: ClassVar[Holds] = "nothing"
    beam: int = Field(default=2, ge=1, le=100, description="settings that are kept from change to change")
    starts: int = Field(default=2, ge=1, le=100, description="settings that it begins with, for each stack of a choice")

    def check(self, task: TuningTask) -> None:
        """Needs an objective that splits by class, and parameters of each class's own."""
        require_own_parameters(self, task)
        require_classes_apart(self, task, "use another objective")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Searches one class after another."""
        generator = torch.Generator().manual_seed(seed)
        values, tried, n_classes = [], 0, task.scores.n_classes
        for number, name in enumerate(task.scores.classes):
            own, best = task.scores.of_classes([name]), (-math.inf, torch.zeros(0))
            for which, branch in enumerate(task.stack.branches):
                climb = _Climb(task, own, branch, self.beam)
                for start in range(self.starts):
                    quality, state = climb.from_state(_start(branch, start, generator))
                    if quality > best[0]:
                        best = quality, _values(task.stack, which, branch, state)
                tried += climb.tried
                report((number + (which + 1) / len(task.stack.branches)) / n_classes, {"settings": tried})
            values.append(best[1])
        return constant_fit(task, torch.stack(values), tried * task.scores.n_clips // n_classes)


class _Climb:
    """Climbs in the settings of one class and a linear stack."""

    def __init__(self, task: TuningTask, scores: ScoreSet, stack: Stack, beam: int):
        self._task, self._scores, self._stack, self._beam = task, scores, stack, beam
        self._objective = task.objective.on(scores)
        self._known: dict[tuple[State, int], torch.Tensor] = {}
        self.tried = 0

    def from_state(self, state: State) -> tuple[float, State]:
        """Returns the highest quality that a climb from a state reaches, and where."""
        sizes = self._stack.space.sizes
        coordinates = [i for i, n in enumerate(sizes[:-1]) if n > 1] or [max(0, len(sizes) - 1)]
        beam: list[tuple[float, State]] = [(-math.inf, state)]
        while True:
            reached = beam[0][0]
            for coordinate in coordinates:
                found = {own[:-1]: (quality, own) for quality, own in beam}
                for _, own in beam:
                    # Of settings that differ in the last parameter alone only the best is kept.
                    best, last = self._along(own, coordinate).max(1)
                    for value in best.argsort(descending=True, stable=True)[: self._beam].tolist():
                        moved = [*own[:-1], int(last[value])]
                        if coordinate < len(own) - 1:
                            moved[coordinate] = value
                        state = tuple(moved)
                        if float(best[value]) > found.get(state[:-1], (-math.inf, state))[0]:
                            found[state[:-1]] = float(best[value]), state
                beam = sorted(found.values(), key=lambda entry: (-entry[0], entry[1]))[: self._beam]
            if beam[0][0] <= reached:
                return beam[0]

    def _along(self, state: State, coordinate: int) -> torch.Tensor:
        """Returns the quality of all values of a parameter and of the last one, ``[value, last]``, the others held."""
        last = len(state) - 1
        held = tuple(0 if i in (coordinate, last) else index for i, index in enumerate(state))
        if (held, coordinate) not in self._known:
            stack = _held(self._stack, {i: index for i, index in enumerate(state) if i not in (coordinate, last)})
            totals = sweep_totals(self._scores, stack, self._task.metric).totals()
            terms = self._objective.class_terms(self._task.metric, floating(totals))
            assert terms is not None
            quality = terms[:, 0].expand(stack.space.n_candidates)
            if bool(quality.isnan().any()):  # a class without references is best when it is silent
                quality = -self._task.metric.output(totals)[:, 0].double().expand(stack.space.n_candidates)
            n_last = self._stack.space.sizes[-1]
            self._known[held, coordinate] = quality.reshape(-1, n_last)
            self.tried += stack.space.n_candidates
        return self._known[held, coordinate]


def _held(stack: Stack, fixed: dict[int, int]) -> Stack:
    """Returns a stack some of whose parameters have one value, by the indices of parameter and value."""
    stages, place = [], 0
    for stage in stack.stages:
        changes = {}
        for name, parameter in stage.parameters.items():
            if place in fixed:
                value = parameter.candidates[fixed[place]]
                changes[name] = Parameter(candidates=(value,), default=value)
            place += 1
        stages.append(stage.model_copy(update=changes))
    return Stack(stages)


def _start(stack: Stack, number: int, generator: torch.Generator) -> State:
    """Returns the state nearest to the defaults for number 0, else one at random."""
    parameters = stack.space.parameters
    if number == 0:
        return tuple(int((torch.tensor(p.candidates) - p.default).abs().argmin()) for p in parameters)
    return tuple(int(torch.randint(len(p.candidates), (1,), generator=generator)) for p in parameters)


def _values(stack: Stack, which: int, branch: Stack, state: State) -> torch.Tensor:
    """Returns the values of all parameters of a stack for a state of one of its branches, float32 ``[parameter]``."""
    own = torch.tensor([p.candidates[i] for p, i in zip(branch.space.parameters, state, strict=True)])
    if not stack.is_choice:
        return own
    first = 1 + sum(len(other.space.names) for other in stack.branches[:which])
    values = stack.space.defaults.clone()
    values[0] = which
    values[first : first + len(own)] = own
    return values
