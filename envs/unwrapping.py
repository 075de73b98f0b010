"""The environment of ours that is inside what a library has wrapped around it."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium as gym

from rl_postproc.utils.errors import UserError

from .post_processing import PostProcessingEnv
from .vector import PostProcessingVectorEnv

Given = Literal["one", "numpy", "torch"]
"""Whether a policy is given one observation at a time, or many in arrays or tensors with an item in each row."""

_CHANGING = (
    gym.ObservationWrapper,
    gym.ActionWrapper,
    gym.vector.VectorObservationWrapper,
    gym.vector.VectorActionWrapper,
)


def unwrap(env: Any) -> tuple[PostProcessingEnv | PostProcessingVectorEnv, Given]:
    """Returns the environment inside wrappers and adapters, and what it gives to a policy.

    Args:
        env: an environment of ours; one in wrappers of Gymnasium or Stable-Baselines3, or in an adapter of ours; or a vector
            environment of Gymnasium or Stable-Baselines3 over such ones in this process.

    Raises:
        UserError: there is none inside, or a wrapper changes what is seen or done.
    """
    layer = env
    while not isinstance(layer, PostProcessingEnv | PostProcessingVectorEnv):
        inner = _inside(layer)
        if inner is None:
            raise UserError(f"There is no environment of this package inside {type(env).__name__}; give one that is made "
                            "with the settings that the policy was trained with.")  # fmt: skip
        if _changes(layer, inner):
            raise UserError(f"The wrapper {type(layer).__name__} changes what is seen or done; give the environment inside "
                            "it, and a policy that does the same itself.")  # fmt: skip
        layer = inner
    if isinstance(layer, PostProcessingEnv):
        return layer, "numpy" if hasattr(env, "num_envs") else "one"
    # Adapters give what their library takes, whatever comes from the environment inside.
    return layer, "torch" if isinstance(env, gym.vector.VectorEnv) and layer.output == "torch" else "numpy"


def _inside(layer: Any) -> Any:
    """Returns what a wrapper holds, the first of several, or None."""
    name = next((name for name in ("env", "venv", "envs") if hasattr(layer, name)), None)
    found = None if name is None else getattr(layer, name)
    return found[0] if isinstance(found, list | tuple) else found


def _changes(layer: Any, inner: Any) -> bool:
    """Returns whether a wrapper has other spaces than what is inside it, or is known to change what passes through it."""
    if isinstance(layer, _CHANGING) or getattr(layer, "norm_obs", False):
        return True
    names = ("observation_space", "action_space")
    return any(hasattr(layer, name) and _space(layer, name) != _space(inner, name) for name in names)


def _space(env: Any, name: str) -> Any:
    """Returns the space of one environment of an environment or a vector of them."""
    return getattr(env, f"single_{name}" if hasattr(env, f"single_{name}") else name)
