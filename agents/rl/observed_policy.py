"""Policies that decide from the observations of our environments, whatever they are made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rl_postproc.data.scores import ScoreSet
from rl_postproc.metrics import EventBased
from rl_postproc.pipeline.policy import Policy
from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import TuningTask
from rl_postproc.utils.errors import UserError

from ...envs.interface import Interface
from ...envs.observations import Observed
from ...envs.post_processing import to_numpy
from ...envs.unwrapping import Given, unwrap

_FRAMES = 1 << 19
"""Frames of all classes that are observed at a time."""
_MOST_WIDTH = 1 << 23


class ObservedPolicy(Policy):
    """Chooses the candidates that a trained policy names when it is shown the clips as an environment would.

    To save a policy of your own, derive from this class in a plug-in file: set `kind`, answer in `act`, and add what else it
    takes to `state` and `from_state`.

    Frames are shown as they come, so that scores of another frame length are refused. Clips are padded to the frames that
    the environment had, so that a clip is shown alike whatever others are beside it; longer ones are shown in full.
    """

    frame_bound = True

    def __init__(self, interface: Interface, width: int):
        """Takes what the policy sees and what its actions mean, and the frames of the environment's longest clip."""
        if not isinstance(width, int) or not 0 < width <= _MOST_WIDTH:
            raise ValueError(f"a clip cannot have {width} frames")
        self.interface, self.width = interface, width

    @abstractmethod
    def act(self, observations: Observed) -> torch.Tensor:
        """Returns the actions of items, whole numbers ``[item, component]``, or ``[item]`` where there is one component.

        Args:
            observations: float32 ``[item, ...]`` on the CPU, or several such by name.
        """

    def check(self, task: TuningTask, space: spaces.Space) -> None:
        """Says what of the observations does not fit the policy, before it is asked.

        Args:
            task: some of the clips, without references.
            space: of the observation of one item.

        Raises:
            UserError: one sentence.
        """

    @torch.no_grad()
    def choose(self, scores: ScoreSet, stack: Stack) -> torch.Tensor:
        """Returns parameter values ``[clip, class, parameter]``, a bounded number of frames at a time.

        Raises:
            UserError: observations or actions do not fit these scores and this stack.
        """
        scores = scores.to("cpu")
        chosen = torch.empty(scores.n_clips, scores.n_classes, len(stack.space.names))
        longer = scores.n_frames > self.width
        for clips in (longer.logical_not().nonzero()[:, 0], longer.nonzero()[:, 0]):
            if not len(clips):
                continue
            width = max(self.width, int(scores.n_frames[clips].max()))
            for some in clips.split(max(1, _FRAMES // (scores.n_classes * width))):
                task = TuningTask(with_width(scores.select(some), width), stack, EventBased())
                space, observations = self.interface.observe(task)
                self.check(task, space)
                chosen[some] = stack.space.values[self.interface.candidates(task, self.act(observations))]
        return chosen

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns what the policy sees and what its actions mean; subclasses add their own."""
        return {**self.interface.to_json(), "width": self.width}, {}


class CallablePolicy(ObservedPolicy):
    """Asks a function of the user's."""

    kind = "callable"

    def __init__(
        self,
        policy: Callable[[Any], Any],
        interface: Interface,
        width: int,
        given: Given,
        device: torch.device | str = "cpu",
        reason: str = "This post-processor asks a Python function, which cannot be saved without pickle",
    ):
        """Takes the function, how it is given observations (tensors on the device), and why it cannot be saved."""
        super().__init__(interface, width)
        self._policy, self._given, self._device, self._reason = policy, given, device, reason

    def act(self, observations: Observed) -> torch.Tensor:
        """See `ObservedPolicy.act`."""
        if self._given == "torch":
            moved = {name: part.to(self._device) for name, part in observations.items()} if isinstance(
                observations, dict) else observations.to(self._device)  # fmt: skip
            return torch.as_tensor(self._policy(moved)).cpu()
        if self._given == "numpy":
            return torch.from_numpy(np.asarray(self._policy(to_numpy(observations))))
        first = next(iter(observations.values())) if isinstance(observations, dict) else observations
        rows = [np.asarray(self._policy(to_numpy(observations, i))) for i in range(len(first))]
        return torch.from_numpy(np.stack(rows))

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Refuses: a function cannot be written to a file that others may read safely.

        Raises:
            UserError: always.
        """
        raise UserError(f"{self._reason}; derive a policy from rl_postproc.agents.rl.observed_policy.ObservedPolicy in a "
                        "plug-in file, which says what to save (docs/reinforcement_learning.md).")  # fmt: skip

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> CallablePolicy:
        """Refuses, as `state` does."""
        raise UserError("A Python function is never read from a file.")


def from_policy(policy: Callable[[Any], Any] | ObservedPolicy, env: Any) -> PostProcessor:
    """Makes a post-processor of a trained policy; see `PostProcessor.from_policy`."""
    inside, given = unwrap(env)
    task = inside.task
    if not isinstance(policy, ObservedPolicy):
        policy = CallablePolicy(policy, inside.interface, task.scores.width, given, task.device)
    about = {"environment": policy.interface.to_json(), "n_clips": task.scores.n_clips}
    return PostProcessor(task.stack, task.scores.classes, policy, task.scores.hop, about)


def with_width(scores: ScoreSet, width: int) -> ScoreSet:
    """Returns the scores with so many frames: silent ones are added, or empty ones left out."""
    more = width - scores.width
    if more <= 0:
        return replace(scores, scores=scores.scores[..., :width].contiguous(), edges=scores.edges[:, : width + 1])
    added = scores.edges[:, -1:] + scores.hop * torch.arange(1, more + 1, dtype=scores.edges.dtype)
    padded = torch.nn.functional.pad(scores.scores, (0, more))
    return replace(scores, scores=padded, edges=torch.cat([scores.edges, added], 1))
