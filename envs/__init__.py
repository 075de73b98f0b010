"""Gymnasium environments of post-processing; importing this package registers them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registration import register

if TYPE_CHECKING:
    from .per_class import PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv
    from .post_processing import PostProcessingEnv
    from .vector import PostProcessingVectorEnv

_LAZY = {
    "PostProcessingEnv": "post_processing",
    "PostProcessingPerClassEnv": "per_class",
    "PostProcessingPerClassVectorEnv": "per_class",
    "PostProcessingVectorEnv": "vector",
}

__all__ = [
    "PostProcessingEnv",
    "PostProcessingPerClassEnv",
    "PostProcessingPerClassVectorEnv",
    "PostProcessingVectorEnv",
]

register()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value
