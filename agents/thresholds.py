"""What the agents share that choose any threshold, not only those of the grid: filters, and the best of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

from rl_postproc.count_steps import BestChoice, CountSteps
from rl_postproc.errors import UserError
from rl_postproc.metrics import score_counts

from ..envs import TuningTask

Average = Literal["macro", "micro"]


def threshold_stack(task: TuningTask, agent: str) -> torch.Tensor:
    """Checks that the stack ends with a threshold of each class, and returns the settings of its filters.

    Returns:
        Values of all parameters but the threshold, float32 ``[setting, parameter]``; one empty row without filters.

    Raises:
        UserError: the stack does not end with a threshold, or its threshold is one for all classes.
    """
    space = task.stack.space
    if not task.stack.ends_with_threshold:
        raise UserError(f"The agent '{agent}' learns the threshold of a stack that ends with one; reorder the stack.")
    if space.parameters[-1].scope == "global":
        raise UserError(f"The agent '{agent}' learns one threshold a class, but its scope is global; remove the scope.")
    # The candidates that share the first threshold.
    return space.values[:: space.sizes[-1], :-1]


def filtered_scores(task: TuningTask) -> torch.Tensor:
    """Returns the scores after every setting of the filters, float32 ``[setting, frame, track]``."""
    scores = task.scores
    x = scores.scores.flatten(0, 1).T.contiguous()
    n_frames = scores.n_frames.repeat_interleave(scores.n_classes)
    return task.stack.sweep(x, n_frames, scores.hop, task.stack.filters)


def choose_filters(
    task: TuningTask,
    settings: torch.Tensor,
    reference: torch.Tensor,
    propose: Callable[[float], BestChoice],
    average: Average,
) -> tuple[torch.Tensor, float]:
    """Chooses the filter setting of each class, given a threshold for each setting and class.

    Macro F1 splits by class. For micro F1 the iteration of Dinkelbach (1967) does: at the micro F1 λ reached so far
    each class takes what maximises ``2·TP − λ·estimated``, until λ stops growing. Parameters of global scope are held
    equal over the classes.

    Args:
        task: the task whose stack and scores these are.
        settings: ``[setting, parameter]``.
        reference: int64 ``[class]``.
        propose: given λ, thresholds and their counts, ``[setting * class]`` with settings first.
        average: ``macro`` or ``micro``.

    Returns:
        Parameter values ``[class, parameter]``, and the F1 they reach.
    """
    group = task.stack.space.global_group[:: task.stack.space.sizes[-1]]
    columns = torch.arange(len(reference))
    best, best_value = torch.empty(0), -1.0
    for g in group.unique().tolist():
        values, lam = torch.empty(0), -1.0
        while True:
            threshold, hits, found = (part.reshape(len(settings), -1) for part in propose(max(0.0, lam)))
            if average == "macro":
                gain = 2 * hits / (found + reference).clamp(min=1) - (reference == 0) * found
            else:
                gain = 2 * hits - max(0.0, lam) * found.double()
            index = torch.where((group == g)[:, None], gain, -torch.inf).argmax(0)
            scored = score_counts(hits[index, columns], found[index, columns], reference)
            reached = scored.macro_f1 if average == "macro" else scored.micro_f1
            if reached <= lam:
                break
            values, lam = torch.cat([settings[index], threshold[index, columns, None]], 1), reached
        if lam > best_value:
            best, best_value = values, lam
    return best, best_value


def keep_best_filters(
    task: TuningTask, settings: torch.Tensor, steps: CountSteps, thresholds: torch.Tensor, average: Average
) -> tuple[torch.Tensor, float]:
    """Chooses the filter setting of each class for thresholds ``[setting * class]``; see `choose_filters`."""
    choice = BestChoice(thresholds, *steps.at(thresholds))
    return choose_filters(task, settings, steps.reference[: task.scores.n_classes], lambda _: choice, average)


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


def mean_f1(hits: torch.Tensor, found: torch.Tensor, reference: torch.Tensor, average: Average) -> torch.Tensor:
    """Returns the F1 of counts ``[..., class]``, float64 ``[...]``; macro averages over classes with references."""
    if average == "micro":
        return 2 * hits.sum(-1).double() / (found.sum(-1) + reference.sum(-1)).clamp(min=1)
    known = reference > 0
    score = 2 * hits.double() / (found + reference).clamp(min=1)
    return torch.where(known, score, 0.0).sum(-1) / known.sum(-1).clamp(min=1)
