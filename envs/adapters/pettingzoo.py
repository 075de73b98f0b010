"""PettingZoo: the per-class form as a cooperative game, one agent a class, all deciding on the same clip."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch

from rl_postproc.metrics import Metric
from rl_postproc.pipeline.stack import Stack
from rl_postproc.task import Source
from rl_postproc.utils.errors import UserError, suggest

from ..actions import ActionForm, Actions
from ..interface import Interface
from ..observations import Observation, PreparedObservation
from ..post_processing import PostProcessingEnv, objective_name, to_numpy, zeros
from ..rewards import Reward
from . import missing

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise missing("PettingZoo", "pettingzoo") from error

CREDITS = ("own", "shared")


class PostProcessingParallelEnv(ParallelEnv):  # pyright: ignore[reportGeneralTypeIssues]
    """`PostProcessingEnv` with one agent for each class.

    ## Agents
    The class names. All are there until the episode ends, and all decide at once.

    ## Action Space
    `MultiDiscrete` for each agent: the index of the value of each parameter of its class; with `actions="candidate"`
    `Discrete(n_candidates)`. Parameters of global scope
    need the joint environment.

    ## Observation Space
    For each agent that of `PostProcessingPerClassEnv`: the track of its class, and the class one-hot.

    ## Rewards
    With `credit="own"` (default) an agent earns the part of `linearised_f1` that its class makes, and the parts add up
    to the joint reward; with `credit="shared"` everyone earns the joint reward. The other rewards do not split and are
    always shared.

    ## Starting State, Episode End, Arguments
    As in `PostProcessingEnv`; all agents are terminated together, none is ever truncated.

    ## Information
    For each agent the `clip_id` and, after a step, `true_positives`, `estimated` and `reference` of its class and the
    `macro_f1` of all.
    """

    metadata: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "name": "rl_postproc_v0", "render_modes": ["ansi", "rgb_array"], "render_fps": 1, "is_parallelizable": True,
    }  # fmt: skip

    def __init__(
        self,
        scores: Source = None,
        stack: Stack | list | str | None = None,
        metric: Metric | dict | None = None,
        reward: str | dict = "linearised_f1",
        episode: str | None = None,
        observation: str | dict = "summary",
        credit: str = "own",
        render_mode: str | None = None,
        skip_silent: bool = False,
        actions: ActionForm = "indices",
    ):
        if credit not in CREDITS:
            raise UserError(f"Unknown credit '{credit}'{suggest(credit, CREDITS)}.")
        self._env = PostProcessingEnv(
            scores, stack, metric, reward, episode, "summary", render_mode, skip_silent, actions
        )
        self.task, self.render_mode = self._env.task, render_mode
        self._splits = Reward.make(reward).splits_by_class and credit == "own"
        self.interface = Interface(Observation.make(observation), True, actions)
        self._observer = PreparedObservation(self.interface.observation, self.task, True)
        space = Actions(self.task, True, actions).space
        self.possible_agents = list(self.task.scores.classes)
        self.agents: list[str] = []
        self._observation_spaces = {agent: self._observer.space for agent in self.possible_agents}
        self._action_spaces = {agent: copy.deepcopy(space) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> gym.Space:
        """Returns the observation space of an agent."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """Returns the action space of an agent."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, Any], dict[str, dict]]:
        """Begins the next episode, with seeds and options as in `PostProcessingEnv`."""
        _, info = self._env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._observe(info["clip"]), {agent: {"clip_id": info["clip_id"]} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Decides the clip with one action for each agent.

        Raises:
            UserError: an agent has no action, or one outside its space.
        """
        lacking = [agent for agent in self.agents if agent not in actions]
        if lacking:
            raise UserError(f"The agent '{lacking[0]}' has no action; give one for each of {len(self.agents)} agents.")
        joint = np.concatenate([np.atleast_1d(actions[agent]) for agent in self.possible_agents])
        _, reward, ended, _, info = self._env.step(joint)
        agents, rewards = self.agents, self._rewards(reward, info)
        name = objective_name(self.task)
        infos = {
            agent: {"clip_id": info["clip_id"], name: info[name]}
            | {column: int(info[column][i]) for column in self.task.metric.columns}
            for i, agent in enumerate(agents)
        }
        if ended:
            self.agents = []
            observation = {agent: zeros(self._observation_spaces[agent]) for agent in agents}
        else:
            observation = self._observe(self._env.current_clip)
        flags, never = dict.fromkeys(agents, ended), dict.fromkeys(agents, False)
        return observation, rewards, flags, never, infos

    def render(self) -> Any:
        """Draws (``rgb_array``) or prints (``ansi``) the clip, as `PostProcessingEnv.render`."""
        return self._env.render()

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()

    def _rewards(self, reward: float, info: dict[str, Any]) -> dict[str, float]:
        if not self._splits:
            return dict.fromkeys(self.agents, reward)
        counts = torch.stack([torch.as_tensor(info[name]) for name in self.task.metric.columns], 1)
        parts = self._env.rewards_by_class(counts.to(self.task.device)).tolist()
        return dict(zip(self.agents, parts, strict=True))

    def _observe(self, clip: int) -> dict[str, Any]:
        label = torch.arange(self.task.scores.n_classes, device=self.task.device)
        rows = to_numpy(self._observer(torch.full_like(label, clip), label))
        if isinstance(rows, dict):
            return {agent: {k: v[i].copy() for k, v in rows.items()} for i, agent in enumerate(self.possible_agents)}
        return {agent: rows[i].copy() for i, agent in enumerate(self.possible_agents)}
