"""The joint environment: one step decides every post-processing parameter of every class for one clip."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch

from rl_postproc.metrics import Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import Source, TuningTask
from rl_postproc.utils.errors import UserError, suggest

from .actions import ActionForm
from .engine import EpisodeBatch, StepResult
from .interface import Interface
from .observations import Observation, Observed, PreparedObservation


class PostProcessingEnv(gym.Env):
    """Choose the post-processing of a sound event detector, clip by clip.

    ## Description
    A detector has given class probabilities for each frame of a clip. The agent sees them and sets every parameter of
    the post-processing stack for every class. The events that come out are compared with the reference events of the
    clip. Episodes run over all clips in an order drawn anew for each pass.

    ## Action Space
    `MultiDiscrete`: for each class in turn the index of the value of each parameter of the stack, in the stack's order;
    parameters of global scope follow once at the end. With the default stack (median filter with 10 kernels, threshold
    with 51 values) and 10 classes that is `MultiDiscrete([10, 51] * 10)`. With `actions="candidate"` each class has one
    component, the number of its candidate: `MultiDiscrete([510] * 10)`. Candidates are numbered in row-major order, the
    last parameter changing fastest, so that a policy may weigh whole combinations where libraries draw components
    independently. Parameters of global scope need `"indices"`.

    ## Observation Space
    By the argument `observation`, see `rl_postproc.envs.observations`:

    | name      | space                            | content                                               |
    |-----------|----------------------------------|-------------------------------------------------------|
    | `scores`  | `Box(0, 1, [class, frame])`      | the frame-level scores, 0 beyond the clip's end       |
    | `flat`    | `Box(0, 1, [class * frame])`     | the same in one row                                   |
    | `summary` | `Box(0, 1, [class * 7])`         | seven statistics of each track                        |
    | `dict`    | `Dict(scores, mask)`             | the scores, and 1 for every frame that exists         |
    | `events`  | `Dict(features, mask, levels)`   | of each class, the events that candidates would decode|

    The terminal observation is all zeros: a decided clip has no successor.

    ## Rewards
    By the argument `reward`, see `rl_postproc.envs.rewards`: `linearised_f1` (default: the first-order gain in macro
    F1, paid at once), `clip_f1` (F1 of the single clip, a different objective), `episode_f1` (0 until the pass ends,
    then the number of clips times macro F1, as published).

    ## Starting State
    The next clip of the pass; after `reset(seed=...)` the first clip of the order that belongs to the seed.
    `reset(options={"clip_id": ...})` starts with a clip of choice; with `episode="pass"` it begins a pass in which that
    clip is the first and every other one follows once.

    ## Episode End
    With `episode="clip"` (default) every step ends its episode as *terminated*: clips are independent, and nothing is
    gained by carrying reward from one to the next. With `episode="pass"` (always for `episode_f1`) an episode is one
    pass over all clips. Episodes are never truncated.

    ## Information
    `clip_id`, `clip` (its index), `true_positives`, `estimated`, `reference` (arrays over classes) of the clip just
    decided, and `macro_f1` over the clips of the pass so far.

    ## Arguments
    * `scores`: a `ScoreSet` with references, the path of a YAML config, a mapping with its keys (`data`, `stack`,
      `metric`), a `TuningTask` to share, or `"simulated"` for the built-in simulated data set. They must be given.
    * `stack`, `metric`: override the config's.
    * `reward`, `episode`, `observation`: names as above; for rewards and observations with settings a mapping.
    * `actions`: `"indices"` of the values of every parameter (default), or the `"candidate"` of every class.
    * `skip_silent`: leaves out the clips (per class: the clips and classes) for which no candidate of the stack decodes
      anything, so that nothing can be decided there. Their references still count in `macro_f1` and `episode_f1`.
    * `render_mode`: `"ansi"` or `"rgb_array"`.

    ## Vectorized environment
    `gymnasium.make_vec(id, num_envs=N, vectorization_mode="vector_entry_point")` gives the native
    `PostProcessingVectorEnv`, which steps all environments in a few tensor operations.

    ## Version History
    * v0: initial version.

    Source: Giannakopoulos, Pikrakis and Cotronis, "Improving Post-Processing of Audio Event Detectors Using
    Reinforcement Learning", IEEE Access 10 (2022), 84398.

    Example:
        >>> import gymnasium
        >>> scores = {"data": {"simulated": {"n_clips": 3, "classes": ["Dog", "Speech"]}}}
        >>> env = gymnasium.make("rl_postproc:rl_postproc/PostProcessing-v0", scores=scores, observation="summary")
        >>> env.action_space, env.observation_space.shape
        (MultiDiscrete([10 51 10 51]), (14,))
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step([0, 24, 0, 24])
        >>> terminated, truncated, info["reference"].shape  # of each class
        (True, False, (2,))
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}
    per_class: ClassVar[bool] = False

    def __init__(
        self,
        scores: Source = None,
        stack: Stack | list | str | None = None,
        metric: Metric | dict | None = None,
        reward: str | dict = "linearised_f1",
        episode: str | None = None,
        observation: str | dict = "scores",
        render_mode: str | None = None,
        skip_silent: bool = False,
        actions: ActionForm = "indices",
    ):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UserError(
                f"Unknown render_mode '{render_mode}'; known are {', '.join(self.metadata['render_modes'])}."
            )
        self.task = TuningTask.build(scores, stack, metric)
        self.render_mode = render_mode
        self._engine = EpisodeBatch(self.task, 1, self.per_class, reward, episode, skip_silent, actions=actions)
        shown = Observation.make(observation, "the environment")
        self.interface = Interface(shown, self.per_class, actions)
        self._observer = PreparedObservation(shown, self.task, self.per_class)
        self.observation_space = self._observer.space
        self.action_space = self._engine.actions.space
        self._last: tuple[int, int | None, torch.Tensor] | None = None
        self._seeded = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins the next episode; see the class for seeds and options."""
        super().reset(seed=seed)
        everything = torch.ones_like(self._engine.waiting)
        if seed is not None or not self._seeded:
            self._engine.seed(torch.tensor([random_key(self.np_random)]), everything)
            self._seeded = True
        else:
            self._engine.reset(everything)
        jump(self._engine, options, everything)
        self._last = None
        return self._observe(), self._clip_info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Applies the parameters to the current clip and moves to the next.

        Raises:
            UserError: the action does not lie in the action space.
            gymnasium.error.ResetNeeded: the episode has ended, or none has begun.
        """
        action = np.asarray(action)
        if action.dtype.kind not in "iu" or not self.action_space.contains(action.astype(np.int64)):
            raise UserError(f"The action {action.tolist()} does not lie in {self.action_space}.")
        if bool(self._engine.waiting[0]):
            raise gym.error.ResetNeeded("The episode has ended, or none has begun: call reset() before step().")
        clip, label = self._engine.clip_and_class()
        info = self._clip_info()
        chosen = torch.as_tensor(action.astype(np.int64), device=self.task.device).reshape(1, -1)
        result = self._engine.step(chosen)
        self._last = int(clip[0]), None if label is None else int(label[0]), chosen
        info |= {name: to_numpy(value[0]) for name, value in counts_of(self.task, result).items()}
        info[objective_name(self.task)] = float(result.objective[0])
        ended = bool(result.ended[0])
        observation = zeros(self.observation_space) if ended else self._observe()
        return observation, float(result.reward[0]), ended, False, info

    def render(self) -> Any:
        """Draws (``rgb_array``) or prints (``ansi``) the clip that was decided last, or the current one."""
        if self.render_mode is None:
            return None
        from .rendering import render

        if self._last is None:
            clip, label = self._engine.clip_and_class()
            return render(self.task, int(clip[0]), None if label is None else int(label[0]), None, self.render_mode)
        clip, label, action = self._last
        candidate = self._engine.actions.candidates(action)[0].cpu()
        values = self.task.stack.space.values[candidate].expand(self.task.scores.n_classes, -1)
        return render(self.task, clip, label, values, self.render_mode)

    @property
    def current_clip(self) -> int:
        """Index of the clip that the next step decides."""
        return int(self._engine.clip_and_class()[0][0])

    def rewards_by_class(self, counts: torch.Tensor) -> torch.Tensor:
        """See `EpisodeBatch.rewards_by_class`."""
        return self._engine.rewards_by_class(counts)

    def _observe(self) -> Any:
        return to_numpy(self._observer(*self._engine.clip_and_class()), 0)

    def _clip_info(self) -> dict[str, Any]:
        clip, label = self._engine.clip_and_class()
        info: dict[str, Any] = {"clip_id": self.task.scores.clip_ids[int(clip[0])], "clip": int(clip[0])}
        if label is not None:
            info |= {"class": self.task.scores.classes[int(label[0])], "label": int(label[0])}
        return info


