"""Coordinate ascent: one parameter at a time, the others held, from the defaults and then from random starts."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from rl_postproc.task import TuningTask
from rl_postproc.task_memory import Holds

from ..base import Agent, FitResult, ProgressCallback, silent
from .trials import Trials


class CoordinateAscent(Agent):
    """Tries all values of a parameter, keeps the best, goes on to the next, until nothing changes or the budget ends.

    Where classes are separate problems (macro F1), one trial moves the same parameter of all classes at once. After it
    has converged it begins anew at a random setting.
    """

    holds: ClassVar[Holds] = "sums"

    agent: Literal["coordinate_ascent"] = "coordinate_ascent"
    average: Literal["macro", "micro"] = Field(default="macro", description="mean over classes, or of all counts")
    trials: int = Field(default=200, ge=1, description="settings tried on all clips")

    def fit(self, task: TuningTask, seed: int, report: ProgressCallback = silent) -> FitResult:
        """Climbs again and again until the budget is spent."""
        trials = Trials(task, self.average)
        generator = torch.Generator().manual_seed(seed)
        action = default_action(task)
        while trials.done < self.trials:
            self._climb(task, trials, action, report)
            action = (torch.rand(len(trials.sizes), generator=generator) * trials.sizes).long()
        return trials.fit()

    def _climb(self, task: TuningTask, trials: Trials, action: torch.Tensor, report: ProgressCallback) -> None:
        """Climbs from one start until a cycle over all coordinates changes nothing, or the budget ends."""
        coordinates = self._coordinates(task, trials)
        while trials.done < self.trials:
            before = action
            for places in coordinates:
                left = self.trials - trials.done
                if not left:
                    return
                n = int(trials.sizes[places[0]])
                tried = action.repeat(min(n, left), 1)
                tried[:, places] = torch.arange(len(tried))[:, None]
                score = trials.score(tried)
                best = score.argmax(0)
                # Of equals the present value stays, so that ties do not keep the climb going.
                now = action[places].clamp(max=len(tried) - 1)
                columns = torch.arange(score.shape[1])
                chosen = torch.where(score[now[: len(columns)], columns] >= score[best, columns], action[places], best)
                action = action.clone()
                action[places] = chosen
                report(trials.done / self.trials, {trials.figure: trials.best_score})
            if torch.equal(action, before):
                return

    def _coordinates(self, task: TuningTask, trials: Trials) -> list[torch.Tensor]:
        """Returns the action components that move together: one parameter of all classes, or each by itself."""
        components = torch.arange(len(trials.sizes))
        if not trials.separate:
            return [place[None] for place in components if trials.sizes[place] > 1]
        per_class = len(components) // task.scores.n_classes
        return [components[i::per_class] for i in range(per_class) if trials.sizes[i] > 1]


def default_action(task: TuningTask) -> torch.Tensor:
    """Returns the action nearest to the declared defaults, int64 ``[component]``."""
    local, shared = [], []
    space = task.stack.space
    for parameter, is_shared in zip(space.parameters, space.is_shared, strict=True):
        nearest = (torch.tensor(parameter.candidates) - parameter.default).abs().argmin()
        (shared if is_shared else local).append(int(nearest))
    return torch.tensor(local * task.scores.n_classes + shared)
