"""The joint environment, many at once: numpy or torch, all three autoreset modes."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_postproc.metrics import Linearisation, Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import Source, TuningTask
from rl_postproc.utils.errors import UserError, suggest

from .actions import ActionForm
from .engine import EpisodeBatch, StepResult
from .interface import Interface
from .observations import Observation, PreparedObservation
from .post_processing import counts_of, jump, objective_name, random_key, to_numpy, zeros

Place = tuple[torch.Tensor, torch.Tensor | None]
Step = tuple[Any, Any, Any, Any, dict[str, Any]]


class PostProcessingVectorEnv(VectorEnv):
    """Many `PostProcessingEnv` at once, in a few tensor operations a step.

    ## Arguments
    Those of `PostProcessingEnv` without `render_mode` (draw a clip with a single environment), and

    | name             | values                                 | meaning                                              |
    |------------------|----------------------------------------|------------------------------------------------------|
    | `num_envs`       | 1, 2, …                                | number of environments                               |
    | `autoreset_mode` | `SAME_STEP`, `NEXT_STEP`, `DISABLED`   | when the next episode begins; by member or by name   |
    | `output`         | `"numpy"`, `"torch"`                   | what `reset` and `step` return                       |
    | `device`         | a torch device, or None                | where the table lives; None: where the scores are    |

    `SAME_STEP` is the default since an episode may be one step long. With `DISABLED`, reset the environments that have
    ended with `options={"reset_mask": mask}`. The mode stands in `autoreset_mode` and in this instance's `metadata`.

    ## Observation Space, Action Space, Rewards, Starting State, Episode End
    As in `PostProcessingEnv`, batched. Environment ``i`` plays as a `PostProcessingEnv` that was seeded with
    ``seed + i``. Actions may be numpy arrays or tensors on any device. Returned arrays and tensors belong to the
    caller: the environment keeps none of their memory.

    ## Information
    As in `PostProcessingEnv`, one array over environments for each key, with a mask under `_key`. The counts and
    `macro_f1` are those of the step just taken. With `class_rewards` the joint form tells `class_reward` `[env, class]`, the
    terms whose sum is the reward, where the reward splits by class. Where an episode ended in `SAME_STEP`, `final_obs` and
    `final_info` (with masks) hold what the step gave, and `clip`, `clip_id`, `label`, `class` already tell of the next
    episode. As in Gymnasium's own vector environments, `final_obs` is an object array `[env]` with the terminal observation
    of each environment that ended, an array or a dictionary, and None elsewhere; it is zeros, the same object for all.
    With torch output there are tensors only: `final_obs` is batched as observations are, and there are `clip` and `label`,
    but no `clip_id` and `class`.

    ## Version History
    * v0: initial version.

    Example:
        >>> from rl_postproc.envs import PostProcessingVectorEnv
        >>> scores = {"data": {"simulated": {"n_clips": 3, "classes": ["Dog", "Speech"]}}}
        >>> envs = PostProcessingVectorEnv(scores, num_envs=64, observation="summary", output="torch")
        >>> observations, infos = envs.reset(seed=0)
        >>> observations, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
        >>> observations.shape, rewards.shape
        (torch.Size([64, 14]), torch.Size([64]))
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012
    per_class: ClassVar[bool] = False

    def __init__(
        self,
        scores: Source = None,
        num_envs: int = 1,
        stack: Stack | list | str | None = None,
        metric: Metric | dict | None = None,
        reward: str | dict = "linearised_f1",
        episode: str | None = None,
        observation: str | dict = "scores",
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        output: str = "numpy",
        device: str | torch.device | None = None,
        render_mode: str | None = None,
        skip_silent: bool = False,
        class_rewards: bool = False,
        actions: ActionForm = "indices",
    ):
        if output not in ("numpy", "torch"):
            raise UserError(f"Unknown output '{output}'; known are numpy, torch.")
        if num_envs < 1:
            raise UserError(f"num_envs must be at least 1, not {num_envs}.")
        if render_mode is not None:
            raise UserError(f"The vector environment draws nothing; use a single one for render_mode '{render_mode}'.")
        self.autoreset_mode = _mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.task = TuningTask.build(scores, stack, metric, device)
        self.num_envs, self.render_mode = num_envs, None
        self._engine = EpisodeBatch(
            self.task, num_envs, self.per_class, reward, episode, skip_silent, class_rewards, actions
        )
        shown = Observation.make(observation, "the environment")
        self.interface = Interface(shown, self.per_class, actions)
        self._observer = PreparedObservation(shown, self.task, self.per_class)
        self.single_observation_space = self._observer.space
        self.output = output
        self._as_numpy = output == "numpy"
        self._sizes = torch.tensor(self._engine.actions.sizes, device=self.task.device)
        self.single_action_space = self._engine.actions.space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._clip_ids = np.array(self.task.scores.clip_ids, dtype=object)
        self._classes = np.array(self.task.scores.classes, dtype=object)
        self._seeded = False

    @property
    def started(self) -> bool:
        """Whether `reset` has been called."""
        return self._seeded

    @property
    def ended(self) -> torch.Tensor:
        """Which environments wait for a reset, bool ``[env]``."""
        return self._engine.waiting.clone()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins the next episode of all environments, or of those in ``options["reset_mask"]`` (bool ``[env]``).

        Raises:
            UserError: the mask or the list of seeds does not fit, or ``options`` name a clip that does not exist.
        """
        mask = self._reset_mask(options)
        seeds = self._seeds(seed)
        seeded = torch.tensor([one is not None or not self._seeded for one in seeds], device=self.task.device) & mask
        if bool(seeded.any()):
            fresh = seeded.tolist()
            keys = [random_key(seeding.np_random(s)[0]) if new else 0 for s, new in zip(seeds, fresh, strict=True)]
            self._engine.seed(torch.tensor(keys, device=self.task.device), seeded)
        self._engine.reset(mask & ~seeded)
        self._seeded = True
        jump(self._engine, options, mask)
        return self._observe(self._engine.waiting), self._masked(self._place(*self._engine.clip_and_class()), mask)

    def step(self, actions: Any) -> Step:
        """Steps all environments with actions of the shape of the action space (numpy or torch).

        Raises:
            UserError: an action does not lie in the action space.
            gymnasium.error.ResetNeeded: an episode has ended and is not reset by itself, or `reset` was never called.
        """
        chosen = self._checked(actions)
        if not self._seeded:
            raise gym.error.ResetNeeded("No episode has begun: call reset() before step().")
        waiting = self._engine.waiting
        if self.autoreset_mode != AutoresetMode.SAME_STEP and bool(waiting.any()):
            if self.autoreset_mode == AutoresetMode.DISABLED:
                raise gym.error.ResetNeeded("Some episodes have ended: reset them with options={'reset_mask': mask}.")
            return self._step_next(chosen, waiting.clone())
        place = self._engine.clip_and_class()
        result = self._engine.step(chosen)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and bool(result.ended.any()):
            return self._step_same(place, result)
        info = self._masked(self._place(*place) | self._counts(result), torch.ones_like(result.ended))
        return self._packed(self._observe(result.ended), result, info)

    def step_some(self, actions: np.ndarray, environments: np.ndarray) -> Step:
        """Steps only some environments (``DISABLED``); the others keep their state and earn nothing.

        Args:
            actions: those of the chosen environments, one after another.
            environments: their indices.
        """
        everyone = np.zeros(self.action_space.shape or (), dtype=np.int64)
        everyone[environments] = actions
        acting = torch.zeros(self.num_envs, dtype=torch.bool)
        acting[torch.as_tensor(environments)] = True
        acting = acting.to(self.task.device)
        if not self._seeded or bool((self._engine.waiting & acting).any()):
            raise gym.error.ResetNeeded("Some of these episodes have ended: reset them first.")
        place = self._engine.clip_and_class()
        result = self._engine.step_some(self._checked(everyone), acting)
        info = self._masked(self._place(*place) | self._counts(result), acting)
        return self._packed(self._observe(self._engine.waiting), result, info)

    def _step_same(self, place: Place, result: StepResult) -> Step:
        """Packs a step after which some environments begin their next episode at once (SAME_STEP)."""
        ended = result.ended
        self._engine.reset(ended)
        following = _either(ended, self._engine.clip_and_class(), place)
        info = self._masked(self._place(*following) | self._counts(result), torch.ones_like(ended))
        final = self._masked(self._place(*place) | self._counts(result), ended)
        info |= {"final_info": final, "_final_info": self._out(ended.clone())}
        info |= {"final_obs": self._terminal(ended), "_final_obs": self._out(ended.clone())}
        return self._packed(self._observe(), result, info)

    def _step_next(self, actions: torch.Tensor, waiting: torch.Tensor) -> Step:
        """A step in which the waiting environments only begin their next episode (NEXT_STEP)."""
        decided = self._engine.clip_and_class()
        result = self._engine.step_some(actions, ~waiting)
        self._engine.reset(waiting)
        place = _either(waiting, self._engine.clip_and_class(), decided)
        info = self._masked(self._place(*place), torch.ones_like(waiting))
        info |= self._masked(self._counts(result), ~waiting)
        return self._packed(self._observe(result.ended), result, info)

    def _packed(self, observation: Any, result: StepResult, info: dict[str, Any]) -> Step:
        never = torch.zeros_like(result.ended)
        return observation, self._out(result.reward), self._out(result.ended), self._out(never), info

    def _reset_mask(self, options: dict[str, Any] | None) -> torch.Tensor:
        if not options or "reset_mask" not in options:
            return torch.ones_like(self._engine.waiting)
        mask = torch.as_tensor(options["reset_mask"], device=self.task.device)
        if mask.dtype != torch.bool or mask.shape != (self.num_envs,) or not bool(mask.any()):
            raise UserError(f"reset_mask must be an array of {self.num_envs} booleans, at least one of them True.")
        if not self._seeded and not bool(mask.all()):
            raise UserError("The first reset begins the episodes of all environments; call it without a reset_mask.")
        return mask

    def _seeds(self, seed: int | list[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise UserError(f"There are {self.num_envs} environments but {len(seed)} seeds; give one for each.")
        return [None if one is None else int(one) for one in seed]

    def _checked(self, actions: Any) -> torch.Tensor:
        """Returns the actions as int64 ``[env, component]`` on the device."""
        if isinstance(actions, torch.Tensor):
            found = actions.to(self.task.device)
        else:
            found = torch.from_numpy(np.array(actions)).to(self.task.device)
        shape = self.action_space.shape or ()
        if found.shape != shape or found.is_floating_point():
            raise UserError(f"Actions must be whole numbers of shape {list(shape)}, not {found.dtype} of shape "
                            f"{list(found.shape)}.")  # fmt: skip
        found = found.long().reshape(self.num_envs, -1)
        outside = (found < 0) | (found >= self._sizes)
        if bool(outside.any()):
            env = int(outside.any(1).nonzero()[0])
            raise UserError(f"The action {found[env].tolist()} of environment {env} does not lie in "
                            f"{self.single_action_space}.")  # fmt: skip
        return found

    def _observe(self, ended: torch.Tensor | None = None) -> Any:
        """Returns the observations of the current items, zeros where an episode has ended."""
        found = self._observer(*self._engine.clip_and_class())
        if ended is not None:
            for part in found.values() if isinstance(found, dict) else [found]:
                part[ended] = 0
        return to_numpy(found) if self._as_numpy else found

    def _terminal(self, ended: torch.Tensor) -> Any:
        """Returns the terminal observations, zeros: in numpy one for all environments that ended."""
        if self._as_numpy:
            pair = np.array([None, None], dtype=object)  # of an environment that goes on, and of one that ended
            pair[1] = zeros(self.single_observation_space)
            return pair[ended.cpu().numpy().astype(np.intp)]
        blank = zeros(self.single_observation_space, self.num_envs)
        if isinstance(blank, dict):
            return {name: torch.from_numpy(part).to(self.task.device) for name, part in blank.items()}
        return torch.from_numpy(blank).to(self.task.device)

    def _place(self, clip: torch.Tensor, label: torch.Tensor | None) -> dict[str, Any]:
        """Returns which clips (and classes) these are."""
        info: dict[str, Any] = {"clip": self._out(clip.clone())}
        if label is not None:
            info["label"] = self._out(label.clone())
        if self._as_numpy:
            info["clip_id"] = self._clip_ids[info["clip"]]
            if label is not None:
                info["class"] = self._classes[info["label"]]
        return info

    def _counts(self, result: StepResult) -> dict[str, Any]:
        named = counts_of(self.task, result) | {objective_name(self.task): result.objective}
        if result.class_reward is not None:
            named["class_reward"] = result.class_reward
        return {name: self._out(value.clone()) for name, value in named.items()}

    def _masked(self, info: dict[str, Any], mask: torch.Tensor) -> dict[str, Any]:
        """Adds to each entry the mask of the environments that have it."""
        return info | {f"_{name}": self._out(mask.clone()) for name in info}

    def _out(self, x: torch.Tensor) -> Any:
        return x.cpu().numpy() if self._as_numpy else x

    @property
    def n_items(self) -> int:
        """Number of steps in a pass."""
        return self._engine.n_items

    @property
    def linearisation(self) -> Linearisation:
        """The point at which ``linearised_f1`` is taken: this environment's own; move it between rollouts."""
        return self._engine.linearisation

    @linearisation.setter
    def linearisation(self, point: Linearisation) -> None:
        self._engine.linearisation = point

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Returns the state of all environments, for checkpoints."""
        return self._engine.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Goes back to a state from `state_dict`; no reset is needed."""
        self._engine.load_state_dict(state)
        self._seeded = True


def _either(mask: torch.Tensor, a: Place, b: Place) -> Place:
    """Returns the clips (and classes) of ``a`` under the mask, of ``b`` elsewhere."""
    label = None if a[1] is None or b[1] is None else torch.where(mask, a[1], b[1])
    return torch.where(mask, a[0], b[0]), label


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Returns the autoreset mode from its member, its name (``SAME_STEP``) or its value (``SameStep``)."""
    if isinstance(mode, AutoresetMode):
        return mode
    known = {name: member for member in AutoresetMode for name in (member.name, str(member.value))}
    if str(mode) not in known:
        raise UserError(f"Unknown autoreset_mode '{mode}'{suggest(str(mode), [m.name for m in AutoresetMode])}.")
    return known[str(mode)]
