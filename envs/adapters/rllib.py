"""RLlib: a creator of environments under a registered name, vectorised natively."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import AutoresetMode

from ..per_class import PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv
from ..post_processing import PostProcessingEnv
from ..vector import PostProcessingVectorEnv
from . import missing

try:
    from ray import ObjectRef, get
    from ray.tune import register_env
except ImportError as error:
    raise missing("RLlib", "rllib") from error

JOINT, PER_CLASS = "rl_postproc_joint", "rl_postproc_per_class"


class _WithoutInfos:
    """Gives no infos: RLlib makes one dictionary for each environment of them, which costs more than the step."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Resets without infos."""
        return super().reset(**kwargs)[0], {}  # pyright: ignore[reportAttributeAccessIssue]

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Steps without infos."""
        return *super().step(actions)[:4], {}  # pyright: ignore[reportAttributeAccessIssue]


class RLlibVectorEnv(_WithoutInfos, PostProcessingVectorEnv):
    """`PostProcessingVectorEnv` as RLlib wants it: ``NEXT_STEP``, without infos."""


class RLlibPerClassVectorEnv(_WithoutInfos, PostProcessingPerClassVectorEnv):
    """`PostProcessingPerClassVectorEnv` as RLlib wants it: ``NEXT_STEP``, without infos."""


def register() -> None:
    """Registers the environments ``rl_postproc_joint`` and ``rl_postproc_per_class`` with RLlib.

    Their ``env_config`` takes the arguments of `PostProcessingEnv`; ``scores`` may be what ``ray.put`` returns, so that many
    rollout workers read a task from the object store, in place of getting one each. With
    ``gym_env_vectorize_mode="vector_entry_point"`` all environments of a runner step in a few tensor operations. RLlib
    begins an episode with a step of its own, so that one-step episodes cost two calls.
    """
    register_env(JOINT, lambda config: _create(config, PostProcessingEnv, RLlibVectorEnv))
    register_env(PER_CLASS, lambda config: _create(config, PostProcessingPerClassEnv, RLlibPerClassVectorEnv))


def _create(config: Any, single: Any, vector: Any) -> Any:
    arguments = dict(config)
    if isinstance(arguments.get("scores"), ObjectRef):
        arguments["scores"] = get(arguments["scores"])
    if "num_envs" in arguments:
        return vector(**arguments, autoreset_mode=AutoresetMode.NEXT_STEP)
    return single(**arguments)
