"""Policies of Stable-Baselines3: their own networks are saved and restored without pickle, others are asked as they are."""

from __future__ import annotations

import inspect
import math
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from pydantic import BaseModel, Field, ValidationError, field_validator

from rl_postproc.pipeline.postprocessor import PostProcessor
from rl_postproc.task import TuningTask
from rl_postproc.utils.checked import first_problem
from rl_postproc.utils.errors import UserError

from ...envs.interface import Interface
from ...envs.observations import Observed
from ...envs.post_processing import to_numpy
from ...envs.unwrapping import unwrap
from .observed_policy import CallablePolicy, ObservedPolicy, from_policy

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy

_KINDS = {
    "actor_critic": ("stable_baselines3.common.policies", "ActorCriticPolicy"),
    "actor_critic_dict": ("stable_baselines3.common.policies", "MultiInputActorCriticPolicy"),
    "dqn": ("stable_baselines3.dqn.policies", "DQNPolicy"),
    "dqn_dict": ("stable_baselines3.dqn.policies", "MultiInputPolicy"),
}
"""Policies that can be built from plain values: name, module and class of Stable-Baselines3."""

_ACTIVATIONS = torch.nn.modules.activation.__all__
_Sizes = list[Annotated[int, Field(ge=1)]]


class NetworkShape(BaseModel, extra="forbid", frozen=True):
    """What a policy of Stable-Baselines3 is built from, as plain values; its features extractor is its default one.

    Attributes:
        policy: name of its class.
        observation: shape of an observation, or the shapes of its parts.
        actions: number of actions, or number of values of each component.
        net_arch: sizes of hidden layers, by network (``pi``, ``vf``) where there are several.
        activation: name of a module of torch.nn.
    """

    policy: Literal["actor_critic", "actor_critic_dict", "dqn", "dqn_dict"]
    observation: _Sizes | dict[str, _Sizes]
    actions: Annotated[int, Field(ge=1)] | _Sizes
    net_arch: _Sizes | dict[Literal["pi", "vf"], _Sizes]
    activation: str

    @field_validator("activation")
    @classmethod
    def _is_of_torch(cls, value: str) -> str:
        if value not in _ACTIVATIONS:
            raise ValueError(f"'{value}' is no activation function of torch.nn")
        return value

    @classmethod
    def of(cls, policy: BasePolicy) -> NetworkShape:
        """Describes a policy.

        Raises:
            ValueError: it cannot be built from plain values; the message says why.
        """
        place = type(policy).__module__, type(policy).__name__
        kind = next((kind for kind, known in _KINDS.items() if known == place), None)
        if kind is None:
            raise ValueError(f"its policy is a class of its own, {type(policy).__name__}")
        arguments = policy._get_constructor_parameters()
        extractor, activation = arguments["features_extractor_class"], arguments["activation_fn"]
        default = inspect.signature(type(policy)).parameters["features_extractor_class"].default
        if extractor is not default or arguments["features_extractor_kwargs"]:
            raise ValueError(f"its features extractor is not the default one, but {extractor.__name__}")
        if activation.__name__ not in _ACTIVATIONS or getattr(torch.nn, activation.__name__) is not activation:
            raise ValueError(f"its activation function is not one of torch.nn, but {activation.__name__}")
        if arguments.get("use_sde"):
            raise ValueError("it explores with gSDE")
        return cls(
            policy=kind,  # pyright: ignore[reportArgumentType]
            observation=_shape(policy.observation_space),
            actions=_sizes(policy.action_space),
            net_arch=arguments["net_arch"],
            activation=activation.__name__,
        )

    def build(self, tensors: dict[str, torch.Tensor]) -> BasePolicy:
        """Returns the policy with its parameters.

        Raises:
            ValueError: the parameters do not fit.
        """
        module, name = _KINDS[self.policy]
        settings: dict[str, Any] = {"net_arch": self.net_arch, "activation_fn": getattr(torch.nn, self.activation)}
        actions = self.actions
        space = spaces.Discrete(actions) if isinstance(actions, int) else spaces.MultiDiscrete(actions)
        if self._least_size() > sum(tensor.numel() for tensor in tensors.values()):
            raise ValueError("the network is larger than its parameters")
        policy = getattr(import_module(module), name)(_space(self.observation), space, lambda _: 0.0, **settings)
        try:
            policy.load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(" ".join(str(error).split())) from error
        return policy.requires_grad_(False)

    def _least_size(self) -> int:
        """Returns the number of weights of the hidden layers, and of the one that gives actions."""
        parts = self.observation.values() if isinstance(self.observation, dict) else [self.observation]
        n_features = sum(math.prod(part) for part in parts)
        nets = dict(self.net_arch) if isinstance(self.net_arch, dict) else {"pi": self.net_arch}
        n_actions = self.actions if isinstance(self.actions, int) else sum(self.actions)
        nets["pi"] = [*nets.get("pi", []), n_actions]
        return sum(a * b for sizes in nets.values() for a, b in pairwise([n_features, *sizes]))


