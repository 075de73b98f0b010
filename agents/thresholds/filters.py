"""What the agents share that choose any threshold, not only those of the grid: a check, and the best of the filters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from rl_postproc.counts.all_thresholds import check_all_thresholds
from rl_postproc.counts.choice import Choice, micro_gain, objective_gain
from rl_postproc.counts.threshold_counts import ThresholdCounts
from rl_postproc.metrics.f1 import DETECTION, mean_f1
from rl_postproc.metrics.objectives import Macro, Micro, Objective
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ..base import Agent, Average, require_f1

OF_F1: dict[Average, Objective] = {"macro": Macro(), "micro": Micro()}
"""The objectives that the agents know which follow F1."""


def check_thresholds(agent: Agent, task: TuningTask, of_events: bool = False) -> None:
    """Checks that the stack ends with a threshold of each class, and that F1 can be counted at all thresholds at once.

    Args:
        agent: which one needs it.
        task: what it is to be tuned on.
        of_events: whether a threshold of events' confidences will do, too.

    Raises:
        UserError: one of them is not so.
    """
    if not task.stack.ends_with_threshold and not (of_events and task.stack.ends_with_confidence):
        raise UserError(f"The agent '{agent.name}' learns the threshold of a stack that ends with one; reorder the "
                        "stack, or use 'grid_search'.")  # fmt: skip
    if task.stack.space.parameters[-1].scope == "global":
        raise UserError(
            f"The agent '{agent.name}' learns one threshold a class, but its scope is global; remove the scope."
        )
    require_f1(agent, task)
    check_all_thresholds(task.scores, task.stack, task.metric)


def f1_of(hits: torch.Tensor, found: torch.Tensor, reference: torch.Tensor, average: Average) -> torch.Tensor:
    """Returns macro or micro F1 of counts ``[..., class]``, float64 ``[...]``."""
    return mean_f1(dict(zip(DETECTION, (hits, found, reference), strict=True)), average)


def choose_filters(
    task: TuningTask, counts: ThresholdCounts, propose: Callable[[float], Choice], objective: Objective
) -> tuple[torch.Tensor, float]:
    """Chooses the filter setting of each class, given a threshold for each setting and class.

    Macro F1 splits by class. For micro F1 the iteration of Dinkelbach (1967) does: at the micro F1 λ reached so far
    each class takes what maximises ``2·TP − λ·estimated``, until λ stops growing; so it is for other objectives, with the
    price λ of their gradient. Parameters of global scope are held equal over the classes.

    Args:
        task: the task that the counts are of.
        counts: its counts at all thresholds.
        propose: given λ, which an objective that splits by class has no use for, choices ``[column]``.
        objective: what is maximised; it splits by class, or is a ratio of sums (`Objective.pooled`).

    Returns:
        Parameter values ``[class, parameter]``, and the objective they reach.
    """
    settings, reference, propose = counts.settings, counts.reference.sum(0).cpu(), cache(propose)
    group = task.stack.space.global_group[:: task.stack.space.sizes[-1]]
    classes = torch.arange(len(reference))
    apart = None if objective.pooled else objective_gain(objective, task.metric, reference, len(classes))
    best, best_value = torch.empty(0), -torch.inf
    for g in group.unique().tolist():
        values, value, price = torch.empty(0), -torch.inf, 0.0
        while True:
            threshold, hits, found = (part.cpu().reshape(len(settings), -1) for part in propose(price))
            gain = (apart or micro_gain(price))(hits, found, classes.expand(hits.shape))
            index = torch.where((group == g)[:, None], gain, -torch.inf).argmax(0)
            columns = (hits[index, classes], found[index, classes], reference)
            reached: dict[str, torch.Tensor] = dict(
                zip(DETECTION, (column.double() for column in columns), strict=True)
            )
            now = float(objective.value(task.metric, reached))
            if now <= value:
                break
            chosen = counts.rounded(threshold[index, classes])
            values, value = torch.cat([settings[index], chosen[:, None]], 1), now
            if apart is not None:
                break
            price = max(0.0, float(objective.linearise(task.metric, reached, 1).lam.max()))
        if value > best_value:
            best, best_value = values, value
    return best, best_value


def keep_best_filters(
    task: TuningTask, counts: ThresholdCounts, thresholds: torch.Tensor, average: Average
) -> tuple[torch.Tensor, float]:
    """Chooses the filter setting of each class for thresholds ``[column]``; see `choose_filters`."""
    choice = Choice(thresholds, *counts.at(thresholds))
    return choose_filters(task, counts, lambda _: choice, OF_F1[average])


class Adam:
    """The steps of Adam (Kingma and Ba 2015) up a given gradient; torch's own takes seconds to import."""

    def __init__(self, learning_rate: float):
        self.learning_rate, self.n_steps = learning_rate, 0
        self.first: torch.Tensor | float = 0.0
        self.second: torch.Tensor | float = 0.0

    def step(self, gradient: torch.Tensor) -> torch.Tensor:
        """Returns what to add to the parameters, of the shape of the gradient."""
        self.n_steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        spread = (self.second / (1 - 0.999**self.n_steps)) ** 0.5
        return self.learning_rate * (self.first / (1 - 0.9**self.n_steps)) / (spread + 1e-8)
