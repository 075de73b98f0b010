"""What of an environment a policy depends on: what is shown of an item, and what an action stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium import spaces

from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from .actions import FORMS, ActionForm, Actions
from .observations import Observation, Observed


@dataclass(frozen=True)
class Interface:
    """How environments put the clips of any task to a policy.

    Attributes:
        observation: what is shown of an item.
        per_class: whether an item is a clip and one class, or a clip with all its classes.
        actions: how an action names candidates.
    """

    observation: Observation
    per_class: bool
    actions: ActionForm = "indices"

    def observe(self, task: TuningTask) -> tuple[spaces.Space, Observed]:
        """Returns the space of one item, and the observations of all: ``[clip * class, ...]``, or jointly ``[clip, ...]``."""
        scores = task.scores
        n_items = scores.n_clips * (scores.n_classes if self.per_class else 1)
        items = torch.arange(n_items, device=scores.device)
        space, observer = self.observation.prepare(task, self.per_class)
        if not self.per_class:
            return space, observer(items, None)
        return space, observer(items // scores.n_classes, items % scores.n_classes)

    def action_space(self, task: TuningTask) -> spaces.Space:
        """Returns the action space of one environment on a task."""
        return Actions(task, self.per_class, self.actions).space

    def candidates(self, task: TuningTask, actions: torch.Tensor) -> torch.Tensor:
        """Returns the candidates that actions of all items stand for, int64 ``[clip, class]``.

        Args:
            task: whose clips are decided.
            actions: whole numbers ``[item, component]``, or ``[item]`` where there is one component.

        Raises:
            UserError: there are others than one for each item, or one does not lie in the action space.
        """
        decoder = Actions(task, self.per_class, self.actions)
        n_items = task.scores.n_clips * (task.scores.n_classes if self.per_class else 1)
        actions = torch.as_tensor(actions, device=task.device)
        if actions.is_floating_point() or actions.numel() != n_items * len(decoder.sizes):
            raise UserError(f"The actions of {n_items} items are whole numbers [{n_items}, {len(decoder.sizes)}], but these "
                            f"are {str(actions.dtype).removeprefix('torch.')} {list(actions.shape)}.")  # fmt: skip
        actions = actions.long().reshape(n_items, -1)
        outside = (actions < 0) | (actions >= torch.tensor(decoder.sizes, device=task.device))
        if bool(outside.any()):
            row = actions[int(outside.any(1).nonzero()[0])].tolist()
            raise UserError(f"The action {row} does not lie in {decoder.space}.")
        return decoder.candidates(actions).reshape(task.scores.n_clips, task.scores.n_classes)

    def to_json(self) -> dict[str, Any]:
        """Returns the values from which `from_json` makes an equal one."""
        return {
            "observation": self.observation.model_dump(mode="json"),
            "per_class": self.per_class,
            "actions": self.actions,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Interface:
        """Restores what `to_json` gives.

        Raises:
            UserError: an unknown observation or setting.
            ValueError: another value that none has.
        """
        if values["actions"] not in FORMS or not isinstance(values["per_class"], bool):
            raise ValueError("what a policy's actions mean is unknown")
        observation = Observation.make(values["observation"], "the observation of a policy")
        return cls(observation, values["per_class"], values["actions"])