class SB3Policy(ObservedPolicy):
    """A network of Stable-Baselines3's own (`MlpPolicy`, `MultiInputPolicy` of PPO, A2C, DQN, …), without sampling."""

    kind = "stable_baselines3"

    def __init__(self, interface: Interface, width: int, shape: NetworkShape, tensors: dict[str, torch.Tensor]):
        """Takes what the network is built from, and its parameters."""
        super().__init__(interface, width)
        self.shape, self._tensors, self._network = shape, tensors, shape.build(tensors)

    def check(self, task: TuningTask, space: spaces.Space) -> None:
        """See `ObservedPolicy.check`."""
        if _sizes(self.interface.action_space(task)) != self.shape.actions:
            raise UserError("The policy was trained on another stack, with other actions than this one has.")
        seen, known = _shape(space), self.shape.observation
        if seen != known:
            raise UserError(f"The policy was trained on observations of shape {known}, but these clips give {seen}; "
                            "apply it to clips that are no longer, or train it on an observation whose shape no clip "
                            "changes, such as 'summary' or events with max_events.")  # fmt: skip

    def act(self, observations: Observed) -> torch.Tensor:
        """See `ObservedPolicy.act`."""
        return torch.from_numpy(np.asarray(self._network.predict(to_numpy(observations), deterministic=True)[0]))

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Returns the interface, the shape of the network, and its parameters."""
        return {**super().state()[0], "network": self.shape.model_dump(mode="json")}, self._tensors

    @classmethod
    def from_state(cls, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> SB3Policy:
        """Restores the policy."""
        try:
            shape = NetworkShape.model_validate(values["network"])
        except ValidationError as error:
            raise ValueError(first_problem(error, NetworkShape)) from error
        return cls(Interface.from_json(values), values["width"], shape, tensors)


def from_sb3(model: BaseAlgorithm, env: Any = None) -> PostProcessor:
    """Makes a post-processor of a model of Stable-Baselines3; see `PostProcessor.from_sb3`."""
    env = model.get_env() if env is None else env
    if env is None:
        raise UserError("The model has no environment; give the one that it was trained on, or one with its settings.")
    inside, _ = unwrap(env)
    width = inside.task.scores.width
    try:
        shape = NetworkShape.of(model.policy)
    except ValueError as error:

        def predict(observations: Any) -> np.ndarray:
            return model.predict(observations, deterministic=True)[0]

        reason = f"The model cannot be saved, since {error}"
        return from_policy(CallablePolicy(predict, inside.interface, width, "numpy", reason=reason), env)
    tensors = {name: value.detach().cpu().clone() for name, value in model.policy.state_dict().items()}
    return from_policy(SB3Policy(inside.interface, width, shape, tensors), env)


def _shape(space: spaces.Space) -> list[int] | dict[str, list[int]]:
    """Returns the shape of an observation, or those of its parts.

    Raises:
        ValueError: it is not made of numbers in boxes.
    """
    if isinstance(space, spaces.Dict):
        if not all(isinstance(part, spaces.Box) for part in space.values()):
            raise ValueError(f"its observations are {space}")
        return {name: list(part.shape or ()) for name, part in space.items()}
    if not isinstance(space, spaces.Box):
        raise ValueError(f"its observations are {space}")
    return list(space.shape)


def _space(shape: list[int] | dict[str, list[int]]) -> spaces.Space:
    """Returns the space of observations of such a shape."""
    if isinstance(shape, dict):
        return spaces.Dict({name: spaces.Box(-np.inf, np.inf, part, np.float32) for name, part in shape.items()})
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def _sizes(space: spaces.Space) -> int | list[int]:
    """Returns the number of actions, or the number of values of each component.

    Raises:
        ValueError: actions are something else.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if not isinstance(space, spaces.MultiDiscrete):
        raise ValueError(f"its actions are {space}")
    return [int(n) for n in space.nvec]
