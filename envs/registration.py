"""Registration of the environments with Gymnasium, by name, so that nothing is imported before it is made."""

from __future__ import annotations

from gymnasium.envs.registration import register as _register
from gymnasium.envs.registration import registry

ENVIRONMENTS = {
    "rl_postproc/PostProcessing-v0": ("PostProcessingEnv", "PostProcessingVectorEnv"),
    "rl_postproc/PostProcessingPerClass-v0": ("PostProcessingPerClassEnv", "PostProcessingPerClassVectorEnv"),
}


def register() -> None:
    """Registers every environment that is not registered yet."""
    for name, (single, vector) in ENVIRONMENTS.items():
        if name not in registry:
            _register(
                id=name,
                entry_point=f"rl_postproc.envs:{single}",
                vector_entry_point=f"rl_postproc.envs:{vector}",
            )
