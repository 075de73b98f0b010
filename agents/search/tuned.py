"""Settings of another agent, chosen on clips that it has not seen, with a stated budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from rl_postproc.metrics import total_counts
from rl_postproc.metrics.base import floating
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ...envs.evaluation import set_aside
from ..base import Agent, FitResult, ProgressCallback, check_agent, make_agent, share
from ..parts import Parts, ResumableAgent, fit_within

_MOST = 10_000
"""Combinations of settings that are built in order to draw from them."""


class Tuned(ResumableAgent):
    """Settings of another agent, chosen among a few trials on inner held-out clips.

    The first trial is the agent as it stands, the others draw different combinations of ``choices`` at random. All are
    fitted on the same clips and scored, by the objective, on the same others; the best one is then fitted on all clips, and
    its curve follows those of the trials. Compared agents that get the same budget differ by what they are, and not by who
    chose their settings.
    """

    agent: Literal["tuned"] = "tuned"
    of: str | dict[str, Any] = Field(default="grid_search", description="the agent, by name or with settings")
    choices: dict[str, list[Any]] = Field(
        default={"selection": ["smoothed"], "smoothing": [0.02, 0.04, 0.08, 0.16]},
        description="values to try of each of its settings",
    )
    trials: int = Field(default=4, ge=1, description="combinations of settings that are tried, the given one included")
    inner: float = Field(default=0.25, gt=0, lt=1, description="fraction of the clips on which they are compared")

    @model_validator(mode="after")
    def _builds(self) -> Tuned:
        n = math.prod(len(values) for values in self.choices.values())
        if not n:
            empty = next(name for name, values in self.choices.items() if not values)
            raise ValueError(f"the choices of '{empty}' are empty; give the values to try")
        if n > _MOST:
            raise ValueError(f"'choices' make {n} combinations, more than {_MOST}; leave some values out")
        try:
            for _ in self._combinations():
                pass
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def check(self, task: TuningTask) -> None:
        """Needs what the agent needs with each combination of its settings."""
        for agent in self._combinations():
            check_agent(agent, task)

    def fit_parts(self, task: TuningTask, seed: int, report: ProgressCallback, parts: Parts) -> FitResult:
        """Tries some settings on a part of the clips, and fits the best on all of them."""
        train, held = set_aside(task, self.inner, seed)
        tried, scores, evaluations, curve = self._drawn(seed), [], 0, []
        n_fits = len(tried) + 1
        for i, agent in enumerate(tried):
            name = f"trial_{i + 1}"
            if (kept := parts.get(name)) is None:
                tell = share(report, i / n_fits, (i + 1) / n_fits)
                fit = fit_within(agent, train, seed, tell, parts.below(name))
                found = {"score": objective_of(fit, held), "evaluations": fit.evaluations}
                parts.put(name, found, {})
                parts.below(name).drop()
            else:
                found = kept[0]
            evaluations += found["evaluations"]
            scores.append(found["score"])
            score = {f"inner_{task.objective.called(task.metric)}": scores[-1]}
            curve.append({"trial": i + 1.0, **self._figures(agent), **score})
        best = scores.index(max(scores))
        last = fit_within(tried[best], task, seed, share(report, 1 - 1 / n_fits, 1), parts.below("chosen"))
        last.post_processor.about = {"chosen": tried[best].model_dump(mode="json"), "trial": best + 1}
        curve.append({"chosen_trial": best + 1.0, **self._figures(tried[best])})
        return FitResult(last.post_processor, evaluations + last.evaluations, curve + last.curve)

    def _combinations(self) -> Iterator[Agent]:
        """Yields the agent as it stands, and then with each combination of the choices."""
        given = {"agent": self.of} if isinstance(self.of, str) else self.of
        yield make_agent(given)
        for values in itertools.product(*self.choices.values()):
            yield make_agent({**given, **dict(zip(self.choices, values, strict=True))})

    def _drawn(self, seed: int) -> list[Agent]:
        """Returns the agents of the trials, all different; fewer than `trials` where there are no more."""
        first, *others = self._combinations()
        found = [first]
        order = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed)).tolist()
        for agent in (others[i] for i in order):
            if len(found) < self.trials and agent not in found:
                found.append(agent)
        return found

    def _figures(self, agent: Agent) -> dict[str, float]:
        """Returns an agent's values of the settings that are chosen; of what is no number the place among its choices."""
        found = {}
        for name, choices in self.choices.items():
            value = getattr(agent, name)
            if not isinstance(value, int | float):
                value = choices.index(value) if value in choices else -1
            found[name] = float(value)
        return found


def objective_of(fit: FitResult, held: TuningTask) -> float:
    """Returns the objective of what a fit detects on clips that it has not seen."""
    metric = held.metric
    counts = metric.count(held.scores.require_references(), fit.post_processor.apply(held.scores))
    return float(held.objective.value(metric, floating(total_counts(counts))))
