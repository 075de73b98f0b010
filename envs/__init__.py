"""Gymnasium environments of post-processing."""

from rl_postproc.registration import register

from .per_class import PostProcessingPerClassEnv, PostProcessingPerClassVectorEnv
from .post_processing import PostProcessingEnv
from .rewards import REWARDS, Linearisation
from .task import TuningTask
from .vector import PostProcessingVectorEnv

register()

__all__ = [
    "REWARDS",
    "Linearisation",
    "PostProcessingEnv",
    "PostProcessingPerClassEnv",
    "PostProcessingPerClassVectorEnv",
    "PostProcessingVectorEnv",
    "TuningTask",
]