def counts_of(task: TuningTask, result: StepResult) -> dict[str, torch.Tensor]:
    """Returns the counts of a step by name, int32 ``[env, class]`` each."""
    return dict(zip(task.metric.columns, result.counts.unbind(1), strict=True))


def objective_name(task: TuningTask) -> str:
    """Returns what infos and results call the objective, such as ``macro_f1``."""
    return task.objective.called(task.metric)


def random_key(generator: np.random.Generator) -> int:
    """Draws the key from which the order of an environment's clips follows."""
    return int(generator.integers(2**62))


def jump(engine: EpisodeBatch, options: dict[str, Any] | None, mask: torch.Tensor) -> None:
    """Makes the clip ``options["clip_id"]`` the next one of the masked environments.

    In the per-class form ``options["class"]`` names the class, the first when it is absent.

    Raises:
        UserError: there is no such clip or class.
    """
    if not options or "clip_id" not in options:
        return
    scores = engine.task.scores
    if options["clip_id"] not in scores.clip_ids:
        raise UserError(
            f"There is no clip '{options['clip_id']}' among the {scores.n_clips} clips of this environment."
        )
    item = scores.clip_ids.index(options["clip_id"])
    if engine.per_class:
        name = options.get("class", scores.classes[0])
        if name not in scores.classes:
            raise UserError(f"There is no class '{name}'{suggest(str(name), scores.classes)}.")
        item = item * scores.n_classes + scores.classes.index(name)
    engine.choose(item, mask)


def to_numpy(observation: Observed, row: int | None = None) -> Any:
    """Returns tensors as arrays: the whole batch, or one row of it."""
    if isinstance(observation, dict):
        return {name: to_numpy(value, row) for name, value in observation.items()}
    return (observation if row is None else observation[row]).cpu().numpy()


def zeros(space: gym.Space, *batch: int) -> Any:
    """Returns an observation of zeros, for a batch of environments when a size is given."""
    if isinstance(space, gym.spaces.Dict):
        return {name: zeros(part, *batch) for name, part in space.items()}
    assert isinstance(space, gym.spaces.Box)
    return np.zeros((*batch, *space.shape), space.dtype)
