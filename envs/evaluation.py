"""What any trained policy needs in order to be judged: observations of every item, and the score of its actions."""

from __future__ import annotations

import numpy as np
import torch

from rl_postproc.data.folds import fold_of_clips
from rl_postproc.metrics import total_counts
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from .actions import ActionForm
from .interface import Interface
from .observations import Observation, Observed
from .observations.item import Item


def hold_out(task: TuningTask, fold: int = 0, n_folds: int = 5) -> tuple[TuningTask, TuningTask]:
    """Splits a task into its training clips and the clips of one held-out fold (`rl_postproc.data.folds.fold_of_clips`).

    Example:
        >>> from rl_postproc import TuningTask
        >>> from rl_postproc.envs.evaluation import hold_out
        >>> training, held_out = hold_out(TuningTask.build({"data": {"simulated": {"n_clips": 10, "classes": ["Dog"]}}}))
        >>> training.scores.n_clips, held_out.scores.n_clips
        (8, 2)
    """
    held_out = fold_of_clips(task.scores.clip_ids, n_folds) == fold
    if not bool(held_out.any()) or bool(held_out.all()):
        raise UserError(f"Fold {fold} of {n_folds} leaves no clips on one side of {task.scores.n_clips} clips.")
    return task.select((~held_out).nonzero()[:, 0]), task.select(held_out.nonzero()[:, 0])


def set_aside(task: TuningTask, fraction: float, seed: int) -> tuple[TuningTask, TuningTask]:
    """Splits a task into its training clips and a fraction of the clips, drawn at random, to judge on.

    Raises:
        UserError: the fraction leaves no clips on one side.
    """
    n = task.scores.n_clips
    n_held = round(fraction * n)
    if not 0 < n_held < n:
        raise UserError(f"The fraction {fraction:g} of {n} clips to set aside leaves no clips on one side.")
    clips = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    return task.select(clips[n_held:].sort().values), task.select(clips[:n_held].sort().values)


def observe_all(task: TuningTask, observation: str | dict, per_class: bool = True) -> Observed:
    """Returns the observations of all items: ``[clip * class, ...]``, clip-major, or jointly ``[clip, ...]``."""
    return Interface(Observation.make(observation), per_class).observe(task)[1]


def macro_f1_of(task: TuningTask, actions: torch.Tensor, per_class: bool = True, form: ActionForm = "indices") -> float:
    """Returns the macro F1 of one action for each item, int64 ``[item, component]`` in the order of `observe_all`.

    With ``form="candidate"`` they are actions of environments with ``actions="candidate"``, per class ``[item]``.
    """
    return task.table.score(Interface(Item(), per_class, form).candidates(task, actions)).macro


def compare(
    train: TuningTask,
    held_out: TuningTask,
    actions: torch.Tensor,
    per_class: bool = True,
    form: ActionForm = "indices",
) -> dict[str, float]:
    """Returns the macro F1 on held-out clips of a policy's actions, of the best constants, and of the defaults.

    Actions are as in `macro_f1_of`. The best constants (``grid search``) are those of the training clips; the defaults
    are the stack's own, with the default stack no filter and threshold 0.5.
    """
    scores, stack = held_out.scores, held_out.stack
    events = stack.events(scores, stack.space.defaults)
    defaults = held_out.metric.summarise(total_counts(held_out.metric.count(scores.require_references(), events)))
    return {
        "policy": macro_f1_of(held_out, actions, per_class, form),
        "grid search": held_out.table.score(train.best_constants).macro,
        "defaults": defaults.macro,
    }
