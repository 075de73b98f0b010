"""How an action names candidates: by the index of each parameter's value, or by the candidate's own number."""

from __future__ import annotations

from typing import Literal

import gymnasium as gym
import torch

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError, suggest

ActionForm = Literal["indices", "candidate"]
FORMS = ("indices", "candidate")


class Actions:
    """The action space of a task, and the candidates that actions stand for.

    Attributes:
        form: ``indices`` of the values of every parameter, or the number of the ``candidate`` of every class.
        sizes: number of values of every component of an action.
        space: the action space of one environment.
    """

    def __init__(self, task: TuningTask, per_class: bool, form: str = "indices"):
        """Takes a task, whether an item is a clip and one class, and the form.

        Raises:
            UserError: an unknown form, or one that cannot express a parameter of global scope.
        """
        if form not in FORMS:
            raise UserError(f"Unknown actions '{form}'{suggest(form, FORMS)}.")
        self.form, self._parameters = form, task.stack.space
        self._n_classes = None if per_class else task.scores.n_classes
        self.sizes = self._parameters.action_sizes(self._n_classes)
        if form == "indices":
            self.space: gym.Space = gym.spaces.MultiDiscrete(self.sizes)
            return
        if self._parameters.shared:
            raise UserError(f"Candidates are chosen class by class, and '{self._parameters.shared[0]}' is one for all "
                            "classes; use actions='indices'.")  # fmt: skip
        self.sizes = [self._parameters.n_candidates] * (1 if per_class else task.scores.n_classes)
        self.space = gym.spaces.Discrete(self.sizes[0]) if per_class else gym.spaces.MultiDiscrete(self.sizes)

    def candidates(self, actions: torch.Tensor) -> torch.Tensor:
        """Returns the candidates of actions, int64 ``[env, component]`` → ``[env, class]`` (per class ``[env, 1]``)."""
        return actions if self.form == "candidate" else self._parameters.of_actions(actions, self._n_classes)
